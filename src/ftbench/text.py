"""From examples to what a model reads: prompt templates, tokens, and the hashes that say two models read the same.

Templates look like `str.format`'s and can do less: only named fields, no attributes, indices, conversions or format specifications.
An answer is tokenised after its prompt's last character, in training and evaluation alike: the boundary is where generation starts.
"""

from __future__ import annotations

import string
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ftbench import files
from ftbench.errors import Problem, UserError, nearest

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

    from ftbench.schema import Text

LABELS = ("entailment", "neutral", "contradiction")
IGNORED = -100  # the label of a token that counts in no loss

Feature = dict[str, list[int]]


@dataclass(frozen=True)
class Encoded:
    """Tokenised examples: `features` holds `input_ids` (and `labels`, `token_type_ids` where they apply), unpadded, in the order given.

    `num_truncated` examples were longer than allowed. `num_bytes` is, of each answer, the UTF-8 bytes that its kept tokens stand for.
    """

    features: list[Feature]
    num_truncated: int
    num_bytes: list[int] = field(default_factory=list)


def fill(template: str, **fields: str) -> str:
    """`template` with its fields replaced; braces in a value are text. Raises UserError for anything but a plain name of `fields`."""
    pieces, problems = [], []
    allowed = ", ".join(f"{{{name}}}" for name in fields)
    for literal, name, specification, conversion in string.Formatter().parse(template):
        pieces.append(literal)
        if name is None:
            continue
        if name in fields and not specification and not conversion:
            pieces.append(fields[name])
        else:
            found = "{" + name + (f"!{conversion}" if conversion else "") + (f":{specification}" if specification else "") + "}"
            problems.append(Problem("a prompt template", found, allowed=allowed, mend=nearest(name, fields)))
    if problems:
        raise UserError(problems)
    return "".join(pieces)


def label_prompt(
    text: Text, premise: str, hypothesis: str, template: str | None = None, examples: Sequence[tuple[str, str, int]] = ()
) -> str:
    """The prompt after which a model writes the label of a pair, in the study's wording or in another.

    Solved `examples` (premise, hypothesis, label) stand before it in the same wording, a blank line between any two.
    """
    template = _one_template(text, template)
    answers = label_answers(text, template)
    solved = [fill(template, premise=one, hypothesis=other) + answers[label] for one, other, label in examples]
    return "\n\n".join([*solved, fill(template, premise=premise, hypothesis=hypothesis)])


def label_answers(text: Text, template: str | None = None) -> list[str]:
    """What a model should write after the prompt, in the order of LABELS: the word, after a space unless the template ends in one."""
    assert text.labels is not None, "label prompts have a word per label"
    separator = "" if _one_template(text, template)[-1:].isspace() else " "
    return [separator + word for word in text.labels.words()]


def label_of(written: str, answers: Sequence[str]) -> int | None:
    """The label whose answer a text begins with, as a word of its own; None for any other text."""
    said = written.strip()
    for index, answer in sorted(enumerate(answers), key=lambda one: -len(one[1])):
        word = answer.strip()
        if said.startswith(word) and not said[len(word) : len(word) + 1].isalnum():
            return index
    return None


def instruction_prompt(text: Text, instruction: str, input: str) -> str:
    """The prompt after which a model answers an instruction; a blank input takes the template without one."""
    assert text.template is not None, "instructions have two templates"
    assert not isinstance(text.template, str), "instructions have two templates"
    if input.strip():
        return fill(text.template.with_input, instruction=instruction, input=input)
    return fill(text.template.without_input, instruction=instruction)


def _one_template(text: Text, template: str | None) -> str:
    chosen = text.template if template is None else template
    assert isinstance(chosen, str), "label prompts have one template"
    return chosen


def prompt_hash(*parts: str) -> str:
    """The SHA-256 of the text that a model reads: its prompt, or the parts of a pair."""
    return files.sha256_text(*parts)


def example_hash(*parts: str) -> str:
    """The SHA-256 of an example: premise and hypothesis, or instruction, input and output."""
    return files.sha256_text(*parts)


def encode_pairs(
    tokenizer: PreTrainedTokenizerBase, premises: Sequence[str], hypotheses: Sequence[str], max_length: int, only: str | None = None
) -> Encoded:
    """Pairs for an encoder, or `only` the "premise" or the "hypothesis" of each, special tokens included.

    A pair over `max_length` tokens loses the end of its longer text (`longest_first`).
    """
    if not premises:
        return Encoded([], 0)
    texts = tuple(list(column) for name, column in (("premise", premises), ("hypothesis", hypotheses)) if only in (None, name))
    whole = tokenizer(*texts, add_special_tokens=True, return_attention_mask=False, verbose=False)
    features = [{key: whole[key][index] for key in whole} for index in range(len(premises))]
    too_long = [index for index, feature in enumerate(features) if len(feature["input_ids"]) > max_length]
    for index in too_long:
        pair = [column[index] for column in texts]
        cut = tokenizer(*pair, truncation="longest_first", max_length=max_length, return_attention_mask=False)
        features[index] = {key: cut[key] for key in cut}
    return Encoded(features, len(too_long))


def encode_prompts(tokenizer: PreTrainedTokenizerBase, prompts: Sequence[str], max_length: int) -> Encoded:
    """Prompts for a decoder; of a prompt over `max_length` tokens the beginning is cut, since a decoder answers at the end."""
    if not prompts:
        return Encoded([], 0)
    start = _start(tokenizer)
    bodies = tokenizer(list(prompts), add_special_tokens=False, return_attention_mask=False, verbose=False)["input_ids"]
    features = [{"input_ids": _cut_prompt(start, body, max_length)} for body in bodies]
    return Encoded(features, sum(len(start) + len(body) > max_length for body in bodies))


def encode_answers(
    tokenizer: PreTrainedTokenizerBase, prompts: Sequence[str], answers: Sequence[str], max_length: int, end: bool = True
) -> Encoded:
    """Prompts and their answers for a decoder, with `labels` that are IGNORED over the prompt; `end` appends the end-of-sequence token.

    What is longer than `max_length` loses the beginning of its prompt, down to half of `max_length`, and then the end of its answer.
    An answer that lost its end has no end-of-sequence token.
    """
    features, num_bytes, num_truncated = [], [], 0
    if not prompts:
        return Encoded([], 0)
    start = _start(tokenizer)
    bodies = tokenizer(list(prompts), add_special_tokens=False, return_attention_mask=False, verbose=False)["input_ids"]
    written = _after(tokenizer, [prompt[-1:] for prompt in prompts], answers)
    for body, answer, (tokens, ends) in zip(bodies, answers, written, strict=True):
        length = len(start) + len(body)
        room = max_length - min(length, max_length // 2)
        kept = [*tokens, tokenizer.eos_token_id] if end else list(tokens)
        cut = len(kept) > room
        kept = kept[:room]
        prompt = _cut_prompt(start, body, max_length - len(kept))
        features.append({"input_ids": prompt + kept, "labels": [IGNORED] * len(prompt) + kept})
        lost = len(kept) < len(tokens)
        num_bytes.append(len((answer[: ends[len(kept) - 1]] if lost else answer).encode("utf-8", "surrogatepass")))
        num_truncated += cut or length + len(kept) > max_length
    return Encoded(features, num_truncated, num_bytes)


def answer_tokens(tokenizer: PreTrainedTokenizerBase, prompt: str, answers: Sequence[str]) -> list[list[int]]:
    """The tokens of each answer as they stand after `prompt`."""
    return [tokens for tokens, _ in _after(tokenizer, [prompt[-1:]] * len(answers), answers)]


def _after(tokenizer: PreTrainedTokenizerBase, anchors: Sequence[str], answers: Sequence[str]) -> list[tuple[list[int], list[int]]]:
    """Tokens of each answer and where in it each ends, tokenised behind an anchor: Llama's tokenizers begin every text with a space.

    Where anchor and answer share a token (two line ends), the answer is tokenised alone.
    """
    options = {"add_special_tokens": False, "return_attention_mask": False, "verbose": False}
    own = {anchor: tokenizer(anchor, **options)["input_ids"] for anchor in set(anchors)}
    joint = tokenizer([anchor + answer for anchor, answer in zip(anchors, answers, strict=True)], return_offsets_mapping=True, **options)
    found = []
    for anchor, answer, tokens, offsets in zip(anchors, answers, joint["input_ids"], joint["offset_mapping"], strict=True):
        skipped, size = len(own[anchor]), len(anchor)
        if tokens[:skipped] != own[anchor]:
            alone = tokenizer(answer, return_offsets_mapping=True, **options)
            skipped, size, tokens, offsets = 0, 0, alone["input_ids"], alone["offset_mapping"]
        found.append((list(tokens[skipped:]), [end - size for _, end in offsets[skipped:]]))
    return found


def _start(tokenizer: PreTrainedTokenizerBase) -> list[int]:
    """The special tokens that a tokenizer puts before a text (Llama's beginning of sequence); what it puts after one is left out."""
    plain, special = tokenizer("a", add_special_tokens=False)["input_ids"], tokenizer("a")["input_ids"]
    position = next(index for index in range(len(special)) if special[index : index + len(plain)] == plain)
    return list(special[:position])


def _cut_prompt(start: list[int], body: Sequence[int], max_length: int) -> list[int]:
    room = max(max_length - len(start), 0)
    return start + list(body[len(body) - room :] if len(body) > room else body)
