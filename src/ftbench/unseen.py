"""Characters that are not seen but act: control, formatting and bidirectional ones, and what is no character at all."""

from __future__ import annotations

import re
import unicodedata

CATEGORIES = ("Cc", "Cf", "Cs", "Co", "Cn")
_OTHER = re.compile("[^ -~]")


def removed(text: str, kept: str = "") -> str:
    """A text without them, but for those in `kept`."""
    return _OTHER.sub(lambda found: found[0] if found[0] in kept or unicodedata.category(found[0]) not in CATEGORIES else "", text)
