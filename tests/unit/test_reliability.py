"""docs/reliability.md shows what reports/reliability.json holds, and the record is one of enough cases without a fault."""

from __future__ import annotations

from pathlib import Path

import described
import edits
import hardships
import kills
import mutants
import pytest
import repeat
import table

from ftbench import files

ROOT = Path(__file__).parents[2]
RECORD = {
    "mutants": {"seed": 0, "by_kind": {"a": {"refused": 2}, "b": {"accepted": 1, "refused": 3}}},
    "kills": {"kills": 7, "by_stage": {"x|y": 7}},
}
SHOWN = """### `kills`

| what | count |
| --- | ---: |
| kills | 7 |

| by stage | count |
| --- | ---: |
| x\\|y | 7 |

### `mutants`

| what | count |
| --- | ---: |
| seed | 0 |

| by kind | accepted | refused |
| --- | ---: | ---: |
| a | 0 | 2 |
| b | 1 | 3 |
| all | 1 | 5 |"""


def test_the_page_is_in_step_with_the_record() -> None:
    text = table.PAGE.read_text(encoding="utf-8")
    assert table.page(text, files.read_json(table.RELIABILITY)) == text, "run python soak/table.py"


def test_counts_are_shown_by_key_with_their_sums() -> None:
    assert table.rendered(RECORD) == SHOWN


def test_only_what_stands_between_the_markers_is_replaced() -> None:
    text = f"before\n{table.BEGIN}\nold\n{table.END}\nafter\n"
    once = table.page(text, RECORD)
    assert once == f"before\n{table.BEGIN}\n\n{SHOWN}\n\n{table.END}\nafter\n"
    assert table.page(once, RECORD) == once


@pytest.mark.parametrize("text", ["nothing", table.BEGIN, table.END + table.BEGIN, table.BEGIN * 2 + table.END])
def test_a_page_without_its_markers_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="once each"):
        table.page(text, RECORD)


def test_a_script_replaces_its_own_key_alone(tmp_path: Path) -> None:
    path = tmp_path / "reports/reliability.json"
    table.put("kills", {"kills": 7}, path)
    table.put("mutants", {"cases": 1}, path)
    table.put("mutants", {"cases": 2}, path)
    assert files.read_json(path) == {"kills": {"kills": 7}, "mutants": {"cases": 2}}


def test_the_lines_that_a_hardship_changes_stand_in_the_sources_once() -> None:
    for module, lines in (("stage", hardships.WELL), ("training", hardships.STARTED)):
        assert (ROOT / f"src/ftbench/{module}.py").read_text(encoding="utf-8").count(lines) == 1


def test_the_record_is_of_enough_mutants_and_of_no_fault() -> None:
    record = files.read_json(table.RELIABILITY)["mutants"]
    assert record["faults"] == 0
    of_params = {kind: outcomes for kind, outcomes in record["by_kind"].items() if kind.startswith("params")}
    assert sum(sum(outcomes.values()) for outcomes in of_params.values()) >= mutants.LEAST
    assert len(of_params) == 11
    assert len([kind for kind in record["by_kind"] if kind.startswith("data")]) == 10
    assert len([kind for kind in record["by_kind"] if kind.startswith("model")]) == 5
    assert sum(sum(outcomes.values()) for outcomes in record["by_kind"].values()) == record["cases"]
    assert set(record) <= described.fields("reports/reliability.json")


def test_the_record_is_of_a_hundred_kills_in_every_kind_of_stage_and_of_every_hardship() -> None:
    record = files.read_json(table.RELIABILITY)["kills"]
    assert record["faults"] == 0
    assert record["kills"] >= 100
    assert set(record["by_stage"]) == set(kills.KINDS)
    assert set(record["by_signal"]) == set(kills.SIGNALS)
    assert set(record["by_target"]) == set(kills.TARGETS)
    assert record["resumed_trainings"] >= 1
    assert set(record["hardships"]) == set(hardships.HARDSHIPS)
    assert set(record) <= described.fields("reports/reliability.json")


def test_the_record_is_of_thirty_rounds_of_edits_of_every_kind() -> None:
    record = files.read_json(table.RELIABILITY)["edits"]
    assert record["faults"] == 0
    assert record["rounds"] >= 30
    assert set(record["by_edit"]) == {*edits.EDITS, edits.BACK}
    assert sum(record["by_edit"].values()) >= record["rounds"]
    assert record["outputs_compared"] >= record["rounds"]
    assert set(record) <= described.fields("reports/reliability.json")


def test_metrics_of_two_machines_are_told_apart_once_rounded_the_furthest_first() -> None:
    first = {"snli.a.accuracy": 0.8001, "snli.b.accuracy": 0.7, "snli.b.n": 1000.0, "snli.c.nll": 0.5}
    second = {"snli.a.accuracy": 0.8004, "snli.b.accuracy": 0.75, "snli.b.n": 1000.0, "snli.d.nll": 0.5}
    assert repeat.apart(first, second, digits=3) == [
        "snli.c.nll is in one of the two alone",
        "snli.d.nll is in one of the two alone",
        "snli.b.accuracy: 0.7 and 0.75, 0.05 apart",
    ]
    assert repeat.apart(first, second, digits=4)[-1] == "snli.a.accuracy: 0.8001 and 0.8004, 0.0003 apart"


def test_the_metrics_that_two_machines_are_compared_by_are_all_numbers_of_every_study() -> None:
    found = repeat.metrics(ROOT)
    assert {name.split(".")[0] for name in found} == {path.parent.name for path in ROOT.glob("reports/*/metrics.json")}
    assert len(found) > 500
    assert 0 <= found["snli.qkv-nf4.accuracy"] <= 1


def test_the_record_is_of_two_whole_runs() -> None:
    record = files.read_json(table.RELIABILITY)["two_runs"]
    assert record["faults"] == 0
    assert record["outputs_compared"] > 300
    assert record["pages_compared"] > 10
    assert set(record) <= described.fields("reports/reliability.json")
