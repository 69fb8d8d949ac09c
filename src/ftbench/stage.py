"""How every stage script starts and ends: exit codes, removal of half-made outputs, and a record of a failure.

Exit 0; 1 for the machine's faults (a full disk, no memory); 2 with one readable block for a user's mistake.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import time
import traceback
from collections.abc import Callable, Iterable
from pathlib import Path

from ftbench.errors import UserError

FAILURES = Path(".ftbench/failures")
SCRATCH = Path(".ftbench/scratch")  # checkpoints of a training, until it has ended well


def parser(documentation: str | None) -> argparse.ArgumentParser:
    """An argument parser that shows a script's docstring; abbreviated options are off, so that a typo is an error."""
    return argparse.ArgumentParser(description=documentation, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False)


def remove(outs: Iterable[Path]) -> None:
    """Delete files and folders that a stage did not finish."""
    for out in outs:
        if out.is_dir() and not out.is_symlink():
            shutil.rmtree(out, ignore_errors=True)
        else:
            out.unlink(missing_ok=True)


def run(main: Callable[[argparse.Namespace], None], arguments: argparse.Namespace, outs: Iterable[Path]) -> None:
    """Run a stage's `main`; when it fails, remove `outs`, leave a record under `.ftbench/failures/` and exit with 1 or 2."""
    outs = list(outs)
    script = Path(sys.argv[0]).stem
    record = FAILURES / ("-".join([script, *(str(out).replace("/", "-") for out in outs[:1])]) + ".txt")
    try:
        main(arguments)
    except BaseException as error:
        remove(outs)
        user = isinstance(error, UserError)
        text = f"{script}: " + (f"to mend:\n{error}" if user else f"{type(error).__name__}: {error}")
        print(text, file=sys.stderr)
        _keep(record, text if user else text + "\n" + traceback.format_exc())
        if isinstance(error, KeyboardInterrupt):
            raise SystemExit(130) from None
        if not user:
            print(f"{script}: the whole traceback is in {record}", file=sys.stderr)
        raise SystemExit(2 if user else 1) from None
    record.unlink(missing_ok=True)


def _keep(record: Path, text: str) -> None:
    try:
        record.parent.mkdir(parents=True, exist_ok=True)
        content = f"{time.strftime('%Y-%m-%dT%H:%M:%S%z')}\n{' '.join(sys.argv)}\n{text}\n"
        record.write_text(content, encoding="utf-8", errors="backslashreplace")  # half of a surrogate pair must not, either
    except OSError as error:  # a full disk must not hide the first fault
        print(f"no record could be written to {record}: {error}", file=sys.stderr)
