"""Hostile text from publishers' files through every stage, as a user runs them: kept as it is, and inert wherever it is shown."""

from __future__ import annotations

import csv
import json
import re
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import chained
import hostile_files
import pages
import pytest
from hostile_files import ALL, LONG, PIECES, STAGES, UNSEEN, flat, pairs, pairs_in_tsv, tasks, write

from ftbench import files, report_html, text
from ftbench.text import LABELS


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which everything ran; what it printed stands in `printed.txt`."""
    root = tmp_path_factory.mktemp("hostile")
    hostile_files.write_params(root, hostile_files.write_sources(root))
    asked = [{"premise": row["sentence1"], "hypothesis": row["sentence2"], ALL: ALL} for row in pairs("asked", 16)]
    (root / "asked.jsonl").write_text("".join(json.dumps(row) + "\n" for row in asked), encoding="utf-8")
    lines = [f"/input {flat(ALL)}", flat(ALL), flat(LONG[2]), f"/{flat(PIECES[1])}", "/history"]
    done = chained.run(root, [*hostile_files.commands(), *hostile_files.talks()], "\n".join(lines) + "\n")
    assert done.returncode == 0, (done.stdout + done.stderr)[-6000:]
    (root / "printed.txt").write_text(done.stdout + done.stderr, encoding="utf-8", newline="")
    return root


def read(path: Path) -> str:
    return path.read_bytes().decode("utf-8")


def obeyed(shown: str) -> list[str]:
    """What of a text a terminal or a page would obey, or not show, each with what stands around it."""
    return [repr(shown[max(0, found.start() - 60) : found.end() + 60]) for found in re.finditer(f"[{UNSEEN}]", shown)]


def test_what_was_read_of_the_files_is_the_files_own_text(root: Path) -> None:
    published = pairs_in_tsv()
    columns = {"id": "pairID", "premise": "sentence1", "hypothesis": "sentence2", "genre": "genre"}
    kept = files.read_parquet(root / "data/snli/test.parquet").to_pylist()
    assert [{name: row[name] for name in columns} for row in kept] == [{a: row[b] for a, b in columns.items()} for row in published]
    assert files.read_parquet(root / "data/alpaca/test.parquet").to_pylist() == tasks("test", 20)
    learnt = {
        row["premise"] for split in ("train", "validation") for row in files.read_parquet(root / f"data/snli/{split}.parquet").to_pylist()
    }
    assert learnt == {row["sentence1"] for row in pairs("train", 40)}
    malformed = files.read_json(root / "data/snli/card.json")["read"]["train"]["malformed"]
    assert (malformed["num_rows"], len(malformed["first"])) == (4, 4)


@pytest.mark.parametrize("name", ["qkv-nf4", "majority", "hypothesis_only", "zero_shot"])
def test_predictions_of_pairs_are_of_the_published_pairs(root: Path, name: str) -> None:
    rows = files.read_parquet(root / f"reports/snli/predictions/{name}-0.parquet").to_pylist()
    published = pairs_in_tsv()
    told = [(row["id"], row["example_hash"], row["gold"], row["genre"]) for row in rows if row["split"] == "test"]
    assert told == [
        (row["pairID"], text.example_hash(row["sentence1"], row["sentence2"]), LABELS.index(row["gold_label"]), row["genre"])
        for row in published
    ]


@pytest.mark.parametrize("name", ["phi_2-equal", "phi_2", "phi_2_three_shot"])
def test_answers_stand_beside_the_published_instructions(root: Path, name: str) -> None:
    rows = files.read_parquet(root / f"reports/alpaca/predictions/{name}-0.parquet").to_pylist()
    held_out = [row for row in rows if row["split"] == "test"]
    columns = {"id": "id", "kind": "kind", "instruction": "instruction", "input": "input", "output": "reference"}
    assert [{ours: row[theirs] for ours, theirs in columns.items()} for row in held_out] == tasks("test", 20)


def test_the_models_themselves_write_what_a_terminal_and_a_page_would_obey(root: Path) -> None:
    # else the tests below would not be about answers
    tables = [files.read_parquet(path) for path in (root / "reports/alpaca/predictions").iterdir()]
    said = "".join(answer for table in tables for answer in table["text"].to_pylist())
    assert "<script>" in said
    assert "\x1b" in said


def test_texts_of_100_kb_are_cut_before_a_model_reads_them_and_counted(root: Path) -> None:
    for arm in ("snli/{}/qkv-nf4", "alpaca/{}/phi_2-equal"):
        cost = files.read_json(root / f"reports/{arm.format('costs')}-0-train.json")
        assert len(LONG) <= cost["num_truncated"] <= 40
    assert len(LONG) <= files.read_json(root / "reports/alpaca/scores/phi_2-equal-0.json")["test"]["num_truncated"] <= 20


def test_every_json_and_csv_file_can_be_read_again(root: Path) -> None:
    written = [path for folder in ("data", "models", "reports") for path in (root / folder).rglob("*.json")]
    assert len(written) > 25
    for path in written:
        json.loads(read(path), parse_constant=lambda name: pytest.fail(name))
    tables = [*(root / "reports").rglob("*.csv")]
    assert len(tables) > 6
    for path in tables:
        assert obeyed(read(path)) == []
        assert len({len(row) for row in csv.reader(read(path).splitlines())}) == 1, path


def test_markdown_pages_keep_their_tables_and_hold_no_markup_of_foreign_text(root: Path) -> None:
    written = [*(root / "reports").rglob("README.md")]
    assert len(written) == 3
    for path in written:
        page = read(path)
        assert obeyed(page) == [], path
        assert pages.torn_rows(page) == []
        assert re.findall(r"<[A-Za-z/!?]", page) == []
        assert all((path.parent / target).is_file() for target in re.findall(r"(?<!\\)\]\(([^)]*)\)", page)), path
        assert max(map(len, page.splitlines())) < 20_000, path
        assert "&lt;script&gt;" in page  # shown, not run


def test_the_html_page_runs_nothing_but_its_own_script_and_stays_small(root: Path) -> None:
    page = read(root / "reports/index.html")
    checker = pages.Checker()
    checker.feed(page)
    assert (checker.open, checker.fetched, checker.handlers, checker.scripts) == ([], [], [], 1)
    assert not checker.tags & {"img", "iframe", "object", "embed", "base", "form"}
    assert checker.policy.startswith("default-src 'none'; script-src 'sha256-")
    assert page.lower().count("<script") == 1
    assert obeyed(page) == []
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page  # shown, not run
    assert len(page.encode()) < report_html.MOST_BYTES


def test_drawings_are_xml_without_scripts(root: Path) -> None:
    drawn = [*(root / "reports").rglob("*.svg")]
    assert len(drawn) > 8
    for path in drawn:
        assert obeyed(read(path)) == []
        names = {element.tag.rpartition("}")[2] for element in ElementTree.parse(path).iter()}  # noqa: S314  our own file
        assert not names & {"script", "foreignObject", "image"}, path


def test_what_is_printed_on_the_way_and_by_the_arms_holds_nothing_that_a_terminal_obeys(root: Path) -> None:
    printed = read(root / "printed.txt")
    assert obeyed(printed) == []
    assert printed.count("phi_2-equal-0:\n") == 5  # asked three times, and twice in a chat


def test_a_file_of_pairs_is_judged_with_all_that_its_rows_hold(root: Path) -> None:
    asked, judged = ([json.loads(line) for line in read(root / name).split("\n")[:-1]] for name in ("asked.jsonl", "judged.jsonl"))
    assert [{key: row[key] for key in asked[0]} for row in judged] == asked
    assert {row["predicted"] for row in judged} <= set(LABELS)


def test_a_refused_header_and_a_refused_example_are_quoted_so_that_a_terminal_obeys_nothing(root: Path, tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    for name in ("data/snli", "test.tsv", "train.jsonl"):
        (tmp_path / name).symlink_to(root / name)
    content, row = json.loads(read(root / "params.yaml")), pairs_in_tsv()[4]
    header = ["sentence1", "sentence2", flat(PIECES[1]), "gold_label\x1b[1m"]
    (tmp_path / "header.tsv").write_text("\t".join(header) + "\na\tb\tc\td\n", encoding="utf-8")
    shared = [f"{row['sentence1']} {row['sentence2']} {k}\n" for k in range(9)]
    (tmp_path / "text.txt").write_text("".join(shared), encoding="utf-8")
    datasets = content["hostile"]["datasets"]
    for dataset, name in (("snli", "header.tsv"), ("pretraining", "text.txt")):
        datasets[dataset]["files"]["train"][0] |= {"path": name, "format": name[-3:], "sha256": files.sha256_file(tmp_path / name)}
    datasets["pretraining"]["splits"]["validation"] = 1
    write(tmp_path, content)
    prepared = [str(STAGES / "prepare.py"), "--dataset"]
    checked = [str(STAGES / "checkpoint.py"), "--model", "phi_2", "--data", "data/pretraining", "--tests", "data/snli", "--out", "base"]
    for chain, said in (
        ([[*prepared, "snli", "--out", "data/none"]], "no column 'gold_label' for 'label'"),
        ([[*prepared, "pretraining", "--out", "data/pretraining"], checked], "1 test examples stand whole in a pretraining text"),
    ):
        done = chained.run(tmp_path, chain)
        assert done.returncode == 2, done.stderr
        assert said in done.stderr
        assert obeyed(done.stderr) == []
        assert "\\x1b" in done.stderr
