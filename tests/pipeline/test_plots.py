"""What `dvc plots` draws: every file that dvc.yaml names is there, with the columns that are drawn."""

import csv
import re
from pathlib import Path

from ruamel.yaml import YAML

ROOT = Path(__file__).parents[2]


def test_every_file_that_is_drawn_is_there_with_both_of_its_columns():
    drawn = YAML(typ="safe").load((ROOT / "dvc.yaml").read_text(encoding="utf-8"))["plots"]
    entries = [(title, one) for each in drawn for title, one in each.items()]
    assert len({title for title, _ in entries}) == len(entries) > 20
    lacking = []
    for title, one in entries:
        for name, column in one["y"].items():
            path = ROOT / name
            columns = next(csv.reader(path.read_text(encoding="utf-8").splitlines())) if path.is_file() else []
            lacking += [f"{title}: {name}: {each}" for each in (one["x"], column) if each not in columns]
    assert lacking == []


def test_the_scores_of_every_study_are_drawn_with_their_intervals():
    text = (ROOT / "dvc.yaml").read_text(encoding="utf-8")
    found = re.findall(r"- reports/(\S+)/scores\.csv:\n +cache: false\n +template: scores\n +x: score\n +y: entry\n", text)
    assert found == ["${key}", "alpaca"]
    template = (ROOT / ".dvc/plots/scores.json").read_text(encoding="utf-8")
    for column in ("low", "high", "kind", "rev"):
        assert f'"field": "{column}"' in template
