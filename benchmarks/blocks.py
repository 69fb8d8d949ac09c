"""The block of a page that a script writes, between two marks."""

from __future__ import annotations

from ftbench.errors import Problem, UserError

END = "<!-- end of what is written -->"


def start(script: str, record: str) -> str:
    """The mark before what `script` writes from `record`."""
    return f"<!-- written by {script} from {record} -->"


def rewritten(text: str, mark: str, block: str, where: str) -> str:
    """A page with `block` between `mark` and END. Raises UserError for a page, named `where`, without the two, once each."""
    before, found, rest = text.partition(mark)
    _, end, after = rest.partition(END)
    if not found or not end or mark in rest or END in after:
        raise UserError(Problem(where, "not one block between its two marks", f"{mark} and {END}, each once", "put them back"))
    return f"{before}{mark}\n{block}\n{END}{after}"
