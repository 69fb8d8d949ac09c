"""Prompts, tokens and hashes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ftbench import bases, text
from ftbench.errors import UserError
from ftbench.schema import InstructionTemplate, Labels, Text

LABELS = Labels(entailment="yes", neutral="maybe", contradiction="no")
PAIR = Text(max_length=64, template="{premise} => {hypothesis}:", labels=LABELS)
TWO_TEMPLATES = InstructionTemplate(with_input="Do {instruction} with {input}.", without_input="Do {instruction}.")
INSTRUCTION = Text(max_length=64, template=TWO_TEMPLATES)


@pytest.fixture(scope="module")
def encoder(tiny_base: Callable[[str], Path]) -> Any:
    return bases.load_tokenizer(tiny_base("roberta"))


@pytest.fixture(scope="module")
def decoder(tiny_base: Callable[[str], Path]) -> Any:
    return bases.load_tokenizer(tiny_base("llama"))


def test_a_label_prompt_holds_the_pair_and_its_answers_start_with_a_space() -> None:
    assert text.label_prompt(PAIR, "It rains.", "It is wet.") == "It rains. => It is wet.:"
    assert text.label_answers(PAIR) == [" yes", " maybe", " no"]


def test_an_answer_has_no_space_of_its_own_after_a_template_that_ends_in_one() -> None:
    assert text.label_answers(PAIR, "{premise} {hypothesis}\n") == ["yes", "maybe", "no"]


def test_a_written_text_is_the_label_that_it_begins_with_as_a_word_of_its_own() -> None:
    answers = [" yes", " maybe", " no"]
    said = {" yes": 0, "no.": 2, "maybe so": 1, "not at all": None, "yesterday": None, "": None, "Yes": None, "\nno\n": 2}
    assert {written: text.label_of(written, answers) for written in said} == said
    assert text.label_of("not sure", [" not", " not sure", " sure"]) == 1


def test_solved_examples_stand_before_the_question_in_its_wording() -> None:
    prompt = text.label_prompt(PAIR, "C", "D", examples=[("A", "B", 2)])
    assert prompt == "A => B: no\n\nC => D:"
    assert text.label_prompt(PAIR, "C", "D", template="{hypothesis}<{premise}?", examples=[("A", "B", 0)]) == "B<A? yes\n\nD<C?"


def test_a_blank_input_takes_the_template_without_one() -> None:
    assert text.instruction_prompt(INSTRUCTION, "sums", "1, 2") == "Do sums with 1, 2."
    assert text.instruction_prompt(INSTRUCTION, "sums", " \n") == "Do sums."


def test_braces_in_a_value_are_text() -> None:
    assert text.fill("{{a}} {premise}", premise="{hypothesis} {0} {x.y}") == "{a} {hypothesis} {0} {x.y}"


@pytest.mark.parametrize("template", ["{premise.__class__}", "{premise[0]}", "{premise!r}", "{premise:>40}", "{0}", "{}", "{premises}"])
def test_a_template_may_only_name_its_fields(template: str) -> None:
    with pytest.raises(UserError, match=r"allowed: \{premise\}") as raised:
        text.fill(template, premise="A")
    assert template in str(raised.value)


def test_a_misspelt_field_is_answered_with_the_nearest() -> None:
    with pytest.raises(UserError, match="did you mean 'hypothesis'"):
        text.fill("{hypotesis}", premise="A", hypothesis="B")


def test_hashes_tell_apart_pairs_whose_texts_run_together() -> None:
    assert text.prompt_hash("ab", "c") != text.prompt_hash("a", "bc")
    assert text.example_hash("a", "b") == text.example_hash("a", "b")


def test_an_encoders_pair_is_both_texts_with_special_tokens(encoder: Any) -> None:
    encoded = text.encode_pairs(encoder, ["A man is sleeping."], ["A person is asleep."], 64)
    ids = encoded.features[0]["input_ids"]
    assert encoded.num_truncated == 0
    assert (ids[0], ids[-1]) == (encoder.bos_token_id, encoder.eos_token_id)
    assert encoder.decode(ids, skip_special_tokens=True) == "A man is sleeping.A person is asleep."


@pytest.mark.parametrize(("only", "read"), [("hypothesis", "No dog."), ("premise", "A cat.")])
def test_one_sentence_alone_leaves_the_other_out(encoder: Any, only: str, read: str) -> None:
    encoded = text.encode_pairs(encoder, ["A cat."], ["No dog."], 64, only=only)
    assert encoded.features == text.encode_pairs(encoder, [read], [read], 64, only=only).features
    assert encoder.decode(encoded.features[0]["input_ids"], skip_special_tokens=True) == read


def test_of_a_pair_that_is_too_long_the_longer_text_is_cut_and_counted(encoder: Any) -> None:
    premises, hypotheses = ["A dog is running in the park near the river.", "No dog."], ["A dog is running.", "No dog."]
    whole = text.encode_pairs(encoder, premises, hypotheses, 64)
    limit = len(whole.features[0]["input_ids"]) - 3
    cut = text.encode_pairs(encoder, premises, hypotheses, limit)
    assert cut.num_truncated == 1
    assert len(cut.features[0]["input_ids"]) == limit
    assert cut.features[1] == whole.features[1]
    short = text.encode_pairs(encoder, ["x"], hypotheses[:1], 64).features[0]["input_ids"]
    hypothesis = short[short.index(encoder.eos_token_id) :]
    assert cut.features[0]["input_ids"][-len(hypothesis) :] == hypothesis  # untouched


def test_a_prompt_that_is_too_long_loses_its_beginning_and_keeps_its_start_token(decoder: Any) -> None:
    whole = text.encode_prompts(decoder, ["A man is sleeping. A person is asleep:"], 64).features[0]["input_ids"]
    start = whole[: whole.index(decoder.bos_token_id) + 1] if decoder.bos_token_id in whole else []
    cut = text.encode_prompts(decoder, ["A man is sleeping. A person is asleep:"], 5)
    assert cut.num_truncated == 1
    assert cut.features[0]["input_ids"] == start + whole[-(5 - len(start)) :]


def test_an_answers_labels_are_its_tokens_and_the_end_of_sequence(decoder: Any) -> None:
    encoded = text.encode_answers(decoder, ["Relation:"], [" neutral"], 64)
    prompt = text.encode_prompts(decoder, ["Relation:"], 64).features[0]["input_ids"]
    answer = text.answer_tokens(decoder, "Relation:", [" neutral"])[0]
    feature = encoded.features[0]
    assert feature["input_ids"] == [*prompt, *answer, decoder.eos_token_id]
    assert feature["labels"] == [text.IGNORED] * len(prompt) + [*answer, decoder.eos_token_id]
    assert (encoded.num_bytes, encoded.num_truncated) == ([8], 0)


@pytest.mark.parametrize("architecture", ["phi", "llama", "bloom", "falcon"])
def test_an_answers_tokens_are_those_that_the_whole_text_has(architecture: str, tiny_base: Callable[[str], Path]) -> None:
    tokenizer = bases.load_tokenizer(tiny_base(architecture))
    for prompt, answer in [("Relation:", " neutral"), ("### Response:\n", "The capital of France is Paris."), ("A man", "")]:
        feature = text.encode_answers(tokenizer, [prompt], [answer], 64, end=False).features[0]
        assert feature["input_ids"] == tokenizer(prompt + answer)["input_ids"]
        assert tokenizer.decode([token for token in feature["labels"] if token != text.IGNORED]).strip() == answer.strip()


def test_an_answer_that_would_share_a_token_with_its_prompt_is_tokenised_alone(tiny_base: Callable[[str], Path]) -> None:
    tokenizer = bases.load_tokenizer(tiny_base("phi"))
    assert tokenizer("man is")["input_ids"][0] != tokenizer("m")["input_ids"][0]
    encoded = text.encode_answers(tokenizer, ["A m"], ["an is"], 64, end=False)
    prompt, answer = (tokenizer(part, add_special_tokens=False)["input_ids"] for part in ("A m", "an is"))
    assert encoded.features[0]["input_ids"] == prompt + answer
    assert encoded.num_bytes == [5]


def test_an_answer_that_is_too_long_loses_its_end_after_half_the_prompt(decoder: Any) -> None:
    answer = " naïve entailment neutral contradiction yes no maybe true false"
    encoded = text.encode_answers(decoder, ["A man is sleeping. A person is asleep:"], [answer], 12)
    feature = encoded.features[0]
    kept = [token for token in feature["labels"] if token != text.IGNORED]
    assert encoded.num_truncated == 1
    assert len(feature["input_ids"]) == 12
    assert len(kept) == 6
    assert decoder.eos_token_id not in kept
    said = " " + decoder.decode(kept)  # Llama's decoder drops the first space
    assert answer.startswith(said)
    assert encoded.num_bytes[0] == len(said.encode()) < len(answer.encode())


def test_nothing_encodes_to_nothing(decoder: Any) -> None:
    assert text.encode_prompts(decoder, [], 8).features == text.encode_answers(decoder, [], [], 8).features == []
    assert text.encode_pairs(decoder, [], [], 8).features == []
