"""Foreign text on a terminal: what the terminal would obey is taken out, also of a text that is still being written."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable

from ftbench import unseen

_CSI = r"(?:\x1b\[|\x9b)[0-?]*+[ -/]*+"  # colours, cursor, screen
_LONG, _SHORT = r"\x1b[\]PX^_]", r"[\x9d\x90\x98\x9e\x9f]"  # titles, links, the clipboard
_INSIDE = r"[^\x07\x1b\x9c\n]*+"
_STRING = f"(?:{_LONG}|{_SHORT}){_INSIDE}"
_WHOLE = rf"{_CSI}[@-~]|{_STRING}(?:\x07|\x1b\\|\x9c)"
_BEGUN = rf"(?:{_CSI}|{_STRING}\x1b?|\x1b[ -/]*)\Z"
# one match for all of a string that never ends: tried again from each opener inside, a text of openers would take time in its square
_UNENDED = f"(?:{_LONG}|(?={_SHORT}))(?P<kept>{_INSIDE})"
_OTHER = r"\x1b[ -/]*[0-~]"
_ENDED = re.compile(f"{_WHOLE}|{_UNENDED}|{_OTHER}")
_GROWING = re.compile(f"{_WHOLE}|{_BEGUN}|{_UNENDED}|{_OTHER}")
_COLOURS = re.compile(f"{_CSI}[@-~]")
_LINE_ENDS = re.compile("\r\n|[\r\v\f\x85\u2028\u2029]")


def plain(text: str, ended: bool = True) -> str:
    """Text without terminal escapes, control, formatting or bidirectional characters; line breaks and tabs stay, and nothing is cut.

    Of a text that has not `ended`, an escape that has only begun is left out too: what comes out then is how the whole text will begin.
    An escape that never ends loses only the characters that make it one, so that no answer hides behind it.
    """
    return unseen.removed(_LINE_ENDS.sub("\n", (_ENDED if ended else _GROWING).sub(_kept, text)), kept="\n\t")


def _kept(escape: re.Match[str]) -> str:
    """What stays of an escape: of a string that never ends what it holds, without the escapes in that."""
    return _COLOURS.sub("", escape["kept"] or "")


def never_fail() -> None:
    """From now on, no character is fatal that a terminal or a pipe cannot take or that is not its encoding's."""
    for stream, errors in ((sys.stdin, "surrogateescape"), (sys.stdout, "replace")):
        if reconfigure := getattr(stream, "reconfigure", None):
            reconfigure(errors=errors)


class Unfolding:
    """A text that is shown as it grows: `grow` takes all that there is so far and shows what is new, made `plain`.

    White space at the two ends is no part of the text; half a character, which a tokenizer gives as U+FFFD, waits for its other half.
    """

    def __init__(self, show: Callable[[str], None]):
        self.shown = ""
        self._show = show

    def grow(self, text: str, ended: bool = False) -> None:
        """Show what `text` has more than the last one had."""
        clean = plain(text if ended else text.rstrip("\ufffd"), ended).strip()
        if clean.startswith(self.shown):
            self._show(clean[len(self.shown) :])
        elif ended:  # a tokenizer may join what it first wrote apart ("do n't"), and what is printed stays printed
            self._show(f"\n{clean}")
        else:
            return
        self.shown = clean
