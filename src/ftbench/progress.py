"""How far a long command is: on a terminal in place, elsewhere a line now and then."""

from __future__ import annotations

import time
from collections.abc import Callable
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
