"""What a study page says of arms whose training looks wrong, and of those that are left out because they failed."""

from __future__ import annotations

from ftbench.report_data import Study
from ftbench.tables import Block, Heading, Paragraph, Table

INTRODUCTION = (
    "A flag stops nothing. It names an arm whose figures may say more about how it was trained than about the method: one that says the "
    "same to everything, whose weights did not move or have no effect, or whose loss starts far from a guess, does not fall, or rises."
)


def flags(study: Study) -> list[Block]:
    """The flagged arms, seed by seed; nothing where there is none."""
    found, left_out = study.comparison.get("flags", {}), study.comparison.get("left_out", [])
    blocks: list[Block] = []
    if left_out:
        blocks += [Heading("What failed", 2), Paragraph(f"Not among the results, because a stage failed: {', '.join(left_out)}.")]
    if found:
        rows = [[arm, str(flag["seed"]), flag["flag"].replace("_", " "), flag["says"]] for arm, ones in found.items() for flag in ones]
        table = Table(study.caption("Arms whose training looks wrong"), ["arm", "seed", "flag", "what was seen"], rows)
        blocks += [Heading("Flags", 2), Paragraph(INTRODUCTION), table]
    return blocks
