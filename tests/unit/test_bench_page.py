"""The tables of benchmarks: what the README shows of the record, and how a page's blocks are rewritten."""

from __future__ import annotations

import importlib
import re
import sys
from pathlib import Path

import pytest
from clockwork import Machine, row

from ftbench import costs, errors, files

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module", autouse=True)
def _benchmarks_are_found():
    sys.path.insert(0, str(ROOT / "benchmarks"))
    yield
    sys.path.remove(str(ROOT / "benchmarks"))


@pytest.fixture(scope="module")
def timing():
    return importlib.import_module("timing")


@pytest.fixture(scope="module")
def page():
    return importlib.import_module("page")


def test_the_readmes_table_is_what_the_record_gives(page):
    record = ROOT / "reports/benchmarks.json"
    rows = files.read_json(record)["rows"] if record.exists() else {}
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert page.rewritten(text, rows) == text, "run python benchmarks/page.py"


def test_the_table_shows_each_row_with_its_spread_its_bars_and_what_missed(timing, page):
    def record(**changed):
        machine = Machine(ours=[1, 1], alternative=[3, 3])
        return {**timing.measure(row(timing, machine, **changed), 1, machine.clock), "environment": costs.environment()}

    one = record(figures=lambda *_: {"bytes": 30.0}, at_most={"bytes": 40})
    two = record(bar=4.0, work="a | b")
    lines = page.block({"one": one, "two": two, "three": {"not_run": "no <net>", "environment": two["environment"]}}).splitlines()
    assert lines[0] == "| row | work | against | ours | theirs | ratio (from, to) | bar | found |"
    assert lines[2] == "| one | some work | another way | 1.00 s | 3.00 s | 3.00 (3.00, 3.00) | 2; bytes at most 40 | passes; bytes 30 |"
    assert lines[3] == "| two | a \\| b | another way | 1.00 s | 3.00 s | 3.00 (3.00, 3.00) | 4 | MISSED: 3.00 times, below 4 |"
    assert lines[4] == "| three |  |  |  |  |  |  | not run: no &lt;net> |"
    assert lines[6].startswith("Measured on: ")


def test_only_what_stands_between_the_marks_is_rewritten_and_twice_is_once(page):
    text = f"before\n{page.START}\nold\n{page.END}\nafter\n"
    assert page.rewritten(text, {}) == f"before\n{page.START}\n{page.NOTHING}\n{page.END}\nafter\n"
    assert page.rewritten(page.rewritten(text, {}), {}) == page.rewritten(text, {})


@pytest.mark.parametrize("text", ["", "{start}", "{end} {start}", "{start} {start} {end}", "{start} {end} {end}"])
def test_a_page_whose_marks_are_not_there_once_and_in_order_is_left_alone(page, text):
    with pytest.raises(errors.UserError, match="not one block"):
        page.rewritten(text.format(start=page.START, end=page.END), {})


def test_a_page_may_hold_blocks_of_several_scripts(page):
    other = page.blocks.start("another.py", "another.json")
    text = f"{other}\nit\n{page.END}\n{page.START}\nold\n{page.END}\n{other}2\nit\n{page.END}\n"
    assert page.rewritten(text, {}) == text.replace("old", page.NOTHING)


@pytest.mark.parametrize("text", ["{other} {start} {other} {end}", "{start} {end} {end} {other} {end}"])
def test_but_not_one_within_the_other(page, text):
    other = page.blocks.start("another.py", "another.json")
    with pytest.raises(errors.UserError, match="not one block"):
        page.rewritten(text.format(other=other, start=page.START, end=page.END), {})


def test_every_row_is_described_and_every_row_that_is_described_exists():
    bench = importlib.import_module("bench")
    table = (ROOT / "docs/benchmarks.md").read_text(encoding="utf-8").partition("## The rows")[2].partition("\n\nWhat the")[0]
    named = [name for line in table.splitlines() for name in re.findall(r"`(\w+)`", line.split("|")[1] if "|" in line else "")]
    assert sorted(named) == sorted(bench.ROWS)
