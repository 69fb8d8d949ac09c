"""What a terminal and a file see of a long run: lines that stay, and a table below them that is redrawn in place."""

from __future__ import annotations

import io

import pytest

from ftbench import progress


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_on_a_terminal_the_table_is_replaced_and_lines_stay_above_it(monkeypatch):
    monkeypatch.setenv("COLUMNS", "10")
    monkeypatch.setenv("LINES", "3")
    stream = Terminal()
    say, show = progress.table(stream)
    show(["one", "two"])
    say("a line that stays")
    show(["three", "longer than the terminal", "below its end"])
    show([])
    up = "\x1b[2F\x1b[J"  # two lines up, and clear to the end
    assert stream.getvalue() == f"one\ntwo\n{up}a line that stays\nthree\nlonger th\n{up}"


def test_elsewhere_there_are_lines_and_no_table():
    stream = io.StringIO()
    say, show = progress.table(stream)
    say("a line")
    assert show is None
    assert stream.getvalue() == "a line\n"


@pytest.mark.parametrize(("seconds", "shown"), [(0.9, "0:00"), (65, "1:05"), (3599.9, "59:59"), (3723, "1:02:03")])
def test_a_duration_is_shown_as_a_clock_shows_it(seconds, shown):
    assert progress.clock(seconds) == shown
