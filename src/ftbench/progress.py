"""How far a long command is: on a terminal in place, elsewhere a line now and then."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import IO

EVERY = 10.0  # seconds between two lines where no terminal shows them


def reporter(total: int, stream: IO[str], clock: Callable[[], float] = time.monotonic) -> Callable[[int], None]:
    """A function that is told how many of `total` rows are done, and writes that and the rate to `stream`; the last one always."""
    started = clock()
    last, in_place = started, stream.isatty()

    def report(done: int) -> None:
        nonlocal last
        now = clock()
        if in_place or done == total or now - last >= EVERY:
            last = now
            rate = f", {done / (now - started):,.1f} rows/s" if now > started else ""
            line = f"{done:,} / {total:,} rows{rate}"
            print(f"\r{line:<60}" if in_place else line, end="" if in_place and done < total else "\n", file=stream, flush=True)

    return report


def table(stream: IO[str]) -> tuple[Callable[[str], None], Callable[[Sequence[str]], None] | None]:
    """Two functions: one writes a line that stays; the other shows lines below all of them, in place of those that it showed before.

    The second is None where no terminal shows the stream.
    """
    if not stream.isatty():
        return partial(print, file=stream, flush=True), None
    shown = 0

    def clear() -> str:
        return f"\x1b[{shown}F\x1b[J" if shown else ""

    def say(line: str) -> None:
        nonlocal shown
        print(clear() + line, file=stream, flush=True)
        shown = 0

    def show(lines: Sequence[str]) -> None:
        nonlocal shown
        columns, rows = shutil.get_terminal_size()
        kept = [line[: columns - 1] for line in lines[: rows - 1]]  # a longer one would wrap, and be two
        print(clear() + "".join(f"{line}\n" for line in kept), end="", file=stream, flush=True)
        shown = len(kept)

    return say, show


def clock(seconds: float) -> str:
    """A duration as 0:05 or 1:02:03."""
    minutes, rest = divmod(int(seconds), 60)
    return f"{minutes // 60}:{minutes % 60:02}:{rest:02}" if minutes >= 60 else f"{minutes}:{rest:02}"
