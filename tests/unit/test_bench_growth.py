"""How cost grows: slopes and bars on constructed points, and the whole of it on small inputs, where no time is judged."""

from __future__ import annotations

import importlib
import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import described
import pytest

from ftbench import files

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def growth():
    sys.path.insert(0, str(ROOT / "benchmarks"))
    yield importlib.import_module("growth")
    sys.path.remove(str(ROOT / "benchmarks"))


def line(stage, axis, seconds, memory):
    sizes = [1000 * 4**n for n in range(len(seconds))]
    return [
        {"axis": axis, "size": size, "stage": stage, "seconds": [cost], "median_seconds": cost, "peak_resident_bytes": peak}
        for size, cost, peak in zip(sizes, seconds, memory, strict=True)
    ]


def test_the_slope_is_the_power_with_which_a_cost_grows(growth):
    [found] = growth.slopes(line("compare", "arms", [1.0, 1.0, 16.0], [100, 200, 400]))
    assert found["median_seconds"] == pytest.approx({"last": 2.0, "whole": 1.0})  # 4 times the size: 16 = 4^2; over both 16 = 16^1
    assert found["peak_resident_bytes"] == pytest.approx({"last": 0.5, "whole": 0.5})  # 2 = 4^0.5


@pytest.mark.parametrize(
    ("stage", "axis", "seconds", "memory", "expected"),
    [
        ("compare", "arms", [1, 4, 16], [9, 9, 9], []),
        ("compare", "arms", [1, 1, 16], [9, 9, 9], ["seconds of compare against arms: slope 2.00, faster than linear"]),
        ("compare", "arms", [1, 1, 1], [1, 4, 16], []),
        ("prepare", "examples", [1, 1, 1], [1, 4, 16], ["memory of prepare against examples: slope 1.00, not flat"]),
        ("prepare", "examples", [1, 1, 1], [1, 1, 1.4], []),  # 16 to the power of an eighth is 1.41
        ("prepare", "examples", [1, 1, 1], [1, 1, 1.5], ["memory of prepare against examples: slope 0.15, not flat"]),
        ("report", "seeds", [1, 1, 1], [1, 1, 8], ["memory of report against seeds: slope 1.50, faster than linear"]),
    ],
)
def test_what_grows_faster_than_it_may_is_named(growth, stage, axis, seconds, memory, expected):
    assert growth.missed(growth.slopes(line(stage, axis, seconds, memory))) == expected


def test_every_stage_is_measured_at_every_size_and_drawn(growth, tmp_path, monkeypatch):
    sizes = {"examples": [60, 120], "arms": [2, 3]}
    monkeypatch.setitem(growth.STAGES, "arms", ["compare"])
    out = tmp_path / "deep/growth.json"
    growth.run(sizes, 1, out)
    record = files.read_json(out)
    measured = {(one["axis"], one["size"], one["stage"]) for one in record["points"]}
    assert measured == {(axis, size, stage) for axis in sizes for size in sizes[axis] for stage in growth.STAGES[axis]}
    assert all(one["median_seconds"] > 0 and one["peak_resident_bytes"] > 10_000_000 for one in record["points"])
    drawing = out.with_suffix(".svg").read_text(encoding="utf-8")
    ElementTree.fromstring(drawing)  # noqa: S314  our own file
    assert all(f">{stage}<" in drawing for stage in growth.STAGES["examples"])
    fields = {*record, *record["points"][0], *record["slopes"][0], *record["slopes"][0]["median_seconds"], *record["bars"]}
    assert fields - described.fields("reports/growth.json") == set()


def test_the_table_names_the_sizes_and_all_four_slopes_of_a_line(growth):
    points = line("compare", "arms", [1.0, 1.0, 16.0], [100, 100, 400])
    content = {"points": points, "slopes": growth.slopes(points), "num_repeats": 3, "missed": []}
    content["environment"] = {"processor": "a processor", "num_cores": 2}
    lines = growth.growth_page.rendered(content).splitlines()
    assert lines[2] == "| arms | 1,000, 16,000 | compare | 2.00 | 1.00 | 1.00 | 0.50 |"
    assert lines[4] == "Medians of 3 runs, all within the bars. Measured on: a processor, 2 cores."
    said = growth.growth_page.rendered({**content, "missed": ["one", "two"]}).splitlines()[4]
    assert said == "Medians of 3 runs, MISSED: one; two. Measured on: a processor, 2 cores."


def test_the_record_in_git_is_of_every_stage_at_every_size_and_stands_in_the_page_and_misses_nothing(growth):
    shown = growth.growth_page
    record = files.read_json(shown.RECORD)
    measured = {(one["axis"], one["size"], one["stage"]) for one in record["points"]}
    assert measured == {(axis, size, stage) for axis, sizes in growth.SIZES.items() for size in sizes for stage in growth.STAGES[axis]}
    assert {len(one["seconds"]) for one in record["points"]} == {record["num_repeats"]}
    assert record["missed"] == growth.missed(growth.slopes(record["points"])) == []
    assert shown.on_page(shown.rendered(record)) == shown.PAGE.read_text(encoding="utf-8"), "run benchmarks/growth_page.py"
    drawing = shown.RECORD.with_suffix(".svg").read_text(encoding="utf-8")
    assert shown.figure(record["points"]) == drawing, "run benchmarks/growth_page.py"


@pytest.mark.parametrize("stage", ["train", "evaluate"])
def test_inputs_are_as_long_as_the_axis_says(growth, tmp_path, monkeypatch, stage):
    from ftbench import inference, training

    seen = []
    for module, name, place in ((training, "train", 3), (inference, "classify", 2)):
        work = getattr(module, name)
        monkeypatch.setattr(module, name, lambda *given, work=work, place=place: (seen.append(given[place]), work(*given))[1])
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(growth, "TRAINED", 6)
    monkeypatch.setattr(growth, "EVALUATED", 6)
    getattr(growth, stage)(5)
    [features] = seen
    assert [len(feature["input_ids"]) for feature in features] == [5] * 6
    assert [path.name for path in tmp_path.iterdir() if path.name not in (".ftbench", "manifest.json")] == []
