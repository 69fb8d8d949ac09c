"""Neither batch size nor padding nor the neighbours in a batch change what a model says, for every architecture."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from decoders import DECODERS, TEXTS, sharpened

from ftbench import adapters, bases, evaluation_nli, inference, models, schema, text
from ftbench.errors import UserError
from ftbench.schema import PromptAdapter, Quantization

NF4 = Quantization(bnb_4bit_quant_type="nf4", bnb_4bit_use_double_quant=False, bnb_4bit_compute_dtype="float32")
TOLERANCE = 1e-4

Base = Callable[[str], Path]


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


def one_by_one(model: Any, features: list[Any], read: Callable[[Any], Any]) -> np.ndarray:
    """The reference: each example alone, without padding or attention mask, through the model itself."""
    model.eval()
    with torch.inference_mode():
        return np.stack([read(model(torch.tensor([feature["input_ids"]])).logits[0]).double().numpy() for feature in features])


def assert_unchanged(function: Callable[[list[Any], int], np.ndarray], features: list[Any], expected: np.ndarray) -> None:
    for batch_size in (1, 2, 4, len(features)):
        got = function(features, batch_size)
        np.testing.assert_allclose(got, expected, atol=TOLERANCE)
        if got.ndim == 2:
            assert (got.argmax(axis=1) == expected.argmax(axis=1)).all()
    turned = function(features[::-1], 4)[::-1]
    np.testing.assert_allclose(turned, expected, atol=TOLERANCE)


def test_an_encoders_predictions_do_not_depend_on_the_batch(tiny_base: Base) -> None:
    model, tokenizer = sharpened(models.load_encoder(tiny_base("roberta"), seed=1)), bases.load_tokenizer(tiny_base("roberta"))
    features = text.encode_pairs(tokenizer, TEXTS, TEXTS[::-1], 128).features
    expected = one_by_one(model, features, lambda logits: logits.log_softmax(-1))
    assert expected.std(axis=0).min() > 1e-3  # inputs are told apart
    assert_unchanged(lambda batch, size: inference.classify(model, tokenizer, batch, size), features, expected)
    np.testing.assert_allclose(np.exp(expected).sum(axis=1), 1, atol=1e-6)


@pytest.mark.parametrize("architecture", DECODERS)
def test_a_decoder_heads_predictions_do_not_depend_on_the_batch(architecture: str, tiny_base: Base) -> None:
    base = tiny_base(architecture)
    model, tokenizer = sharpened(models.load_decoder_head(base, None, "last", seed=1)), bases.load_tokenizer(base)
    features = text.encode_prompts(tokenizer, TEXTS, 128).features
    alone = np.concatenate([inference.classify(model, tokenizer, [feature], 1) for feature in features])
    assert alone.std(axis=0).min() > 1e-3
    assert_unchanged(lambda batch, size: inference.classify(model, tokenizer, batch, size), features, alone)


@pytest.mark.parametrize("architecture", DECODERS)
def test_label_likelihoods_do_not_depend_on_the_batch(architecture: str, tiny_base: Base) -> None:
    base = tiny_base(architecture)
    model, tokenizer = sharpened(models.load_decoder(base, None)), bases.load_tokenizer(base)
    words = [" neutral", " yes", " no"]
    features = text.encode_prompts(tokenizer, TEXTS, 128).features
    ids = text.answer_tokens(tokenizer, TEXTS[0], words)
    assert [len(tokens) for tokens in ids] == [1, 1, 1]
    expected = one_by_one(model, features, lambda logits: logits[-1].log_softmax(-1)[[tokens[0] for tokens in ids]])
    assert expected.std(axis=0).min() > 1e-3
    assert_unchanged(lambda batch, size: inference.score_labels(model, tokenizer, batch, words, size), features, expected)


@pytest.mark.parametrize("architecture", DECODERS)
def test_answer_losses_do_not_depend_on_the_batch(architecture: str, tiny_base: Base) -> None:
    base = tiny_base(architecture)
    model, tokenizer = sharpened(models.load_decoder(base, None)), bases.load_tokenizer(base)
    features = text.encode_answers(tokenizer, TEXTS, TEXTS[::-1], 128).features
    expected = []
    for feature in features:
        with torch.inference_mode():
            scores = model.eval()(torch.tensor([feature["input_ids"]])).logits[0].double().log_softmax(-1)
        answer = [(place, token) for place, token in enumerate(feature["labels"]) if token != text.IGNORED]
        expected.append(-sum(float(scores[place - 1, token]) for place, token in answer))
    losses = np.array(expected)
    for batch_size in (1, 4, 6):
        np.testing.assert_allclose(inference.answer_loss(model, tokenizer, features, batch_size), losses, rtol=1e-5)


def test_a_model_that_writes_freely_is_right_where_its_word_is_the_gold_label_and_invalid_where_it_is_no_label(tiny_base: Base) -> None:
    base = tiny_base("phi")
    model, tokenizer = models.load_decoder(base, None), bases.load_tokenizer(base)
    settings = schema.Text(
        max_length=64,
        template="{premise} {hypothesis}\nRelation:",
        labels=schema.Labels(entailment="yes", neutral="maybe", contradiction="no"),
    )
    pairs = {"premise": ["A man is sleeping.", "Two dogs", "A boy"], "hypothesis": ["A person is asleep.", "No dog", "A girl"]}
    pairs |= {"label": [0, 2, 0]}

    def always(word: str) -> torch.Tensor:
        [[first, *_]] = text.answer_tokens(tokenizer, "Relation:", [word])
        return 100 * torch.nn.functional.one_hot(torch.tensor(first), model.config.vocab_size).float()

    wanted = {" yes": {"n": 3, "accuracy": 2 / 3, "num_invalid": 0}, " true": {"n": 3, "accuracy": 0.0, "num_invalid": 3}}
    found = {}
    for word in wanted:
        forced, turn = always(word), []

        def steer(module: Any, inputs: Any, output: torch.Tensor, forced: torch.Tensor = forced, turn: list[int] = turn) -> torch.Tensor:
            turn.append(1)  # the word at the first step, then an end of sequence
            ending = torch.zeros_like(forced)
            ending[tokenizer.eos_token_id] = 100
            return output + (forced if len(turn) % 2 else ending)

        handle = model.lm_head.register_forward_hook(steer)
        found[word] = evaluation_nli.written(model, tokenizer, pairs, settings, batch_size=3)
        handle.remove()
    assert found == {word: pytest.approx(one) for word, one in wanted.items()}


@pytest.mark.parametrize("architecture", ["phi", "falcon"])
def test_four_bit_predictions_do_not_depend_on_the_batch(architecture: str, tiny_base: Base) -> None:
    base = tiny_base(architecture)
    model, tokenizer = models.load_decoder(base, NF4), bases.load_tokenizer(base)
    assert models.num_4bit_layers(model) > 0
    features = text.encode_prompts(tokenizer, TEXTS, 128).features
    words = [" neutral", " yes", " no"]
    alone = inference.score_labels(model, tokenizer, features, words, 1)
    assert_unchanged(lambda batch, size: inference.score_labels(model, tokenizer, batch, words, size), features, alone)


@pytest.mark.parametrize("architecture", ["llama", "roberta"])
def test_predictions_under_virtual_tokens_do_not_depend_on_the_batch(architecture: str, tiny_base: Base) -> None:
    base, encoder = tiny_base(architecture), architecture == "roberta"
    plain = models.load_encoder(base, seed=1) if encoder else models.load_decoder(base, None)
    settings = PromptAdapter(num_virtual_tokens=5, encoder_reparameterization_type="MLP", encoder_hidden_size=16)
    model = adapters.prompt_encoder(sharpened(plain), settings, seed=1, task="SEQ_CLS" if encoder else "CAUSAL_LM")
    tokenizer = bases.load_tokenizer(base)
    if encoder:
        features = text.encode_pairs(tokenizer, TEXTS, TEXTS[::-1], 100).features
        expected = one_by_one(model, features, lambda logits: logits.log_softmax(-1))
        assert_unchanged(lambda batch, size: inference.classify(model, tokenizer, batch, size), features, expected)
        return
    features = text.encode_prompts(tokenizer, TEXTS, 100).features
    words = [" neutral", " yes", " no"]
    ids = [tokens[0] for tokens in text.answer_tokens(tokenizer, TEXTS[0], words)]
    expected = one_by_one(model, features, lambda logits: logits[-1].log_softmax(-1)[ids])
    assert_unchanged(lambda batch, size: inference.score_labels(model, tokenizer, batch, words, size), features, expected)


def test_labels_of_several_tokens_are_scored_as_sequences(tiny_base: Base) -> None:
    base = tiny_base("phi")
    model, tokenizer = sharpened(models.load_decoder(base, None)), bases.load_tokenizer(base)
    words = [" neutral", " not neutral", " the capital of France"]
    assert [len(tokens) > 1 for tokens in text.answer_tokens(tokenizer, TEXTS[0], words)] == [False, True, True]
    features = text.encode_prompts(tokenizer, TEXTS[:3], 128).features
    scored = inference.score_labels(model, tokenizer, features, words, 2)
    for column, word in enumerate(words):
        answers = text.encode_answers(tokenizer, TEXTS[:3], [word] * 3, 128, end=False).features
        np.testing.assert_allclose(scored[:, column], -inference.answer_loss(model, tokenizer, answers, 1), atol=TOLERANCE)
    single = inference.score_labels(model, tokenizer, features, words[:1], 2)
    np.testing.assert_allclose(scored[:, :1], single, atol=TOLERANCE)


@pytest.mark.parametrize("architecture", DECODERS)
@pytest.mark.parametrize("words", [[" neutral", " yes", " no"], [" neutral", " not neutral", " the capital of France"]])
def test_what_all_prompts_begin_with_is_computed_once_and_changes_no_likelihood(
    architecture: str, words: list[str], tiny_base: Base
) -> None:
    base = tiny_base(architecture)
    model, tokenizer = sharpened(models.load_decoder(base, None)), bases.load_tokenizer(base)
    begun = [f"{' '.join(TEXTS)} {one}" for one in TEXTS]  # one text begins like another, but is shorter
    features = text.encode_prompts(tokenizer, [*begun, f"{begun[0]} {TEXTS[1]}"], 512).features
    answers = text.answer_tokens(tokenizer, begun[0], words)
    expected = np.array([[likelihood(model, feature["input_ids"], answer) for answer in answers] for feature in features])
    assert expected.std(axis=0).min() > 1e-3
    widths: list[int] = []
    handle = model.get_input_embeddings().register_forward_hook(lambda module, inputs, output: widths.append(inputs[0].numel()))
    assert_unchanged(lambda batch, size: inference.score_labels(model, tokenizer, batch, words, size), features, expected)
    handle.remove()
    assert min(len(feature["input_ids"]) for feature in features) > 2 * inference.SHARED
    assert sum(widths) < 0.7 * 3 * sum(len(feature["input_ids"]) for feature in features)  # three batch sizes


def likelihood(model: Any, prompt: list[int], answer: list[int]) -> float:
    """The log-likelihood of an answer after a prompt: one pass over both, no cache, no padding."""
    with torch.inference_mode():
        scores = model.eval()(torch.tensor([prompt + answer])).logits[0].double().log_softmax(-1)
    return sum(float(scores[len(prompt) - 1 + place, token]) for place, token in enumerate(answer))


def test_prompts_share_what_they_all_begin_with_and_keep_a_token_of_their_own() -> None:
    def shared(*prompts: list[int]) -> int:
        return inference._num_shared([{"input_ids": prompt} for prompt in prompts])

    assert shared([1, 2, 3, 4], [1, 2, 5], [1, 2, 3, 9, 9]) == 2
    assert shared([1, 2], [1, 2, 3]) == 1  # the shorter is the other's beginning
    assert shared([7, 7], [7, 7]) == 1
    assert shared([1], [2]) == shared([4]) == shared() == 0


def test_decoders_are_padded_left_and_encoders_right(tiny_base: Base) -> None:
    features = [{"input_ids": [5, 6, 7]}, {"input_ids": [8]}]
    left = inference.pad(features, bases.load_tokenizer(tiny_base("phi")), "cpu")
    right = inference.pad(features, bases.load_tokenizer(tiny_base("roberta")), "cpu")
    assert left["attention_mask"].tolist() == [[1, 1, 1], [0, 0, 1]]
    assert right["attention_mask"].tolist() == [[1, 1, 1], [1, 0, 0]]
    assert left["input_ids"][1, -1] == right["input_ids"][1, 0] == 8


def test_evaluating_leaves_a_model_in_the_mode_it_was_in(tiny_base: Base) -> None:
    base = tiny_base("roberta")
    model, tokenizer = models.load_encoder(base, seed=1).train(), bases.load_tokenizer(base)
    features = text.encode_pairs(tokenizer, TEXTS[:2], TEXTS[:2], 64).features
    assert (inference.classify(model, tokenizer, features, 2) == inference.classify(model, tokenizer, features, 2)).all()  # without dropout
    assert model.training


def test_no_examples_and_no_pad_token_are_refused(tiny_base: Base) -> None:
    base = tiny_base("roberta")
    model, tokenizer = models.load_encoder(base, seed=1), bases.load_tokenizer(base)
    with pytest.raises(UserError, match="no example"):
        inference.classify(model, tokenizer, [], 4)
    tokenizer.pad_token = None
    with pytest.raises(UserError, match="no pad token"):
        inference.classify(model, tokenizer, [{"input_ids": [5]}], 4)
