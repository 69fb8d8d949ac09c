"""The base model with solved examples in front of what it is asked: what of its ability a prompt brings out without training.

Where its answer ends. A base model has not learnt to stop, and would go on with another example. Its answer is therefore what stands before
the next example would begin: before the first line that opens a prompt of the template (a line of the text that stands before the
instruction), or before the first blank line, unless a solved answer holds a blank line itself. That is generous to the base, and meant to
be. It counts as stopped only where it ended the sequence by itself before that place; what it wrote beyond is not read.
Its likelihood is taken as every other model's: the reference and the end of sequence after it, which no example in the prompt shows.
"""

from __future__ import annotations

import random
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from ftbench import text
from ftbench.errors import Problem, UserError

if TYPE_CHECKING:
    from ftbench.inference import Answer
    from ftbench.schema import InstructionTemplate, Text

Solved = tuple[str, str, str]  # instruction, input, output
BLANK = re.compile(r"\n[^\S\n]*\n")


@dataclass(frozen=True)
class Examples:
    """What stands in front of every prompt, and how many tokens prompt and answer may have together."""

    solved: Sequence[Solved]
    max_length: int


def drawn(where: str, train: Mapping[str, Sequence[Any]], num_examples: int, seed: int) -> list[int]:
    """Which rows of train are the examples: `num_examples` different ones, by `seed`. Raises UserError where train has fewer."""
    num_rows = len(train["id"])
    if num_examples > num_rows:
        raise UserError(Problem(where, f"{num_examples} examples", f"at most {num_rows}, the rows of train", "ask for fewer"))
    return random.Random(seed).sample(range(num_rows), num_examples) if num_examples else []


def prompt(settings: Text, instruction: str, input: str, solved: Sequence[Solved]) -> str:
    """The prompt of an instruction after those of the examples with their answers, a blank line between any two."""
    before = [text.instruction_prompt(settings, *asked) + output for *asked, output in solved]
    return "\n\n".join([*before, text.instruction_prompt(settings, instruction, input)])


def openings(template: InstructionTemplate) -> set[str]:
    """The lines, without white space around them, that stand before the instruction in either prompt; blank ones left out."""
    marked = ({"instruction": "\0", "input": "\0"}, {"instruction": "\0"})  # the fields, as what no line of a template holds
    filled = [text.fill(one, **fields) for one, fields in zip((template.with_input, template.without_input), marked, strict=True)]
    return {line.strip() for one in filled for line in one.partition("\0")[0].splitlines() if line.strip()}


def until_next_example(answer: Answer, template: InstructionTemplate, solved: Sequence[Solved]) -> Answer:
    """An answer as far as the next example would begin; one that is cut there has not stopped by itself. See above for the rule."""
    opens = tuple(openings(template))
    kept = answer.text
    if not any(BLANK.search(output.strip()) for *_, output in solved):
        kept = BLANK.split(kept, maxsplit=1)[0]
    place = 0
    for line in kept.splitlines(keepends=True):
        if opens and line.lstrip().startswith(opens):
            kept = kept[:place]
            break
        place += len(line)
    kept = kept.strip()
    return answer if kept == answer.text else replace(answer, text=kept, stopped=False)
