"""`ftbench ask`, and what `ftbench chat` asks with: a trained arm, or its base, answers an instruction as in the evaluation.

The prompt, its encoding and the greedy decoding are the evaluation's own functions; here an answer can be watched as it is written.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ftbench import checks, text, trained_arm
from ftbench.errors import Problem, UserError
from ftbench.tables import inert
from ftbench.terminal import Unfolding, plain
from ftbench.trained_arm import Arm

_BYTE = re.compile("<0x[0-9A-F]{2}>")


@dataclass(frozen=True)
class Reply:
    """What a model said, fit to be printed, and what is to be known about it (`remarks`: cut off, empty), a clause each."""

    text: str
    remarks: list[str]


# (question, input, whether the base is asked in place of the arm, what shows each new piece) -> Reply
Ask = Callable[[str, str, bool, Callable[[str], None]], Reply]


def growing(tokenizer: Any, tokens: list[int]) -> str | None:
    """The text of an answer's tokens so far, or None while their end may yet read otherwise."""
    if _BYTE.fullmatch(tokenizer.convert_ids_to_tokens(tokens[-1])):
        return None  # Llama's tokenizers read a run of bytes as one: its last may turn all of them into U+FFFD
    return str(tokenizer.decode(tokens, skip_special_tokens=True))


def faults(question: str, input: str) -> list[Problem]:
    """What is wrong with a question and its input, which may be blank."""
    found = [("the question", trained_arm.text_fault(question)), ("--input", trained_arm.text_fault(input) if input.strip() else "")]
    return [Problem(name, fault, allowed="a text") for name, fault in found if fault]


def load(arm: Arm, max_new_tokens: int) -> Ask:
    """The arm as a function that answers in at most `max_new_tokens` tokens. Raises UserError for weights that do not fit.

    Its base is the same model without the adapter: no second copy, and in the arm's own precision.
    """
    import torch

    from ftbench import inference

    model, tokenizer = trained_arm.load(arm)

    def ask(question: str, input: str, untouched: bool, show: Callable[[str], None]) -> Reply:
        encoded = text.encode_prompts(tokenizer, [text.instruction_prompt(arm.text, question, input)], arm.text.max_length)
        unfolding = Unfolding(show)

        def watch(_: int, tokens: list[int]) -> None:
            if (text_so_far := growing(tokenizer, tokens)) is not None:
                unfolding.grow(text_so_far)

        try:
            with model.disable_adapter() if untouched else nullcontext():
                (answer,) = inference.generate(model, tokenizer, encoded.features, 1, max_new_tokens, watch)
        except torch.OutOfMemoryError:
            mend = "say a smaller one"
            raise UserError(Problem(f"--max-new-tokens {max_new_tokens}", "the GPU's memory is full", mend=mend)) from None
        unfolding.grow(answer.text, ended=True)
        said = plain(answer.text).strip()
        remarks = [
            *(
                [f"the question is longer than this arm's {arm.text.max_length} tokens: its beginning was cut"]
                if encoded.num_truncated
                else []
            ),
            *(["the answer is empty"] if not said else []),
            *([f"cut off after {answer.num_tokens} tokens: it did not stop by itself"] if not answer.stopped else []),
        ]
        return Reply(said, remarks)

    return ask


def names(arm: Arm) -> tuple[str, str]:
    """How the answers of an arm and of its base are headed."""
    bits = ", in the arm's 4 bits" if arm.described["settings"].get("quantization") else ""
    return inert(arm.folder.resolve().name), f"{inert(arm.described['model'])}, not fine-tuned{bits}"


def once(model: Path, base: Path | None, question: str, input: str, max_new_tokens: int, compare: bool) -> tuple[str, list[str]]:
    """One answer, with that of the base below it to `compare`, as text to print; and remarks. Raises UserError, all mistakes at once."""
    found = faults(question, input)
    arm = checks.tried(found, lambda: trained_arm.read(model, base, [trained_arm.ANSWERS]))
    if found or arm is None:
        raise UserError(found)
    ask = load(arm, max_new_tokens)
    if not compare:
        reply = ask(question, input, False, lambda piece: None)
        return reply.text, reply.remarks
    replies = {name: ask(question, input, untouched, lambda piece: None) for untouched, name in zip((False, True), names(arm), strict=True)}
    said = "\n\n".join(f"{name}:\n{reply.text}" for name, reply in replies.items())
    return said, [f"{name}: {remark}" for name, reply in replies.items() for remark in reply.remarks]
