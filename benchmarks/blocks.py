"""The block of a page that a script writes, between two marks."""

from __future__ import annotations

from ftbench.errors import Problem, UserError

WRITTEN, END = "<!-- written by", "<!-- end of what is written -->"


def start(script: str, record: str) -> str:
    """The mark before what `script` writes from `record`."""
    return f"{WRITTEN} {script} from {record} -->"


def rewritten(text: str, mark: str, block: str, where: str) -> str:
    """A page with `block` between `mark` and END. Raises UserError for a page, named `where`, without the two, once each; blocks of other
    scripts may stand before and after.
    """
    before, found, rest = text.partition(mark)
    old, end, after = rest.partition(END)
    up_to_next = after.partition(WRITTEN)[0]
    if not found or not end or mark in rest or WRITTEN in old or END in up_to_next:
        raise UserError(Problem(where, "not one block between its two marks", f"{mark} and {END}, each once", "put them back"))
    return f"{before}{mark}\n{block}\n{END}{after}"
