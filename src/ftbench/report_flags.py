"""What a study page says of arms whose training looks wrong."""

from __future__ import annotations

from ftbench.report_data import Study
from ftbench.tables import Block, Heading, Paragraph, Table

INTRODUCTION = (
    "A flag stops nothing. It names an arm whose figures may say more about how it was trained than about the method: one that says the "
    "same to everything, whose weights did not move or have no effect, or whose loss starts far from a guess, does not fall, or rises."
)


def flags(study: Study) -> list[Block]:
    """The flagged arms, seed by seed; nothing where there is none."""
    found = study.comparison.get("flags")
    if not found:
        return []
    rows = [[arm, str(flag["seed"]), flag["flag"].replace("_", " "), flag["says"]] for arm, ones in found.items() for flag in ones]
    table = Table(study.caption("Arms whose training looks wrong"), ["arm", "seed", "flag", "what was seen"], rows)
    return [Heading("Flags", 2), Paragraph(INTRODUCTION), table]
