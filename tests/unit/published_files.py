"""Files as a publisher might have them: SNLI's header, and a file of any content."""

from __future__ import annotations

from pathlib import Path

SNLI_HEADER = "gold_label\tsentence1_binary_parse\tsentence1\tsentence2\tcaptionID\tpairID\tlabel1\tlabel2"


def written(folder: Path, name: str, content: str | bytes) -> Path:
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path
