"""Checks of Python in an answer, for a rubric: it is read and never run."""

from __future__ import annotations

import ast
import re
import warnings
from collections import Counter
from collections.abc import Sequence

from ftbench.rubrics import Check

MOST_BLOCKS, DEEPEST = 20, 40  # pieces of an answer tried as Python, and brackets within brackets of one
MOST_REPEATS, MOST_PRINTS = 3, 10  # times that a line may stand, and calls of print


def defines_function(sentence: str, num_arguments: int, *, calling: Sequence[str] = (), adding: bool = False) -> Check:
    """A check that the answer holds Python that parses and defines a function that so many arguments can be given to, by place.

    With `adding`, one that holds a `+`, or uses one of the names in `calling`.
    """

    def fits(node: ast.AST) -> bool:
        if not isinstance(node, ast.FunctionDef | ast.Lambda):
            return False
        places, by_name = len(node.args.posonlyargs) + len(node.args.args), any(one is None for one in node.args.kw_defaults)
        return places - len(node.args.defaults) <= num_arguments <= places and not by_name

    def holds(answer: str) -> bool:
        left: list[ast.AST] = list(_trees(answer))
        while left:
            node = left.pop()
            if not fits(node):
                left += ast.iter_child_nodes(node)
            elif not adding or any(_adds(part, calling) for part in ast.walk(node)):  # none is walked twice
                return True
        return False

    return Check(sentence, holds)


def does_not_loop(sentence: str) -> Check:
    """A check that no line stands more than MOST_REPEATS times, and that `print` is called no more than MOST_PRINTS times."""

    def holds(answer: str) -> bool:
        lines = Counter(line for line in map(str.strip, answer.splitlines()) if re.search(r"\w", line))
        return max(lines.values(), default=0) <= MOST_REPEATS and answer.count("print(") <= MOST_PRINTS

    return Check(sentence, holds)


def _adds(node: ast.AST, names: Sequence[str]) -> bool:
    if isinstance(node, ast.BinOp | ast.AugAssign):
        return isinstance(node.op, ast.Add)
    if isinstance(node, ast.Name):
        return isinstance(node.ctx, ast.Load) and node.id in names
    return isinstance(node, ast.Attribute) and node.attr in names


def _trees(answer: str) -> list[ast.Module]:
    """The pieces of an answer that are Python: what stands between fences; without any, the whole, or each `def` with its body."""
    pieces = re.findall(r"^ *```[^\n]*\n(.*?)(?:^ *```|\Z)", answer, re.MULTILINE | re.DOTALL)
    if not pieces:
        pieces = [answer, *re.findall(r"\bdef [^\n]*(?:\n(?:[ \t]+[^\n]*|[ \t]*|[)\]}][^\n]*)(?=\n|\Z))*", answer.replace("`", ""))]
    return [tree for piece in pieces[:MOST_BLOCKS] if (tree := _parsed(piece.strip())) is not None]


def _parsed(code: str) -> ast.Module | None:
    depth = deepest = 0
    for character in code:
        depth += (character in "([{") - (character in ")]}")
        deepest = max(deepest, depth)
    if deepest > DEEPEST:  # what nests deeper takes a parser long, and is no answer
        return None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of odd escapes and comparisons
        try:
            return ast.parse(code)
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            return None
