"""Hostile text in publishers' files and in params.yaml, and the commands that take it through every stage."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from ftbench import cli, files, params
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


def pairs_in_tsv() -> list[dict[str, str]]:
    return [{key: flat(value) for key, value in row.items()} for row in pairs("test", 24)]
