from __future__ import annotations

from pathlib import Path

import pytest

from ftbench import params, schema
from ftbench.errors import Problem, UserError
from ftbench.schema_datasets import DataFile, HubDataset

TRAINING = {"num_train_epochs": 3, "per_device_train_batch_size": 8}


def read(tmp_path: Path, text: str | bytes) -> dict:
    path = tmp_path / "params.yaml"
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return params.read(path)


def refused(tmp_path: Path, text: str | bytes) -> str:
    with pytest.raises(UserError) as caught:
        read(tmp_path, text)
    return str(caught.value)


def mistakes(model: type, value: object) -> list[Problem]:
    with pytest.raises(UserError) as caught:
        params.build(model, value, "here")
    return caught.value.problems


@pytest.mark.parametrize(("written", "value"), [("1e-4", 0.0001), ("5e-05", 0.00005), ("2e-3", 0.002), (".5", 0.5), ("1.4e-3", 0.0014)])
def test_a_number_in_scientific_notation_is_read_as_a_number(tmp_path: Path, written: str, value: float) -> None:
    assert read(tmp_path, f"rate: {written}\n") == {"rate": value}


def test_no_and_off_are_words_as_yaml_1_2_says(tmp_path: Path) -> None:
    assert read(tmp_path, "eval_strategy: no\nlevels:\n  - off\n") == {"eval_strategy": "no", "levels": ["off"]}


def test_a_duplicate_key_is_refused_with_its_line(tmp_path: Path) -> None:
    text = refused(tmp_path, "a: 1\nb: 2\na: 3\n")
    assert "line 3" in text
    assert 'duplicate key "a"' in text


def test_an_anchor_and_its_alias_are_both_refused_with_their_lines(tmp_path: Path) -> None:
    text = refused(tmp_path, "a: &x\n  b: 1\nc: *x\n")
    assert "line 1\n  found:   &x" in text
    assert "line 3\n  found:   *x" in text


def test_a_bomb_of_aliases_is_refused_before_it_is_built(tmp_path: Path) -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 30)]
    assert "no anchors and aliases" in refused(tmp_path, "\n".join(lines))


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "a mapping"),
        ("- a\n- b\n", "a mapping"),
        ("a: [1, 2\n", "line 2"),
        ("a: b: c\n", "line 1"),
        ("a: !!python/object:os.system x\n", "line 1"),
        ("---\na: 1\n---\nb: 2\n", "line 3"),
        ("a:\n  1: x\n", "params.yaml: a\n  found:   the key 1"),
        ("a: \x07\n", "YAML"),
        (b"a: \xff\xfe\n", "not UTF-8 at byte 3"),
        ("a: " + "[" * 50 + "]" * 50, "at most 20"),
        ("a: " + "x" * 1_000_001, "at most 1000000 bytes"),
        ("a: " + "9" * 5000, "YAML 1.2"),
    ],
)
def test_what_is_no_plain_mapping_is_refused_readably(tmp_path: Path, text: str | bytes, says: str) -> None:
    assert says in refused(tmp_path, text)


def test_a_missing_file_says_where_to_run(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no such file"):
        params.read(tmp_path / "params.yaml")


def test_find_names_the_first_key_that_is_not_there_and_the_nearest() -> None:
    with pytest.raises(UserError) as caught:
        params.find({"offline": {"multinli": {"lora": {}}}}, "offline", "multinly", "lora")
    assert caught.value.problems == [Problem("params.yaml: offline.multinly", "not there", "multinli", "did you mean 'multinli'?")]


def test_a_negative_learning_rate_is_refused_with_its_key() -> None:
    [problem] = mistakes(schema.Arm, {"training": TRAINING, "learning_rate": -0.001})
    assert problem == Problem("params.yaml: here.learning_rate", "-0.001", "greater than 0")


def test_an_unknown_optimiser_is_refused_with_all_that_are_allowed_and_the_nearest() -> None:
    [problem] = mistakes(schema.Training, {**TRAINING, "optim": "adamw_torc"})
    assert problem.where == "params.yaml: here.optim"
    assert problem.found == '"adamw_torc"'
    assert "paged_adamw_8bit" in problem.allowed
    assert problem.mend == "did you mean 'adamw_torch'?"


def test_an_unknown_key_is_refused_with_the_nearest_at_any_depth() -> None:
    [problem] = mistakes(schema.Arm, {"training": {**TRAINING, "weigth_decay": 0.1}, "learning_rate": 0.1})
    assert problem.where == "params.yaml: here.training.weigth_decay"
    assert problem.found == "an unknown key"
    assert problem.mend == "did you mean 'weight_decay'?"


def test_every_mistake_of_a_block_is_reported_at_once() -> None:
    found = mistakes(schema.Training, {"num_train_epochs": 0, "per_device_train_batch_size": 0, "optim": "x", "fp16": "yes"})
    assert [problem.where.removeprefix("params.yaml: here.") for problem in found] == [
        "num_train_epochs", "per_device_train_batch_size", "optim", "fp16",
    ]  # fmt: skip


@pytest.mark.parametrize("value", [float("nan"), float("inf"), True, "0.1", 0, 1.5, None, [0.1]])
def test_what_is_no_learning_rate_is_refused(value: object) -> None:
    assert len(mistakes(schema.Arm, {"training": TRAINING, "learning_rate": value})) == 1


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"num_train_epochs": 1, "max_steps": 5}, "either num_train_epochs or max_steps"),
        ({}, "either num_train_epochs or max_steps"),
        ({"max_steps": 5, "eval_strategy": "steps"}, "eval_steps where eval_strategy is steps"),
        ({"max_steps": 5, "eval_steps": 5}, "eval_steps where eval_strategy is steps"),
        ({"max_steps": 5, "bf16": True, "fp16": True}, "at most one of bf16 and fp16"),
    ],
)
def test_training_settings_that_do_not_fit_together_are_refused(settings: dict, says: str) -> None:
    [problem] = mistakes(schema.Training, {"per_device_train_batch_size": 1, **settings})
    assert says in problem.allowed


@pytest.mark.parametrize("length", [{"num_train_epochs": 2.0}, {"max_steps": 7}])
def test_a_dump_of_training_reads_back_and_states_its_length_once(length: dict) -> None:
    training = schema.Training(per_device_train_batch_size=2, **length)
    dump = training.model_dump()
    assert {key: dump[key] for key in ("num_train_epochs", "max_steps") if key in dump} == length
    assert schema.Training.model_validate(dump) == training


@pytest.mark.parametrize(
    ("change", "where"),
    [
        ({"revision": "main"}, "revision"),
        ({"revision": "c" * 39}, "revision"),
        ({"repository": "../../etc/passwd"}, "repository"),
        ({"files": {"train": ["a"], "dev": ["b"]}}, "files.dev"),
        ({"files": {"test": ["a"]}}, ""),
        ({"labels": None}, ""),
        ({"splits": {"train": 5, "validation": 0, "test": None}}, "splits.validation"),
        ({"splits": {"train": 5, "validation": 5, "test_mismatched": None}}, ""),
        ({"task": "pretraining"}, "task"),
        ({"max_malformed_share": 1.1}, "max_malformed_share"),
    ],
)
def test_a_hub_data_set_that_is_not_pinned_or_does_not_fit_is_refused(change: dict, where: str) -> None:
    good = {
        "source": "hub", "task": "nli", "licence": "x", "repository": "stanfordnlp/snli", "revision": "c" * 40, "seed": 1,
        "splits": {"train": 5, "validation": 5, "test": None}, "files": {"train": ["a"], "test": ["b"]},
        "labels": {"entailment": 0, "neutral": 1, "contradiction": 2}, "max_malformed_share": 0.0,
    }  # fmt: skip
    assert params.build(HubDataset, good).splits.sizes() == {"train": 5, "validation": 5, "test": None}
    wheres = [problem.where for problem in mistakes(HubDataset, {**good, **change})]
    assert ("params.yaml: here." + where).rstrip(".") in wheres


def test_a_file_that_is_not_pinned_says_how_to_pin_it() -> None:
    [problem] = mistakes(DataFile, {"path": "a.jsonl", "format": "jsonl"})
    assert problem.where == "params.yaml: here.sha256"
    assert "ftbench pin" in problem.mend


@pytest.mark.parametrize(
    "template", ["no field", "{premise} {hypothesis} {label}", "{premise} {hypotesis}", "{premise} {hypothesis} {", "{premise.x}"]
)
def test_a_template_without_exactly_its_fields_is_refused(template: str) -> None:
    labels = {"entailment": "a", "neutral": "b", "contradiction": "c"}
    assert mistakes(schema.Text, {"max_length": 64, "template": template, "labels": labels})


def test_the_place_of_a_mistake_does_not_name_a_member_of_a_union() -> None:
    found = mistakes(schema.Text, {"max_length": 64, "template": {"with_input": "{instruction} {input}", "wihout_input": "{instruction}"}})
    assert {problem.where for problem in found} >= {"params.yaml: here.template.wihout_input", "params.yaml: here.template.without_input"}
    assert any(problem.mend == "did you mean 'without_input'?" for problem in found)


def test_every_optimiser_schedule_and_sampling_that_is_allowed_is_one_of_the_trainer() -> None:
    from typing import get_args

    source = Path(__import__("importlib.util").util.find_spec("transformers").origin).parent
    training, utils = ((source / name).read_text() for name in ("training_args.py", "trainer_utils.py"))
    assert all(f'= "{name}"' in training for name in get_args(schema.Optimiser))
    assert all(f'= "{name}"' in utils for name in get_args(schema.Scheduler))


@pytest.mark.parametrize(
    ("text", "line", "found"),
    [
        ("a: 1\nb: !!str 5\n", 2, 'the tag "tag:yaml.org,2002:str"'),
        ("a: !!int '7'\n", 1, 'the tag "tag:yaml.org,2002:int"'),
        ("a: ! 5\n", 1, 'the tag "!"'),
        ("a:\n  !!map {}\n", 2, "the tag"),
        ("%YAML 1.1\n---\na: no\n", 2, "a directive"),
        ("%TAG !x! tag:x,2026:\n---\na: 1\n", 2, "a directive"),
    ],
)
def test_what_gives_a_value_another_meaning_than_it_is_written_with_is_refused(tmp_path: Path, text: str, line: int, found: str) -> None:
    said = refused(tmp_path, text)
    assert f"line {line}\n  found:   {found}" in said


def test_a_key_that_a_terminal_would_obey_is_named_with_its_escapes(tmp_path: Path) -> None:
    said = refused(tmp_path, '"a\\e[31m":\n  1: x\n')
    assert "params.yaml: a\\x1b[31m\n" in said
    assert "\x1b" not in said
