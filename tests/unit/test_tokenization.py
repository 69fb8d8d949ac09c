from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ftbench import miniature, tokenization
from ftbench.errors import UserError

TEXTS = ["A man sleeps near 12 dogs.\nThe men sing."] * 5 + ["Relation: entailment", "Relation: neutral", "Relation: contradiction"] * 3
LATE = ["zygote"] * 5


@pytest.fixture(scope="module")
def tokenizers() -> dict[str, Any]:
    return {name: tokenization.train(name, [*TEXTS, *(f"a {word}" for word in LATE)], 600, 64) for name in tokenization.ARCHITECTURES}


def pieces(tokenizer: Any, text: str) -> list[str]:
    return tokenizer.convert_ids_to_tokens(tokenizer(text, add_special_tokens=False)["input_ids"])


def test_there_is_a_tokenizer_for_each_of_the_five_architectures() -> None:
    assert tokenization.ARCHITECTURES == ("roberta", "phi", "llama", "bloom", "falcon")
    assert set(tokenization.SPECIALS) == set(miniature.FAMILIES) == set(tokenization.ARCHITECTURES)


@pytest.mark.parametrize("architecture", tokenization.ARCHITECTURES)
def test_a_number_is_read_digit_by_digit(tokenizers: dict[str, Any], architecture: str) -> None:
    assert pieces(tokenizers[architecture], "A man 9402")[-4:] == ["9", "4", "0", "2"]


@pytest.mark.parametrize("architecture", tokenization.ARCHITECTURES)
def test_a_label_word_after_the_prompt_is_one_token(tokenizers: dict[str, Any], architecture: str) -> None:
    prompt = pieces(tokenizers[architecture], "Relation:")
    for label in ("entailment", "neutral", "contradiction"):
        space = "▁" if architecture == "llama" else "Ġ"
        assert pieces(tokenizers[architecture], f"Relation: {label}") == [*prompt, f"{space}{label}"]


@pytest.mark.parametrize("architecture", tokenization.ARCHITECTURES)
def test_a_word_of_the_last_text_is_one_token_too(tokenizers: dict[str, Any], architecture: str) -> None:
    assert pieces(tokenizers[architecture], "a zygote")[-1].endswith("zygote")


@pytest.mark.parametrize("architecture", tokenization.ARCHITECTURES)
def test_text_never_seen_survives_there_and_back(tokenizers: dict[str, Any], architecture: str) -> None:
    tokenizer = tokenizers[architecture]
    text = 'Née 3.5 % of "quux" — ☃\n\n  two spaces , and (brackets) <b>'
    assert tokenizer.decode(tokenizer(text)["input_ids"], skip_special_tokens=True) == text
    assert architecture in ("phi", "falcon") or tokenizer.unk_token_id not in tokenizer(text)["input_ids"]


@pytest.mark.parametrize("architecture", tokenization.ARCHITECTURES)
def test_it_reloads_from_its_folder_to_the_same_ids(
    tokenizers: dict[str, Any], architecture: str, tiny_dimensions: dict[str, dict[str, Any]], tmp_path: Path
) -> None:
    from transformers import AutoTokenizer

    miniature.config(architecture, tiny_dimensions[architecture], 600).save_pretrained(tmp_path)
    tokenizers[architecture].save_pretrained(tmp_path)
    reloaded = AutoTokenizer.from_pretrained(tmp_path, local_files_only=True)
    for text in ("A man sleeps near 7 dogs.\nRelation: entailment", "née ☃ 2026", " leading space"):
        assert reloaded(text)["input_ids"] == tokenizers[architecture](text)["input_ids"]
    assert (reloaded.padding_side, reloaded.model_max_length) == ("right" if architecture == "roberta" else "left", 64)


@pytest.mark.parametrize("architecture", tokenization.ARCHITECTURES)
def test_the_pad_token_is_its_own(tokenizers: dict[str, Any], architecture: str) -> None:
    tokenizer = tokenizers[architecture]
    assert tokenizer.pad_token_id not in (None, tokenizer.eos_token_id, tokenizer.bos_token_id)


def test_special_tokens_have_the_ids_of_the_originals(tokenizers: dict[str, Any]) -> None:
    roberta, llama = tokenizers["roberta"], tokenizers["llama"]
    assert [roberta.bos_token_id, roberta.pad_token_id, roberta.eos_token_id, roberta.unk_token_id] == [0, 1, 2, 3]
    assert [llama.unk_token_id, llama.bos_token_id, llama.eos_token_id] == [0, 1, 2]


def test_roberta_joins_a_pair_as_the_original_does(tokenizers: dict[str, Any]) -> None:
    tokens = tokenizers["roberta"].convert_ids_to_tokens(tokenizers["roberta"]("A man", "A man")["input_ids"])
    assert tokens == ["<s>", "A", "Ġman", "</s>", "</s>", "A", "Ġman", "</s>"]


def test_only_llama_begins_a_prompt_with_a_special_token(tokenizers: dict[str, Any]) -> None:
    begins = {name: tokenizers[name]("")["input_ids"] for name in ("phi", "llama", "bloom", "falcon")}
    assert begins == {"phi": [], "llama": [1], "bloom": [], "falcon": []}


def test_the_limit_on_the_vocabulary_is_kept(tokenizers: dict[str, Any]) -> None:
    words = [f"{first}{second}{third}ing" for first in "bcdf" for second in "aeiou" for third in "lmnp"] * 3
    assert len(tokenization.train("bloom", words, 300, 64)) == 300


def test_a_vocabulary_too_small_for_every_byte_is_refused() -> None:
    with pytest.raises(UserError, match=r"vocab_size\n.*found: *261") as refusal:
        tokenization.train("roberta", TEXTS, 261, 64)
    assert "more than 261" in str(refusal.value)


class Bare:
    """What `ensure_padding` sees of a tokenizer."""

    def __init__(self, pad: str | None = None, eos: str | None = None, unk: str | None = None) -> None:
        self.pad_token, self.eos_token, self.unk_token = pad, eos, unk

    @property
    def pad_token_id(self) -> int | None:
        return None if self.pad_token is None else 7


@pytest.mark.parametrize(
    ("tokenizer", "pad"),
    [(Bare("<pad>", "</s>", "<unk>"), "<pad>"), (Bare(None, "</s>", "<unk>"), "</s>"), (Bare(None, None, "<unk>"), "<unk>")],
)
def test_padding_takes_the_pad_token_or_end_of_sequence_or_unknown(tokenizer: Bare, pad: str) -> None:
    assert tokenization.ensure_padding(tokenizer).pad_token == pad


def test_a_tokenizer_with_nothing_to_pad_with_is_refused_by_name() -> None:
    with pytest.raises(UserError, match=r"(?s)llama_3_8b: tokenizer.*without a pad token.*tokenizer_config.json"):
        tokenization.ensure_padding(Bare(), where="llama_3_8b: tokenizer")
