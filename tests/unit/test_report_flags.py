"""A study page names arms whose training looks wrong."""

from __future__ import annotations

from typing import Any

from ftbench import report_flags, tables
from ftbench.report_data import Study


def study(**comparison: Any) -> Study:
    return Study("snli", {}, {"scale": "offline", "primary_metric": "accuracy", **comparison}, {}, {})


def page(one: Study) -> str:
    return tables.markdown(report_flags.flags(one))


def test_a_study_without_flags_says_nothing() -> None:
    assert report_flags.flags(study()) == []
    assert report_flags.flags(study(flags={})) == []


def test_a_flagged_arm_stands_with_its_seed_and_what_was_seen() -> None:
    shown = page(study(flags={"lora-own": [{"seed": 2, "flag": "one_class", "says": "calls all 10 examples neutral"}]}))
    assert "## Flags" in shown
    assert "| `lora-own` |" in shown.replace("`lora-own`  ", "`lora-own` ")
    assert "one class" in shown
    assert "calls all 10 examples neutral" in shown
    assert "Scale offline." in shown


def test_a_flags_words_are_escaped() -> None:
    shown = page(study(flags={"a": [{"seed": 0, "flag": "one_class", "says": "<script>|x"}]}))
    assert "<script>" not in shown
