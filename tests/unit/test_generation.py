"""Greedy answers: the same in any batch, ended where the model ends them, and out of the way of those that go on."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from decoders import DECODERS, TEXTS, sharpened

from ftbench import adapters, bases, inference, models, text
from ftbench.schema import PromptAdapter

END = 2

Base = Callable[[str], Path]


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


def without_cache(model: Any, prompt: list[int], most: int, end: int) -> list[int]:
    """The reference: the whole sequence again for each token, no cache and no padding."""
    ids = list(prompt)
    while len(ids) < len(prompt) + most and (len(ids) == len(prompt) or ids[-1] != end):
        with torch.inference_mode():
            ids.append(int(model.eval()(torch.tensor([ids])).logits[0, -1].argmax()))
    return ids[len(prompt) :]


def ends_at(tokenizer: Any, token: int) -> None:
    """Make a token that the model does write the end of sequence."""
    tokenizer.eos_token = tokenizer.convert_ids_to_tokens(token)
    assert tokenizer.eos_token_id == token


def said(tokenizer: Any, tokens: list[int]) -> str:
    """The text of tokens without the end of sequence."""
    return str(tokenizer.decode([token for token in tokens if token != tokenizer.eos_token_id], skip_special_tokens=True)).strip()


class Countdown(torch.nn.Module):
    """After a token comes the one below it, down to the end of sequence; `rows` is how many each pass was over."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(1))
        self.rows: list[int] = []

    def forward(self, input_ids: Any, past_key_values: Any, **_: Any) -> Any:
        self.rows.append(len(input_ids))
        if past_key_values is not None:
            assert past_key_values.rows == len(input_ids), "a cache of other rows"
        cache = SimpleNamespace(rows=len(input_ids))
        cache.batch_select_indices = lambda kept: setattr(cache, "rows", len(kept))
        return SimpleNamespace(logits=torch.nn.functional.one_hot((input_ids - 1).clamp(min=0), 20).float(), past_key_values=cache)


class Numbers:
    """A tokenizer whose tokens are written as their numbers."""

    padding_side, pad_token_id, eos_token_id = "left", 0, END

    def decode(self, tokens: list[int], skip_special_tokens: bool) -> str:
        return " ".join(map(str, tokens))


PROMPTS = [[END + 3], [END + 5], [9, END + 1], [9, 9, END + 3]]


def test_an_answer_that_ends_leaves_its_batch_and_the_longest_is_cut_off() -> None:
    model = Countdown()
    answers = inference.generate(model, Numbers(), [{"input_ids": prompt} for prompt in PROMPTS], 4, 4)
    assert answers == [
        inference.Answer("4 3", 2, True),
        inference.Answer("6 5 4 3", 4, False),
        inference.Answer("", 0, True),
        inference.Answer("4 3", 2, True),
    ]
    assert model.rows == [4, 3, 3, 1]


def test_who_watches_is_told_every_token_and_whose_it_is_but_not_the_end() -> None:
    told: list[tuple[int, list[int]]] = []
    features = [{"input_ids": prompt} for prompt in PROMPTS[:3]]
    inference.generate(Countdown(), Numbers(), features, 1, 4, lambda index, tokens: told.append((index, list(tokens))))
    assert told == [(0, [4]), (0, [4, 3]), (1, [6]), (1, [6, 5]), (1, [6, 5, 4]), (1, [6, 5, 4, 3])]


@pytest.mark.parametrize("architecture", DECODERS)
def test_generated_answers_do_not_depend_on_the_batch(architecture: str, tiny_base: Base) -> None:
    base = tiny_base(architecture)
    model, tokenizer = sharpened(models.load_decoder(base, None)), bases.load_tokenizer(base)
    features = text.encode_prompts(tokenizer, TEXTS, 128).features
    ends_at(tokenizer, without_cache(model, features[0]["input_ids"], 12, -1)[3])
    greedy = [without_cache(model, feature["input_ids"], 12, tokenizer.eos_token_id) for feature in features]
    assert 1 <= sum(tokens[-1] == tokenizer.eos_token_id for tokens in greedy) < len(greedy), "some leave the batch, and some go on"
    texts = [said(tokenizer, tokens) for tokens in greedy]
    assert len(set(texts)) > 1
    for batch_size in (1, 4, 6):
        answers = inference.generate(model, tokenizer, features, batch_size, 12)
        assert [answer.text for answer in answers] == texts
        assert [answer.stopped for answer in answers] == [tokens[-1] == tokenizer.eos_token_id for tokens in greedy]


def test_an_answer_stops_at_the_end_of_sequence_and_says_so(tiny_base: Base) -> None:
    base = tiny_base("llama")
    model, tokenizer = models.load_decoder(base, None), bases.load_tokenizer(base)
    features = text.encode_prompts(tokenizer, TEXTS[:2], 128).features
    always = torch.zeros(model.config.vocab_size)
    always[tokenizer.eos_token_id] = 100
    handle = model.lm_head.register_forward_hook(lambda module, inputs, output: output + always)
    assert inference.generate(model, tokenizer, features, 2, 5) == [inference.Answer("", 0, True)] * 2
    handle.remove()
    always = -always
    model.lm_head.register_forward_hook(lambda module, inputs, output: output + always)
    assert [(answer.num_tokens, answer.stopped) for answer in inference.generate(model, tokenizer, features, 2, 5)] == [(5, False)] * 2


@pytest.mark.parametrize("architecture", DECODERS)
def test_a_model_with_virtual_tokens_writes_what_it_would_without_a_cache(architecture: str, tiny_base: Base) -> None:
    base = tiny_base(architecture)
    settings = PromptAdapter(num_virtual_tokens=5, encoder_reparameterization_type="MLP", encoder_hidden_size=16)
    model = adapters.prompt_encoder(sharpened(models.load_decoder(base, None)), settings, seed=1, task="CAUSAL_LM")
    tokenizer = bases.load_tokenizer(base)
    features = text.encode_prompts(tokenizer, TEXTS, 100).features
    features += [{"input_ids": feature["input_ids"][-3:]} for feature in features]  # of one length: only such share a batch
    ends_at(tokenizer, without_cache(model, features[-1]["input_ids"], 8, -1)[2])
    written = [without_cache(model, feature["input_ids"], 8, tokenizer.eos_token_id) for feature in features]
    texts = [said(tokenizer, tokens) for tokens in written]
    assert len(set(texts)) > 1
    assert 1 <= sum(tokens[-1] == tokenizer.eos_token_id for tokens in written[-len(TEXTS) :]) < len(TEXTS)
    for batch_size in (1, 6):
        answers = inference.generate(model, tokenizer, features, batch_size, 8)
        assert [answer.text for answer in answers] == texts


def test_a_model_whose_virtual_tokens_are_switched_off_writes_as_its_base(tiny_base: Base) -> None:
    base = tiny_base("bloom")
    plain = sharpened(models.load_decoder(base, None))
    tokenizer = bases.load_tokenizer(base)
    features = text.encode_prompts(tokenizer, TEXTS, 100).features
    expected = inference.generate(plain, tokenizer, features, 3, 8)
    settings = PromptAdapter(num_virtual_tokens=5, encoder_reparameterization_type="MLP", encoder_hidden_size=16)
    model = adapters.prompt_encoder(plain, settings, seed=1, task="CAUSAL_LM")
    with model.disable_adapter():
        assert inference.generate(model, tokenizer, features, 3, 8) == expected


def test_a_tokenizer_without_an_end_of_sequence_leaves_every_answer_to_be_cut_off() -> None:
    class Endless(Numbers):
        eos_token_id = None  # type: ignore[assignment]

    answers = inference.generate(Countdown(), Endless(), [{"input_ids": [END + 2]}], 1, 4)
    assert answers == [inference.Answer("3 2 1 0", 4, False)]
