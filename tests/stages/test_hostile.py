"""Hostile text from publishers' files through every stage, as a user runs them: kept as it is, and inert wherever it is shown."""

from __future__ import annotations

import csv
import json
import re
import xml.etree.ElementTree as ElementTree
from pathlib import Path
from typing import Any

import chained
import pages
import pytest

from ftbench import cli, files, params, report_html, text
from ftbench.text import LABELS

ROOT = Path(__file__).parents[2]
STAGES = ROOT / "stages"
PIECES = [
    "<script>alert(1)</script>",
    "\x1b[31mred\x1b[0m \x1b]0;title\x07 \x1b]8;;http://x\x1b\\ \x9b2J \x9d0;open",
    "| a | b || \\| c |",
    "\u202eback\u202c \u2066isolated\u2069 \u200fright\u200e \u061c",
    "\U0001f600 \U0001f469\u200d\U0001f469\u200d\U0001f467 \u0915\u094d\u0937 z\u0351\u0352",
    '"\' onfocus=alert(1) autofocus x=" <img src=x onerror=alert(1)>',
    "</style></script></title></svg> ]]> <!-- &quot; &#60;b>",
    "`code` **bold** [text](javascript:alert(1)) ![i](http://x/y) @someone",
    "${7*7} {{ 7*7 }} {premise} {0} %s \\n",
    "# heading\n- item\r\n| row |\u2028line\x85next\x0bpage\x0c---",
    "\x08\x08\x0e\x7f\ufeff\u200b\u2060 bell\x07",
    "Relation: entailment ### Response: <b>",
]
ALL = " ".join(PIECES)
LONG = ["<b>|\x1b[1m\u202e " * 10_000, "|" * 100_000, "\x9d" * 100_000, "\u202e\U0001f600x" * 34_000]  # 100 KB and more each
NAMES = [f"{PIECES[0]} | {PIECES[1]}", PIECES[3] + PIECES[9], PIECES[5], "g" * 100_000]  # of genres and kinds
UNSEEN = "\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200b\u200e\u200f\u2028\u2029\u202a-\u202e\u2060-\u2069\ufeff"


def pieces(number: int) -> str:
    return LONG[number] if number < len(LONG) else PIECES[number % len(PIECES)]


def pairs(split: str, number: int) -> list[dict[str, str]]:
    """Pairs as SNLI and MultiNLI are published; the first are longer than 100 KB."""
    rows = []
    for k in range(number):
        premise, hypothesis = f"{split} {k} {pieces(k)}", f"{pieces(k + 2 if k > 3 else 3 - k)} {split} {k}"
        gold, genre = LABELS[k % 3], NAMES[k % len(NAMES)]
        rows.append({"pairID": f"{split} {k}\n{ALL}", "genre": genre, "sentence1": premise, "sentence2": hypothesis, "gold_label": gold})
    return rows


def tasks(split: str, number: int) -> list[dict[str, str]]:
    """Instructions as Alpaca is published, with ids and kinds; the first are longer than 100 KB."""
    return [
        {
            "id": f"{split} {k}\r\n{ALL}",
            "instruction": f"{split} {k}: {pieces(k)}",
            "input": pieces(k + 1) if k % 2 else "",
            "output": f"{PIECES[k % 2]} {pieces(number - k)}",
            "kind": NAMES[k % len(NAMES)],
        }
        for k in range(number)
    ]


def flat(value: str) -> str:
    """A text as a file of tab-separated values can hold it."""
    return re.sub("[\t\n]", " ", value)


def write_sources(root: Path) -> dict[str, Any]:
    """The publishers' files; returns their blocks of params.yaml."""
    train = [json.dumps(row).encode() for row in pairs("train", 40)]
    bad = [
        json.dumps({**pairs("train", 41)[40], "gold_label": ALL}).encode(),
        json.dumps({**pairs("train", 42)[41], "sentence1": "a\0" + ALL}).encode(),
        ALL.replace("\n", " ").encode(),
        b'{"sentence1": "\xff\x1b[31m"}',
    ]
    (root / "train.jsonl").write_bytes(b"\n".join([*train, *bad]) + b"\n")
    test = pairs_in_tsv()
    lines = ["\t".join(row) for row in [list(test[0]), *(row.values() for row in test)]]
    (root / "test.tsv").write_bytes(("\n".join(lines) + "\n").encode())
    for split, number in (("train", 32), ("test", 20)):
        (root / f"alpaca_{split}.json").write_text(json.dumps(tasks(split, number), ensure_ascii=False), encoding="utf-8")
    documents = [f"{PIECES[k % 2]} {PIECES[0]} {PIECES[1]} {PIECES[k % 12]} {k}" for k in range(300)] + [LONG[0] + "end"]
    (root / "text.txt").write_bytes("\n".join(flat(one) for one in documents).encode() + b"\n")

    def file(name: str, **more: Any) -> list[dict[str, Any]]:
        return [{"path": name, "format": name.partition(".")[2], "sha256": files.sha256_file(root / name), **more}]

    common = {"source": "file", "licence": ALL, "seed": 1, "max_malformed_share": 0.2}
    return {
        "snli": {
            **common,
            "task": "nli",
            "splits": {"train": None, "validation": 6, "test": None},
            "files": {"train": file("train.jsonl"), "test": file("test.tsv")},
            "labels": {label: label for label in LABELS},
        },
        "alpaca": {
            **common,
            "task": "instructions",
            "splits": {"train": None, "validation": 6, "test": None},
            "files": {"train": file("alpaca_train.json"), "test": file("alpaca_test.json")},
        },
        "pretraining": {
            **common,
            "task": "pretraining",
            "splits": {"train": None, "validation": 30},
            "files": {"train": file("text.txt", columns=["text"], kind="hostile")},
        },
    }


def write_params(root: Path, datasets: dict[str, Any]) -> None:
    """A params.yaml of two studies of one tiny base model, whose own words are hostile where they are free text."""
    raw = params.read(ROOT / "examples/real.yaml")
    studies, real = raw["studies"], raw["real"]
    words = {
        "template": "<b>{premise}</b> | \x1b[1m{hypothesis}",
        "labels": {"entailment": "yes|", "neutral": "<i>", "contradiction": "\u202eno"},
    }
    training = {"max_steps": 3, "per_device_train_batch_size": 4, "logging_steps": 1, "eval_strategy": "steps", "eval_steps": 2}
    model = real["models"]["phi_2"]
    model["dimensions"] |= {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2}
    model["tokenizer"]["vocab_size"] = 500
    how = {
        "kinds": ["hostile"],
        "max_steps": 60,
        "warmup_steps": 5,
        "per_device_train_batch_size": 8,
        "block_size": 32,
        "learning_rate": 1e-2,
    }
    model["pretraining"] = {key: value for key, value in model["pretraining"].items() if key != "detection"} | how | {"seed": 1}
    shared = {"question": f"Is it inert? {ALL}", "seeds": [0]}
    tuned = real["alpaca"]["bloom_3b"] | {"training": {"equal": training}}
    tuned["adapter"] |= {"r": 4, "target_modules": ["q_proj", "v_proj"]}
    content = {
        "scale": "hostile",
        "studies": {
            "snli": studies["snli"]
            | {"factors": {"adapter": ["qkv"], "precision": ["nf4"]}, "baselines": ["majority", "hypothesis_only", "zero_shot"], **shared},
            "alpaca": studies["alpaca"]
            | {"factors": {"model": ["phi_2"], "budget": ["equal"]}, "baselines": ["phi_2"], "three_shot": ["phi_2"]}
            | {"reference": "phi_2-equal", **shared},
        },
        "hostile": {
            "datasets": datasets,
            "models": {"phi_2": model},
            "snli": {
                "text": {"max_length": 96, **words},
                "evaluation": {"per_device_eval_batch_size": 8},
                "qkv": {"adapter": real["snli"]["qkv"]["adapter"] | {"r": 4}, "training": training, "learning_rate": 1e-3},
                "nf4": real["snli"]["nf4"],
                "zero_shot": {"templates": [words["template"], f"{{premise}} {PIECES[1]} {PIECES[0]} | {{hypothesis}}"]},
            },
            "alpaca": real["alpaca"]
            | {"text": {"max_length": 96, "template": {"with_input": "{instruction}\n{input}\n:", "without_input": "{instruction}\n:"}}}
            | {"evaluation": {"per_device_eval_batch_size": 8, "max_new_tokens": 24}, "phi_2": tuned},
        },
    }
    for name in ("open_llama_3b", "bloom_3b", "falcon_rw_1b"):
        content["hostile"]["alpaca"].pop(name)
    write(root, content)


def write(root: Path, content: dict[str, Any]) -> None:
    escaped = re.sub("[\x7f-\x9f\ufeff]", lambda found: f"\\u{ord(found[0]):04x}", json.dumps(content, indent=1, ensure_ascii=False))
    (root / "params.yaml").write_text(escaped, encoding="utf-8")


def commands() -> list[list[str]]:
    """What a user runs, from the files to the report, and then asks of the arms."""
    base, ran = "models/base/phi_2", []
    for name in ("snli", "alpaca", "pretraining"):
        ran.append(["prepare.py", "--dataset", name, "--out", f"data/{name}"])
    tests = ["--tests", "data/snli", "data/alpaca"]
    ran.append(["checkpoint.py", "--model", "phi_2", "--data", "data/pretraining", *tests, "--out", base])
    for study, arm, train, evaluate, baselines in (
        ("snli", "qkv-nf4", "train_qlora_label.py", "evaluate_nli.py", ["majority", "hypothesis_only", "zero_shot"]),
        ("alpaca", "phi_2-equal", "train_sft.py", "evaluate_answers.py", ["phi_2", "phi_2_three_shot"]),
    ):
        report, model, stem = f"reports/{study}", f"models/{study}/{arm}-0", f"{arm}-0"
        read = ["--study", study, "--data", f"data/{study}", "--base", base]
        left = ["--cost", f"{report}/costs/{stem}-train.json", "--resources", f"{report}/resources/{stem}.csv"]
        ran.append([train, *read, "--arm", arm, "--seed", "0", "--out", model, "--curve", f"{report}/learning/{stem}.csv", *left])
        ran.append([evaluate, *read, "--arm", arm, "--seed", "0", "--model", model, *scored(report, stem)])
        ran += [["baseline.py", *read, "--baseline", one, *scored(report, f"{one}-0")] for one in baselines]
        ran.append(["compare.py", "--study", study, "--out", report])
    ran.append(["report.py", "--out", "reports"])
    return [[str(STAGES / script), *arguments] for script, *arguments in ran]


def scored(report: str, stem: str) -> list[str]:
    paths = ["--predictions", f"{report}/predictions/{stem}.parquet", "--scores", f"{report}/scores/{stem}.json"]
    return [*paths, "--cost", f"{report}/costs/{stem}-evaluate.json"]


def talks() -> list[list[str]]:
    """The trained arms, asked by hand."""
    program, judge, answers = str(cli.__file__), "models/snli/qkv-nf4-0", "models/alpaca/phi_2-equal-0"
    asked = [[one, "--input", ALL, "--max-new-tokens", "24"] for one in (ALL, PIECES[0], LONG[0])]
    return [
        [program, "predict", judge, "--premise", ALL, "--hypothesis", LONG[3]],
        [program, "predict", judge, "--file", "asked.jsonl", "--out", "judged.jsonl"],
        *[[program, "ask", answers, *one, "--compare"] for one in asked],
        [program, "chat", answers, "--compare", "--max-new-tokens", "24"],
    ]


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which everything ran; what it printed stands in `printed.txt`."""
    root = tmp_path_factory.mktemp("hostile")
    write_params(root, write_sources(root))
    asked = [{"premise": row["sentence1"], "hypothesis": row["sentence2"], ALL: ALL} for row in pairs("asked", 16)]
    (root / "asked.jsonl").write_text("".join(json.dumps(row) + "\n" for row in asked), encoding="utf-8")
    lines = [f"/input {flat(ALL)}", flat(ALL), flat(LONG[2]), f"/{flat(PIECES[1])}", "/history"]
    done = chained.run(root, [*commands(), *talks()], "\n".join(lines) + "\n")
    assert done.returncode == 0, (done.stdout + done.stderr)[-6000:]
    (root / "printed.txt").write_text(done.stdout + done.stderr, encoding="utf-8", newline="")
    return root


def read(path: Path) -> str:
    return path.read_bytes().decode("utf-8")


def obeyed(shown: str) -> list[str]:
    """What of a text a terminal or a page would obey, or not show, each with what stands around it."""
    return [repr(shown[max(0, found.start() - 60) : found.end() + 60]) for found in re.finditer(f"[{UNSEEN}]", shown)]


def pairs_in_tsv() -> list[dict[str, str]]:
    return [{key: flat(value) for key, value in row.items()} for row in pairs("test", 24)]


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
