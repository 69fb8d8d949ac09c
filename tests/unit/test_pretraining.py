from __future__ import annotations

import itertools
import math
from pathlib import Path
from typing import Any

import pytest
import torch

from ftbench import bases, batches, files, pretraining
from ftbench.errors import UserError
from ftbench.pretraining import Corpus, Schedule

TEXTS = [
    f"A {size} {who} is {what} .\nThe {who} is {what} ."
    for size in ("tall", "small")
    for who in ("man", "dog", "girl", "cat")
    for what in ("sleeping", "running")
]
DIMENSIONS = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4}
SHORT = Schedule(max_steps=6, batch_size=4, learning_rate=3e-3, warmup_steps=2, weight_decay=0.01)


def corpus(texts: list[str] = TEXTS, kind: str = "restatement") -> Corpus:
    return Corpus(texts, [kind] * len(texts))


def pretrained(architecture: str, seed: int, schedule: Schedule = SHORT) -> tuple[Any, Any, dict[str, Any]]:
    model, tokenizer = bases.new_miniature(architecture, DIMENSIONS, 500, TEXTS * 3, seed, block_size=16)
    objective = "masked" if architecture == "roberta" else "causal"
    return model, tokenizer, pretraining.pretrain(model, tokenizer, corpus(), corpus(TEXTS[:6]), objective, schedule, 16, seed)


@pytest.mark.parametrize(
    ("text", "segments"),
    [
        ("A man sleeps. He is tired. So.", ["A man sleeps.", "He is tired. So."]),
        ("A man sleeps. He is tired.\nHe rests.", ["A man sleeps. He is tired.", "He rests."]),
        ("Premise: a\nHypothesis: b\nRelation: c", ["Premise: a", "Hypothesis: b\nRelation: c"]),
        (" A man sleeps. ", ["A man sleeps."]),
    ],
)
def test_a_document_is_cut_after_its_first_line_or_else_its_first_sentence(text: str, segments: list[str]) -> None:
    assert batches.sentences(text) == segments


def test_only_a_second_sentence_that_can_be_told_from_the_first_is_masked_more(tiny_base: Any) -> None:
    tokenizer = bases.load_tokenizer(tiny_base("roberta"))
    texts = ["A man\nA woman", "A man\nA woman", "A man", "A man\nA woman"]
    encoded = batches.encode_masked(tokenizer, texts, ["restatement", "continuation", "restatement", "comment"], 16)
    assert tokenizer.convert_ids_to_tokens(encoded.rows[0].tolist()) == ["<s>", "A", "Ġman", "</s>", "</s>", "A", "Ġwoman", "</s>"]
    shares = [[round(value, 2) for value in row.tolist()] for row in encoded.shares]
    assert shares[0] == shares[3] == [0, 0.2, 0.2, 0, 0, 0.5, 0.5, 0]
    assert shares[1] == [0, 0.2, 0.2, 0, 0, 0.2, 0.2, 0]
    assert shares[2] == [0, 0.2, 0.2, 0]


def test_a_long_document_is_cut_at_the_longest_input(tiny_base: Any) -> None:
    encoded = batches.encode_masked(bases.load_tokenizer(tiny_base("roberta")), ["A man " * 20], ["x"], 12)
    assert [len(encoded.rows[0]), len(encoded.shares[0])] == [12, 12]


def test_masking_takes_its_share_and_replaces_eight_in_ten() -> None:
    held = batches.MaskedCorpus([], [], mask_id=4, pad_id=1, vocab_size=105, num_specials=5)
    ids = torch.full((400, 500), 50)
    shares = torch.full((400, 500), 0.15)
    shares[:, 250:] = 0.4
    shares[:, 0] = 0.0
    inputs, targets = batches.mask(ids, shares, held, torch.Generator().manual_seed(0))
    taken = targets != batches.IGNORED
    assert float(taken[:, 1:250].float().mean()) == pytest.approx(0.15, abs=0.005)
    assert float(taken[:, 250:].float().mean()) == pytest.approx(0.40, abs=0.005)
    assert not taken[:, 0].any()
    assert (targets[taken] == 50).all()
    assert (inputs[~taken] == 50).all()
    replaced = inputs[taken]
    assert float((replaced == 4).float().mean()) == pytest.approx(0.8, abs=0.01)
    assert float((replaced == 50).float().mean()) == pytest.approx(0.1 + 0.1 / 100, abs=0.01)
    assert int(replaced[replaced != 4].min()) == 5
    assert int(replaced.max()) == 104


def test_every_document_comes_once_a_round_and_its_masks_change_with_the_round() -> None:
    rows = [torch.arange(length, dtype=torch.int32) + 100 * number for number, length in enumerate((6, 9, 8, 7, 6), start=1)]
    held = batches.MaskedCorpus(rows, [torch.full((len(row),), 0.5) for row in rows], 4, 1, 2000, 5)
    stream = batches.masked_batches(held, 2, seed=1)
    masks: list[dict[int, list[bool]]] = []
    for _ in range(2):
        seen: dict[int, list[bool]] = {}
        for batch in itertools.islice(stream, 3):
            originals = torch.where(batch.targets == batches.IGNORED, batch.input_ids, batch.targets)
            for original, targets in zip(originals.tolist(), batch.targets.tolist(), strict=True):
                seen[max(original) // 100] = [target != batches.IGNORED for target in targets]
        masks.append(seen)
    assert [sorted(seen) for seen in masks] == [[1, 2, 3, 4, 5]] * 2
    assert masks[0] != masks[1]


def test_only_a_batch_with_padding_has_an_attention_mask() -> None:
    rows = [torch.arange(10, 10 + length, dtype=torch.int32) for length in (3, 5, 5)]
    held = batches.MaskedCorpus(rows, [torch.zeros(len(row)) for row in rows], 4, 1, 2000, 5)
    generator = torch.Generator().manual_seed(0)
    padded = batches.padded(held, [0, 1], generator)
    assert padded.attention_mask is not None
    assert padded.attention_mask.tolist() == [[1, 1, 1, 0, 0], [1, 1, 1, 1, 1]]
    assert padded.input_ids[0].tolist() == [10, 11, 12, 1, 1]
    assert batches.padded(held, [1, 2], generator).attention_mask is None


def test_a_block_starts_where_a_document_starts() -> None:
    documents = [[1, 2, 3], [4, 5, 6], [7, 8]]
    assert list(batches.pack(documents, 5)) == [[1, 2, 3, 4, 5], [4, 5, 6, 7, 8]]
    assert list(batches.pack(documents, 4)) == [[1, 2, 3, 4], [4, 5, 6, 7]]


def test_a_document_longer_than_a_block_is_split_and_none_of_it_lost() -> None:
    assert list(batches.pack([[1, 2, 3, 4, 5, 6, 7, 8], [9]], 4)) == [[1, 2, 3, 4], [5, 6, 7, 8]]


def test_every_block_begins_with_the_prefix_of_a_prompt() -> None:
    assert list(batches.pack([[1, 2], [3, 4, 5, 6, 7], [8]], 4, prefix=[0])) == [[0, 1, 2, 3], [0, 3, 4, 5], [0, 6, 7, 8]]


def test_what_does_not_fill_a_block_is_left_out() -> None:
    assert list(batches.pack([[1, 2]], 4)) == []


def test_the_target_of_a_token_is_the_next_one() -> None:
    batch = batches.causal([[5, 6, 7], [8, 9, 10]])
    assert batch.targets.tolist() == [[6, 7, -100], [9, 10, -100]]


@pytest.mark.parametrize("architecture", ["phi", "llama", "bloom", "falcon"])
def test_a_decoder_reads_line_breaks_between_documents_and_never_an_end_of_sequence(tiny_base: Any, architecture: str) -> None:
    tokenizer = bases.load_tokenizer(tiny_base(architecture))
    documents = batches.encode_causal(tokenizer, TEXTS)
    assert all(tokenizer.decode(document).endswith(".\n") for document in documents)
    assert not {tokenizer.eos_token_id, tokenizer.pad_token_id} & set(itertools.chain(*documents))


def test_the_learning_rate_rises_is_held_and_falls_over_the_last_quarter() -> None:
    schedule = Schedule(max_steps=8, batch_size=1, learning_rate=1.0, warmup_steps=2, weight_decay=0.0)
    assert [schedule.rate(step) for step in range(8)] == [0.5, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 0.5]


def test_a_unigram_model_is_smoothed_by_one() -> None:
    counts = torch.tensor([2, 1, 0])  # probabilities 3/6, 2/6, 1/6
    assert pretraining.unigram_loss(counts, torch.tensor([0, 1, 2])) == pytest.approx(math.log(2 * 3 * 6) / 3)


def test_the_held_out_loss_is_the_mean_over_target_tokens(tiny_base: Any) -> None:
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(bases.location(tiny_base("llama"))[0])
    blocks = [[5, 6, 7, 8], [9, 10, 11, 12], [13, 14, 15, 16]]
    logits = model(input_ids=torch.tensor(blocks)).logits.log_softmax(-1)
    by_hand = -sum(float(logits[row, at, blocks[row][at + 1]].detach()) for row in range(3) for at in range(3)) / 9
    split = [batches.causal(blocks[:2]), batches.causal(blocks[2:])]
    assert pretraining.held_out_loss(model, split) == pytest.approx(by_hand, rel=1e-5)


def test_padding_does_not_change_the_masked_loss(tiny_base: Any) -> None:
    from transformers import AutoModelForMaskedLM

    model = AutoModelForMaskedLM.from_pretrained(bases.location(tiny_base("roberta"))[0]).eval()
    long, short = [0, 10, 11, 12, 13, 2], [0, 4, 21, 2]
    targets = torch.full((2, 6), batches.IGNORED)
    targets[1, 1] = 20
    together = batches.Batch(torch.tensor([long, [*short, 1, 1]]), torch.tensor([[1] * 6, [1, 1, 1, 1, 0, 0]]), targets)
    alone = batches.Batch(torch.tensor([short]), None, targets[1:, :4])
    assert pretraining.held_out_loss(model, [together]) == pytest.approx(pretraining.held_out_loss(model, [alone]), rel=1e-5)


@pytest.mark.parametrize("architecture", ["roberta", "falcon"])
def test_the_same_seed_gives_the_same_bytes_and_another_seed_others(architecture: str, tmp_path: Path) -> None:
    hashes = []
    for number, seed in enumerate((0, 0, 1)):
        model, tokenizer, record = pretrained(architecture, seed)
        folder = tmp_path / str(number)
        folder.mkdir()
        bases.save_miniature(folder, "tiny", architecture, model, tokenizer, {})
        files.write_json(folder / "pretraining.json", record)
        hashes.append([files.sha256_file(folder / name) for name in ("model.safetensors", "pretraining.json", "manifest.json")])
    assert hashes[0] == hashes[1]
    assert all(one != other for one, other in zip(hashes[0], hashes[2], strict=True))


@pytest.mark.parametrize("architecture", ["roberta", "phi"])
def test_a_base_learns_its_corpus_and_beats_a_unigram_model(architecture: str) -> None:
    schedule = Schedule(max_steps=150, batch_size=8, learning_rate=5e-3, warmup_steps=10, weight_decay=0.0)
    _, tokenizer, record = pretrained(architecture, 0, schedule)
    held_out = record["held_out"]
    assert held_out["perplexity"] < 0.6 * held_out["unigram_perplexity"]
    assert held_out["perplexity"] == pytest.approx(math.exp(held_out["loss"]))
    assert held_out["unigram_perplexity"] < len(tokenizer)
    losses = [row["held_out_loss"] for row in record["curve"] if row["held_out_loss"] is not None]
    assert len(losses) == 5
    assert losses[-1] < losses[0]
    assert record["curve"][-1]["step"] == 150


def test_a_validation_split_too_small_for_one_block_is_refused(tiny_base: Any) -> None:
    model, tokenizer = bases.new_miniature("phi", DIMENSIONS, 500, TEXTS * 3, 0, block_size=512)
    with pytest.raises(UserError, match="not enough for one input of 512 tokens"):
        pretraining.pretrain(model, tokenizer, corpus(), corpus(TEXTS[:2]), "causal", SHORT, 512, 0)
