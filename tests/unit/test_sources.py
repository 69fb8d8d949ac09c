"""The three kinds of source, and the verification of files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from published_files import SNLI_HEADER, written

from ftbench import files, sources
from ftbench.errors import UserError
from ftbench.schema_datasets import FileDataset, GeneratedDataset, HubDataset

LABELS = {"entailment": "entailment", "neutral": "neutral", "contradiction": "contradiction"}
REVISION = "cdb5c3d5eed6ead6e5a341c8e56e669bb666725b"


def pairs_dataset(path: Path, file_format: str, **changes: Any) -> FileDataset:
    file = {"path": str(path), "format": file_format, "sha256": files.sha256_file(path), **changes.pop("file", {})}
    settings = {"source": "file", "task": "nli", "licence": "x", "seed": 0, "splits": {"train": None, "validation": 1, "test": 1}}
    return FileDataset.model_validate({**settings, "files": {"train": [file]}, "labels": LABELS, "max_malformed_share": 0.0, **changes})


# --------------------------------------------------------------------------------------------------------------------- sources
def test_official_snli_rows_come_under_our_names_whatever_the_format(tmp_path: Path) -> None:
    tsv = written(tmp_path, "snli_1.0_train.txt", f"{SNLI_HEADER}\nneutral\t(\tA man.\tHe sits.\tc.jpg\tc.jpg#1n\tneutral\t\n")
    official = {
        "annotator_labels": ["neutral"],
        "gold_label": "neutral",
        "sentence1": "A man.",
        "sentence2": "He sits.",
        "pairID": "c.jpg#1n",
    }
    jsonl = written(tmp_path, "snli_1.0_train.jsonl", json.dumps(official) + "\n")
    expected = {"premise": "A man.", "hypothesis": "He sits.", "label": "neutral", "id": "c.jpg#1n"}
    for path, file_format in ((tsv, "tsv"), (jsonl, "jsonl")):
        assert [row for _, row in sources.rows(pairs_dataset(path, file_format), "train")] == [expected]


def test_official_multinli_rows_keep_their_genre(tmp_path: Path) -> None:
    header = "gold_label\tsentence1\tsentence2\tpromptID\tpairID\tgenre\tlabel1"
    path = written(tmp_path, "multinli_1.0_train.txt", f"{header}\nneutral\tp\th\t31193\t31193n\tgovernment\tneutral\n")
    found = [row for _, row in sources.rows(pairs_dataset(path, "tsv"), "train")]
    assert found == [{"premise": "p", "hypothesis": "h", "label": "neutral", "id": "31193n", "genre": "government"}]


def test_columns_named_in_params_are_used_and_wrong_ones_are_all_reported(tmp_path: Path) -> None:
    path = written(tmp_path, "a.csv", "text_a,text_b,relation\np,h,neutral\n")
    columns = {"premise": "text_a", "hypothesis": "text_b", "label": "relation"}
    assert [row for _, row in sources.rows(pairs_dataset(path, "csv", columns=columns), "train")] == [
        {"premise": "p", "hypothesis": "h", "label": "neutral"}
    ]
    with pytest.raises(UserError) as caught:
        list(sources.rows(pairs_dataset(path, "csv", columns={"premise": "text_c", "gener": "x"}), "train"))
    assert [problem.found for problem in caught.value.problems] == [
        "no column 'text_c' for 'premise'", "no column 'hypothesis' for 'hypothesis'", "no column 'gold_label' for 'label'",
        "not a column of ours",
    ]  # fmt: skip
    assert caught.value.problems[-1].mend == "did you mean 'genre'?"


def test_a_range_of_rows_lets_one_file_be_train_and_test(tmp_path: Path) -> None:
    path = written(tmp_path, "a.csv", "premise,hypothesis,label\n" + "".join(f"p{n},h,neutral\n" for n in range(1, 6)))
    dataset = pairs_dataset(path, "csv", file={"first_row": 2, "last_row": 3})
    assert [row["premise"] for _, row in sources.rows(dataset, "train") if isinstance(row, dict)] == ["p2", "p3"]


def test_columns_of_a_pretraining_file_become_lines_of_a_document(tmp_path: Path) -> None:
    content = [
        {"instruction": "Add.", "input": "", "output": "3"},
        {"instruction": "Add.", "input": 4, "output": "5"},
        {"instruction": "x"},
    ]
    path = written(tmp_path, "a.json", json.dumps(content))
    file = {"columns": ["instruction", "input", "output"], "kind": "instructions"}
    dataset = pairs_dataset(path, "json", task="pretraining", labels=None, splits={"train": None, "validation": 1}, file=file)
    assert [row for _, row in sources.rows(dataset, "train")] == [
        {"text": "Add.\n3", "kind": "instructions"}, "'input' is int, not text", "no column 'input'",
    ]  # fmt: skip


def test_every_problem_with_the_files_is_found_at_once(tmp_path: Path) -> None:
    good = written(tmp_path, "good.jsonl", "{}\n")
    pinned = {"format": "jsonl", "sha256": files.sha256_file(good)}
    changed = written(tmp_path, "changed.jsonl", "{} \n")
    dataset = FileDataset.model_validate(
        {
            "source": "file", "task": "nli", "licence": "x", "seed": 0, "splits": {"train": None, "validation": None, "test": None},
            "labels": LABELS, "max_malformed_share": 0.0,
            "files": {
                "train": [{"path": str(good), **pinned}, {"path": str(tmp_path / "missing.jsonl"), **pinned}],
                "validation": [{"path": str(tmp_path), **pinned}, {"path": str(changed), **pinned}],
                "test": [{"path": str(good), **pinned}],
            },
        }
    )  # fmt: skip
    found = [problem.found for problem in sources.verify(dataset)]
    assert found == [
        "no such file", "a folder, not a file", f"sha256 {files.sha256_file(changed)}: the file has changed",
        "the same rows for the splits train and test",
    ]  # fmt: skip
    assert "`ftbench pin`" in sources.verify(dataset)[2].mend


def test_generated_pairs_of_the_mismatched_test_come_from_genres_that_training_never_sees() -> None:
    splits = {"train": 6, "validation": 3, "test_matched": 3, "test_mismatched": 3}
    settings = {"source": "generated", "task": "nli", "licence": "x", "seed": 0, "splits": splits}
    dataset = GeneratedDataset.model_validate({**settings, "genres": ["captions"], "mismatched_genres": ["farming"]})
    genres = {split: {row["genre"] for _, row in sources.rows(dataset, split) if isinstance(row, dict)} for split in splits}
    assert genres == {"train": {"captions"}, "validation": {"captions"}, "test_matched": {"captions"}, "test_mismatched": {"farming"}}


def test_two_streams_are_interleaved_evenly_and_completely() -> None:
    assert "".join(sources.interleave(iter("aaaaaa"), 6, iter("bbb"), 3)) == "aabaabaab"
    assert "".join(sources.interleave(iter("aa"), 2, iter(""), 0)) == "aa"
    assert "".join(sources.interleave(iter(""), 0, iter("bb"), 2)) == "bb"


# ------------------------------------------------------------------------------------------------------------------------- hub
def hub_dataset(**labels: int) -> HubDataset:
    files_by_split = {"train": ["plain_text/train-*.parquet"]}
    settings = {"source": "hub", "task": "nli", "licence": "x", "seed": 0, "splits": {"train": None, "validation": 1, "test": 1}}
    pinned = {"repository": "stanfordnlp/snli", "revision": REVISION, "files": files_by_split}
    return HubDataset.model_validate({**settings, **pinned, "labels": labels, "max_malformed_share": 0.0})


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that `datasets` reads by the name of a repository, with the publisher's label names in the file."""
    datasets = pytest.importorskip("datasets")
    folder = tmp_path / "stanfordnlp" / "snli" / "plain_text"
    folder.mkdir(parents=True)
    features = datasets.Features({
        "premise": datasets.Value("string"), "hypothesis": datasets.Value("string"),
        "label": datasets.ClassLabel(names=["entailment", "neutral", "contradiction"]),
    })  # fmt: skip
    table = datasets.Dataset.from_dict({"premise": ["p", "q"], "hypothesis": ["h", "i"], "label": [2, -1]}, features=features)
    table.to_parquet(str(folder / "train-00000-of-00001.parquet"))
    monkeypatch.setenv("HF_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", tmp_path / "cache")
    monkeypatch.chdir(tmp_path)
    return folder


@pytest.mark.usefixtures("repository")
def test_a_hub_repository_is_read_through_datasets_by_its_data_files() -> None:
    found = [row for _, row in sources.rows(hub_dataset(entailment=0, neutral=1, contradiction=2), "train")]
    assert found == [{"premise": "p", "hypothesis": "h", "label": 2}, {"premise": "q", "hypothesis": "i", "label": -1}]


@pytest.mark.usefixtures("repository")
def test_label_numbers_that_contradict_the_publishers_names_are_refused() -> None:
    with pytest.raises(UserError, match="the publisher's numbers are entailment: 0, contradiction: 2"):
        list(sources.rows(hub_dataset(entailment=2, neutral=1, contradiction=0), "train"))


def test_the_pinned_revision_is_what_is_asked_of_the_hub(monkeypatch: pytest.MonkeyPatch) -> None:
    datasets = pytest.importorskip("datasets")
    asked: dict[str, Any] = {}

    def load_dataset(repository: str, **options: Any) -> None:
        asked.update(repository=repository, **options)
        raise datasets.exceptions.DatasetNotFoundError("no such repository")

    monkeypatch.setattr(datasets, "load_dataset", load_dataset)
    with pytest.raises(UserError, match="not found: no such repository"):
        list(sources.rows(hub_dataset(entailment=0, neutral=1, contradiction=2), "train"))
    assert asked == {
        "repository": "stanfordnlp/snli", "data_files": {"train": ["plain_text/train-*.parquet"]}, "revision": REVISION, "split": "train",
    }  # fmt: skip


def test_a_hub_repository_whose_file_is_no_data_is_refused_and_named(repository: Path) -> None:
    for path in repository.iterdir():
        path.write_bytes(path.read_bytes()[:50])
    with pytest.raises(UserError, match=r"stanfordnlp/snli@.* train\n  found:   not readable: "):
        list(sources.rows(hub_dataset(entailment=0, neutral=1, contradiction=2), "train"))
