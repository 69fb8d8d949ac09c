"""The scale `paper` is the same code as the offline one: every arm of the shipped block, on stand-ins for its checkpoints and its data.

What differs from the shipped block is listed in `paper_stand_ins.py`. The commands are those of dvc.yaml.
"""

from __future__ import annotations

import copy
import json
import math
import shutil
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import paper_commands
import pytest
from paper_commands import Ran, project
from paper_stand_ins import LAYERS, MATCHED, MISMATCHED, afforded, changed, edit, pairs, pinned, shipped

from ftbench import checks, cli, files, grid, params, schema
from ftbench.questions import QUESTIONS
from ftbench.text import LABELS

ROOT = Path(__file__).resolve().parents[2]

# ---- One run of everything --------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str, Path], Ran]]:
    """`stage("python stages/…", folder)` runs a command there, in a fork of one warm process; its exit code and what it said."""
    with paper_commands.warm_process(tmp_path_factory.mktemp("warm") / "said") as run:
        yield run


@pytest.fixture(scope="module")
def commands(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The commands of all stages of dvc.yaml at the scale `paper`, one seed each, in their order and by name."""
    return paper_commands.by_name(tmp_path_factory.mktemp("dvc"))


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory, stage: Callable[[str, Path], Ran], commands: dict[str, str]) -> Path:
    """A folder in which every stage of every study has run, as a command, from the publishers' files to the comparison."""
    folder = tmp_path_factory.mktemp("paper")
    project(folder, changed(folder))
    for name, command in commands.items():
        if not name.startswith(("account", "report")):  # they count all scales and write pages: no model of this folder is in them
            code, said = stage(command, folder)
            assert code == 0, f"{name}\n{said}"
    return folder


@pytest.fixture(scope="module")
def used(root: Path) -> dict[str, Any]:
    """The params that everything ran with."""
    return params.read(root / "params.yaml")


def studies() -> dict[str, schema.Study]:
    return {name: grid.study(shipped(), name) for name in shipped()["studies"]}


def arms() -> list[tuple[str, str]]:
    """Study and name of every arm of the grid."""
    return [(name, arm) for name, study in studies().items() for arm in grid.arms(study)]


def leaves(block: Any, place: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Every value of nested mappings with its place."""
    for key, value in block.items():
        yield from leaves(value, (*place, key)) if isinstance(value, dict) else [((*place, key), value)]


def test_the_params_differ_from_the_shipped_ones_in_what_is_listed_and_in_nothing_else(used: dict[str, Any]) -> None:
    before, after = dict(leaves(shipped())), dict(leaves(used))
    places = {place for place in before | after if before.get(place, leaves) != after.get(place, leaves)}
    models = {place[3] for place in places if place[:2] == ("paper", "models")}
    assert models == {"source", "repository", "revision", "gated", "dimensions", "path", "files"}
    datasets = {place[2:4] if place[3] == "labels" else place[3] for place in places if place[:2] == ("paper", "datasets")}
    assert datasets == {"source", "repository", "revision", "files", "splits", ("multinli", "labels")}
    others = {place[-1] for place in places if place[1] not in ("models", "datasets")}
    assert others == {"seeds", "num_train_epochs", "max_steps", "fp16", "max_new_tokens"}
    assert {place[-1] for place in places if place[0] == "studies"} == {"seeds"}


def test_the_params_fit_together(used: dict[str, Any]) -> None:
    assert set(checks.everything(used, ROOT)) == set(studies())


def test_publishers_rows_become_splits_without_the_pairs_that_have_no_gold_label(root: Path, used: dict[str, Any]) -> None:
    for name, block in used["paper"]["datasets"].items():
        card = files.read_json(root / "data" / name / "card.json")
        sizes = {split: content["num_rows"] for split, content in card["splits"].items()}
        assert set(sizes) == set(block["splits"])
        assert all(sizes[split] == size for split, size in block["splits"].items() if size is not None)
        dropped = {split: read["dropped"] for split, read in card["read"].items()}
        if name in ("snli", "multinli"):
            assert {split: counts["no_gold_label"] for split, counts in dropped.items()} == {
                split: sum(row["label"] == -1 for row in pairs(name, split)) for split in block["files"]
            }
        if name == "alpaca":
            assert dropped["train"]["empty_output"] == 5
    genres = {
        split: set(files.read_parquet(root / f"data/multinli/{split}.parquet")["genre"].to_pylist()) for split in ("train", "test_matched")
    }
    assert genres == {"train": set(MATCHED), "test_matched": set(MATCHED)}
    assert set(files.read_parquet(root / "data/multinli/test_mismatched.parquet")["genre"].to_pylist()) == set(MISMATCHED)


def test_a_manifest_holds_the_hash_of_every_file_and_says_what_was_converted(root: Path, used: dict[str, Any]) -> None:
    converted = set()
    for name, block in used["paper"]["models"].items():
        assert [path.name for path in (root / "models/base" / name).iterdir()] == ["manifest.json"], "no copy of the weights"
        manifest = files.read_json(root / "models/base" / name / "manifest.json")
        folder = root / manifest["folder"]
        published = {file["path"]: file["sha256"] for file in block["files"]}
        there = {path.name: files.sha256_file(path) for path in folder.iterdir() if path.suffix != ".py"}
        assert manifest["files"] == there
        assert (manifest["architecture"], manifest["source"], manifest["licence"]) == (block["architecture"], "file", block["licence"])
        assert manifest["vocab_size"] == manifest["num_tokens"] + 13
        if manifest["converted_from_pytorch"]:
            converted.add(name)
            assert published.keys() ^ there.keys() == {"pytorch_model.bin", "model.safetensors"}
            assert all(there[file] == sha256 for file, sha256 in published.items() if file in there)
        else:
            assert there == published
    assert converted == {"open_llama_3b", "falcon_rw_1b"}


def test_every_arm_of_every_study_was_trained(root: Path) -> None:
    assert len(arms()) == 28
    trained = sorted((path.parent.parent.name, path.parent.name) for path in (root / "models").glob("*/*/arm.json"))
    assert trained == sorted((study, f"{arm}-0") for study, arm in arms())
    for study, arm in arms():
        cost = files.read_json(root / f"reports/{study}/costs/{arm}-0-train.json")
        assert cost["num_steps"] == afforded(grid.arm(shipped(), study, arm).training.model_dump())["max_steps"]
        assert cost["parameters"]["trained"] > 0
    assert not list((root / ".ftbench/scratch").iterdir())
    assert not (root / ".ftbench/failures").exists() or not list((root / ".ftbench/failures").iterdir())


def test_an_arm_has_the_settings_of_the_shipped_block_but_for_the_changes(root: Path) -> None:
    for study, arm in arms():
        described = files.read_json(root / f"models/{study}/{arm}-0/arm.json")
        expected = grid.arm(shipped(), study, arm).model_dump(mode="json")
        expected["training"] |= afforded(expected["training"])
        del expected["training"]["num_train_epochs"]
        assert described["settings"] == expected
        assert described["text"] == grid.text(shipped(), study).model_dump(mode="json")
        assert described["model"] == grid.model_of(studies()[study], arm)
        if expected["quantization"]:
            assert described["dtype"] == expected["quantization"]["bnb_4bit_compute_dtype"]


def test_every_linear_layer_of_a_quantised_arm_is_in_4_bits(root: Path) -> None:
    per_block = {"phi_2": 6, "llama_3_8b": 7, "open_llama_3b": 7, "bloom_3b": 4, "falcon_rw_1b": 4}
    quantised = []
    for study, arm in arms():
        model = grid.model_of(studies()[study], arm)
        cost = files.read_json(root / f"reports/{study}/costs/{arm}-0-train.json")
        wanted = 0
        if grid.arm(shipped(), study, arm).quantization is not None:
            quantised.append(model)
            wanted = per_block[model] * LAYERS[model]
        assert cost["num_4bit_layers"] == wanted, f"{study} {arm}"
    assert {model: quantised.count(model) for model in per_block} == {
        "phi_2": 2, "llama_3_8b": 5, "open_llama_3b": 2, "bloom_3b": 2, "falcon_rw_1b": 2,
    }  # fmt: skip


def test_every_arm_and_every_baseline_has_a_prediction_for_every_test_row(root: Path) -> None:
    for name, study in studies().items():
        tests = ["test_matched", "test_mismatched"] if study.dataset == "multinli" else ["test"]
        rows = [
            (split, row) for split in tests for row in files.read_parquet(root / f"data/{study.dataset}/{split}.parquet")["id"].to_pylist()
        ]
        asked = [("questions", question.id) for question in QUESTIONS] if study.dataset == "alpaca" else []
        others = ["test"] if study.dataset == "multinli" else ["test_matched", "test_mismatched"]
        elsewhere = {f"{'snli' if study.dataset == 'multinli' else 'multinli'}/{split}" for split in others}
        scores = ["nll"] if study.dataset == "alpaca" else [f"log_probability_{label}" for label in LABELS]
        for scored in (*grid.arms(study), *grid.baselines(study)):
            predictions = files.read_parquet(root / f"reports/{name}/predictions/{scored}-0.parquet").to_pydict()
            said = list(zip(predictions["split"], predictions["id"], strict=True))
            assert said[: len(rows)] == rows, f"{name} {scored}"
            if study.dataset == "alpaca":
                assert said == rows + asked, f"{name} {scored}"
            else:
                besides = {"validation", "probes", *(elsewhere if scored in grid.arms(study) else ())}
                assert {split for split, _ in said[len(rows) :]} == besides, f"{name} {scored}"
            assert all(math.isfinite(value) for score in scores for value in predictions[score][: len(rows)])
        compared = files.read_json(root / f"reports/{name}/metrics.json")
        assert set(compared) >= {*grid.arms(study), *grid.baselines(study)}


def test_no_file_of_any_output_is_a_pickle_or_code(root: Path) -> None:
    written = [path for name in ("data", "models", "reports", ".ftbench/converted") for path in (root / name).rglob("*") if path.is_file()]
    assert len(written) > 400
    assert {path.suffix for path in written} == {".csv", ".json", ".parquet", ".safetensors"}
    for path in written:
        assert not zipfile.is_zipfile(path), path  # what torch.save writes
        assert path.suffix == ".safetensors" or not path.read_bytes().startswith(b"\x80"), path


# ---- What is wrong with a checkpoint or an arm at this scale ----------------------------------------------------------------------


def shards(folder: Path) -> list[Path]:
    return sorted(folder.glob("model-*-of-*.safetensors"))


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def more_tokens(folder: Path) -> None:
    content = json.loads((folder / "tokenizer.json").read_text(encoding="utf-8"))
    added = [{**content["added_tokens"][-1], "id": 700 + number, "content": f"<{number}>"} for number in range(20)]
    edit(folder / "tokenizer.json", added_tokens=[*content["added_tokens"], *added])


@pytest.mark.parametrize(
    ("model", "spoil", "says"),
    [
        ("phi_2", lambda folder: truncate(shards(folder)[0]), "cannot be read as safetensors (truncated?)"),
        ("falcon_rw_1b", lambda folder: truncate(folder / "pytorch_model.bin"), "the restricted loader rejects it"),
        ("llama_3_8b", lambda folder: shards(folder)[1].unlink(), "no weights"),
        ("bloom_3b", lambda folder: edit(folder / "config.json", model_type="falcon"), "model_type falcon\n  allowed: bloom"),
        ("roberta_large", more_tokens, "720 tokens\n  allowed: at most 713, the rows of the embedding"),
    ],
    ids=["truncated", "truncated_pytorch", "without_a_shard", "another_architecture", "too_many_tokens"],
)
def test_a_spoilt_checkpoint_is_refused_before_anything_trains_on_it(
    model: str,
    spoil: Callable[[Path], Any],
    says: str,
    root: Path,
    used: dict[str, Any],
    commands: dict[str, str],
    stage: Callable[[str, Path], Ran],
    tmp_path: Path,
) -> None:
    """Pinned as it is: a hash says only that a file has not changed since."""
    folder = tmp_path / "published"
    shutil.copytree(used["paper"]["models"][model]["path"], folder)
    spoil(folder)
    block = {**used["paper"]["models"][model], "path": str(folder), "files": pinned(folder)}
    project(tmp_path, {"scale": "paper", "paper": {"models": {model: block}}})
    code, said = stage(commands[f"checkpoint@{model}"], tmp_path)
    assert code == 2, said
    assert says in said
    assert "mend:" in said or "no weights" in said
    assert "Traceback" not in said
    assert not (tmp_path / "models/base" / model).exists()


def test_layers_that_the_checkpoint_lacks_are_refused_before_the_first_step(
    root: Path, used: dict[str, Any], commands: dict[str, str], stage: Callable[[str, Path], Ran], tmp_path: Path
) -> None:
    raw = copy.deepcopy(used)
    raw["paper"]["multinli_llm"]["qlora_head"]["adapter"]["target_modules"] = ["query_key_value", "dense"]  # Bloom's
    project(tmp_path, raw)
    for name in ("data", "models"):
        (tmp_path / name).symlink_to(root / name)
    command = commands["train_multinli_llm@qlora_head-last_token-0"].replace("--out models/", "--out left/").replace(" reports/", " left/")
    code, said = stage(command, tmp_path)
    assert code == 2, said
    assert said.count("adapter.target_modules\n") == 2
    assert "allowed: down_proj, gate_proj, k_proj, o_proj, q_proj, " in said
    assert "Traceback" not in said
    assert not [path for path in (tmp_path / "left").rglob("*") if path.is_file()]


def test_every_source_of_the_hub_that_is_not_pinned_to_a_full_commit_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    raw = copy.deepcopy(shipped())
    raw["paper"]["models"]["phi_2"]["revision"] = "main"
    raw["paper"]["models"]["bloom_3b"]["revision"] = raw["paper"]["models"]["bloom_3b"]["revision"][:12]
    raw["paper"]["datasets"]["snli"]["revision"] = "main"
    for section, name in (("models", "roberta_large"), ("datasets", "multinli")):
        del raw["paper"][section][name]["revision"]
    project(tmp_path, raw)
    with pytest.raises(SystemExit) as stopped:
        cli.main(["check", "--params", str(tmp_path / "params.yaml")])
    said = capsys.readouterr().err
    assert stopped.value.code == 2
    for place in ("models.phi_2", "models.bloom_3b", "datasets.snli"):
        assert f"params.yaml: paper.{place}.revision\n" in said
    for place in ("models.roberta_large", "datasets.multinli"):
        assert f"params.yaml: paper.{place}.revision\n  found:   not there" in said
    assert said.count("a full commit: 40 hexadecimal digits") == 3
    assert said.count("found:") == 5
