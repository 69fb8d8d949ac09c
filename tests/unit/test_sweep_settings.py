"""Sweeps: what params.yaml may say of one, what is queued, and what is made of the curves."""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ftbench import checks, experiments, grid, params, report_sweeps, sweep, sweep_results, sweep_settings
from ftbench.errors import Problem, UserError
from ftbench.report_data import Study

ROOT = Path(__file__).parents[2]
HEADER = "step,epoch,loss,learning_rate,grad_norm,eval_loss,eval_accuracy\n"


@pytest.fixture(scope="module")
def shipped() -> dict[str, Any]:
    return params.read(ROOT / "params.yaml")


@pytest.fixture
def raw(shipped: dict[str, Any]) -> dict[str, Any]:
    return copy.deepcopy(shipped)


def mistakes(raw: dict[str, Any]) -> list[Problem]:
    with pytest.raises(UserError) as caught:
        checks.everything(raw, ROOT)
    return caught.value.problems


def block(**changes: Any) -> Callable[[dict[str, Any]], None]:
    def apply(raw: dict[str, Any]) -> None:
        raw["offline"]["sweeps"]["learning_rate"] |= changes

    return apply


@pytest.mark.parametrize(
    ("change", "where", "says"),
    [
        (block(study="multinly"), ".study", "did you mean 'multinli'?"),
        (block(arms=["full-onw"]), ".arms", "did you mean 'full-own'?"),
        (block(arms=["full-own", "full-own"]), "", "each arm once"),
        (block(arms=[]), ".arms", "at least one"),
        (block(seeds=[0, 7]), ".seeds", "allowed: 0, 1, 2"),
        (block(seeds=[0, 0]), "", "each seed once"),
        (block(parameter="learning_rate.onw"), ".parameter", "did you mean 'learning_rate.own'?"),
        (block(parameter="learning_rate"), ".parameter", "no level of the arm full-own holds"),
        (block(parameter="learning_rate.shared", values=[1.1e-4, 1.2e-4]), ".parameter", "which the arm full-own does not use"),
        (block(values=[7e-4]), "", "two values or more"),
        (block(values=[7e-4, 7e-4]), "", "values that rise"),
        (block(values=[7e-4, "linear"]), "", "all numbers or all names"),
        (block(values=[7e-4, 7.0]), ".values[1]", "less than or equal to 1"),
        (block(values=[5e-4, 7e-4]), ".values[0]", "the arms full-shared and full-own have equal settings"),
        (block(metric="accuracy"), ".metric", "did you mean 'eval_accuracy'?"),
        (block(metrics="eval_loss"), ".metrics", "did you mean 'metric'?"),
    ],
)  # fmt: skip
def test_what_does_not_fit_a_sweep_is_named_with_its_key(
    raw: dict[str, Any], change: Callable[[dict[str, Any]], None], where: str, says: str
) -> None:
    change(raw)
    found = mistakes(raw)
    assert {problem.where for problem in found} == {f"params.yaml: offline.sweeps.learning_rate{where}"}
    assert says in str(found[0])


def test_a_sweep_of_arms_that_are_not_validated_is_refused(raw: dict[str, Any]) -> None:
    training = raw["offline"]["multinli"]["lora"]["training"]
    training["eval_strategy"] = "no"
    del training["eval_steps"]
    assert {problem.found for problem in mistakes(raw)} == {"lora-own, which is not validated"}


def test_answers_have_no_accuracy_to_sweep_by(raw: dict[str, Any]) -> None:
    one = {"study": "alpaca", "arms": ["bloom_3b-study"], "parameter": "adapter.r", "values": [8, 16], "seeds": [0]}
    raw["offline"]["sweeps"]["rank"] = {**one, "metric": "eval_loss"}
    assert checks.everything(raw, ROOT)
    raw["offline"]["sweeps"]["rank"]["metric"] = "eval_accuracy"
    assert [problem.where for problem in mistakes(raw)] == ["params.yaml: offline.sweeps.rank.metric"]


def test_a_scale_needs_no_sweeps_and_a_name_of_another_scale_is_none_here(raw: dict[str, Any]) -> None:
    assert "sweeps" not in raw["paper"]
    raw["scale"] = "paper"
    with pytest.raises(UserError, match="none at this scale"):
        sweep_settings.find(raw, "learning_rate")
    raw["offline"]["sweeps"] = []
    assert [problem.where for problem in mistakes(raw)] == ["params.yaml: offline.sweeps"]


def test_every_arm_is_queued_with_the_same_value_and_the_same_seeds(raw: dict[str, Any]) -> None:
    block(arms=["full-own", "lora-own"], seeds=[0, 2])(raw)
    one = sweep_settings.find(raw, "learning_rate")
    assert sweep.queued(raw, "learning_rate", one, "sweep-learning_rate-1", 3.5e-4) == [
        "exp", "run", "--queue", "--name", "sweep-learning_rate-1",
        "-S", "offline.multinli.full.learning_rate.own=0.00035", "-S", "offline.multinli.lora.learning_rate.own=0.00035",
        "train_multinli@full-own-0", "train_multinli@full-own-2", "train_multinli@lora-own-0", "train_multinli@lora-own-2",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("parameter", "values", "keys"),
    [
        ("training.study.num_train_epochs", [1, 2], 2),
        ("training.study.optim", ["adamw_torch", "adafactor"], 2),
        ("learning_rate", [1e-3, 2e-3], 2),
        ("adapter.r", [8, 16], 2),
    ],
)
def test_any_setting_of_a_level_can_be_swept(raw: dict[str, Any], parameter: str, values: list[Any], keys: int) -> None:
    arms = ["open_llama_3b-study", "bloom_3b-study"]
    raw["offline"]["sweeps"]["one"] = {
        "study": "alpaca", "arms": arms, "parameter": parameter, "values": values, "seeds": [0], "metric": "eval_loss",
    }  # fmt: skip
    checks.everything(raw, ROOT)
    one = sweep_settings.find(raw, "one")
    assert sweep_settings.keys(raw, "one", one) == {arm: f"offline.alpaca.{arm.split('-')[0]}.{parameter}" for arm in arms}
    tried = sweep_settings.tried(raw, "one", one, values[1])
    assert all(params.find(tried, *key.split(".")) == values[1] for key in sweep_settings.keys(raw, "one", one).values())
    assert grid.arm(tried, "alpaca", arms[0]) == grid.arm(tried, "alpaca", arms[0])
    assert raw["offline"]["alpaca"] is not tried["offline"]["alpaca"]


# ---- what is made of the curves -------------------------------------------------------------------------------------------------


def test_the_end_of_a_curve_is_its_last_validation_and_a_curve_without_one_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "curve.csv"
    path.write_text(HEADER + "250,0.5,0.9,1e-3,1,0.8,0.5\n500,1,0.7,0,1,0.6,0.75\n")
    assert sweep_results.end(path) == {"num_steps": 500.0, "eval_loss": 0.6, "eval_accuracy": 0.75}
    path.write_text(HEADER + "250,0.5,0.9,1e-3,1,0.8,0.5\n500,1,0.7,0,1,,\n")
    with pytest.raises(UserError, match="no validation after the last step"):
        sweep_results.end(path)


def of(metric: str = "eval_loss", values: list[Any] | None = None, **changes: Any) -> sweep_settings.Sweep:
    settings = {"study": "s", "arms": ["a", "b"], "parameter": "learning_rate.own", "values": values or [0.1, 0.2, 0.4], "seeds": [0, 1]}
    return sweep_settings.Sweep.model_validate({**settings, "metric": metric, **changes})


def ended(*losses: tuple[float, float], accuracies: tuple[float, float] | None = (0.5, 0.7)) -> list[dict[int, dict[str, float | None]]]:
    seeds = [dict(enumerate(pair)) for pair in losses]
    return [
        {seed: {"num_steps": 500.0, "eval_loss": loss, "eval_accuracy": accuracies and accuracies[seed]} for seed, loss in one.items()}
        for one in seeds
    ]


def payload(one: sweep_settings.Sweep, a: list[Any], b: list[Any], current: float | str = 0.2) -> dict[str, Any]:
    ends = {value: {"a": a[index], "b": b[index]} for index, value in enumerate(one.values) if a[index] is not None}
    return sweep_results.payload("offline", one, {"a": "k.a", "b": "k.b"}, {"a": current, "b": current}, ends)


def test_the_best_value_has_the_lowest_mean_loss_and_the_smaller_one_wins_a_tie() -> None:
    a = ended((0.9, 0.7), (0.5, 0.7), (0.6, 0.6))  # means 0.8, 0.6, 0.6
    b = ended((0.25, 0.75), (0.75, 0.75), (1.0, 1.0))  # means 0.5, 0.75, 1.0
    found = payload(of(), a, b)
    first, second = found["arms"]["a"], found["arms"]["b"]
    assert [round(trial["eval_loss"], 9) for trial in first["trials"]] == [0.8, 0.6, 0.6]
    assert (first["best"], first["best_at_edge"], first["best_is_current"]) == (0.2, False, True)
    assert (second["best"], second["best_at_edge"], second["best_is_current"]) == (0.1, True, False)
    assert first["trials"][0]["eval_loss_by_seed"] == [0.9, 0.7]
    assert first["trials"][0]["eval_accuracy"] == pytest.approx(0.6)
    assert {trial["num_steps"] for trial in first["trials"]} == {500}
    assert sweep_results.advice(found) == [
        "a: k.a is at its best",
        "b: set k.b to 0.1 (now 0.2); the best lies at the edge of what was tried: try values beyond it",
    ]


def test_by_accuracy_the_highest_mean_is_best() -> None:
    scores = [ended((0.5, 0.5), accuracies=pair)[0] for pair in ((0.2, 0.4), (0.6, 0.8), (0.6, 0.6))]
    assert payload(of("eval_accuracy"), scores, scores)["arms"]["a"]["best"] == 0.2  # 0.3, 0.7, 0.6


def test_a_value_that_failed_is_missing_and_the_best_is_among_the_others() -> None:
    scores = [None, *ended((0.5, 0.7), (0.4, 0.4))]
    found = payload(of(), scores, scores)
    assert found["failed"] == [0.1]
    assert [trial["value"] for trial in found["arms"]["a"]["trials"]] == [0.2, 0.4]
    assert (found["arms"]["a"]["best"], found["arms"]["a"]["best_at_edge"]) == (0.4, True)


def test_names_have_no_edge_and_answers_no_accuracy() -> None:
    scores = ended((0.4, 0.4), (0.5, 0.5), accuracies=None)
    found = payload(of(values=["adafactor", "sgd"]), scores, scores, "sgd")
    assert (found["arms"]["a"]["best"], found["arms"]["a"]["best_at_edge"]) == ("adafactor", False)
    assert found["arms"]["a"]["trials"][0]["eval_accuracy"] is None
    assert report_sweeps.table("optimiser", found).rows[0] == ["a", "0.400", "0.500", "adafactor", "no", "sgd"]


def test_the_report_shows_every_value_with_its_scale_seeds_steps_and_metric() -> None:
    scores = [*ended((0.9, 0.7), (0.5, 0.7)), None]
    found = payload(of(), scores, scores)
    table = report_sweeps.table("rate", found)
    assert table.caption == (
        "Sweep rate: validation loss (validation accuracy in brackets) after the last step, at each value of learning_rate.own; "
        "mean of seeds 0, 1, 500 steps. Scale offline."
    )
    assert table.headers == ["arm", "0.1", "0.2", "0.4", "best", "at the edge", "in params.yaml"]
    assert table.rows[0] == ["a", "0.800 (60.0 %)", "0.600 (60.0 %)", "–", "0.2", "no", "0.2"]
    texts = [getattr(one, "text", "") for one in report_sweeps.sweeps({"rate": found}, {})]
    assert "Failed, and missing from the table: 0.4." in texts
    assert report_sweeps.sweeps({}, {}) == []


def test_the_report_leaves_out_the_sweeps_of_another_scale(tmp_path: Path) -> None:
    from ftbench import files, report

    scores = ended((0.9, 0.7), (0.5, 0.7), (0.6, 0.6))
    files.write_json(tmp_path / "here.json", payload(of(), scores, scores))
    files.write_json(tmp_path / "there.json", {**payload(of(), scores, scores), "scale": "paper"})
    assert list(report._read_sweeps(tmp_path, "offline")) == ["here"]
    assert report._read_sweeps(tmp_path / "nowhere", "offline") == {}
    assert Study("s", {}, {}, {}, {}).sweeps == {}


def test_the_states_of_dvcs_queue_are_read_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    shown = "Task     Name     Created       Status\n3c8339d  sweep-x-1  06:28 PM   Queued\nbaeec05  other  Jan 05, 2025   Failed\n"
    monkeypatch.setattr(experiments, "dvc", lambda *words: shown + "\nWorker status: 0 active, 0 idle\n")
    assert experiments.states() == {"sweep-x-1": "Queued", "other": "Failed"}
