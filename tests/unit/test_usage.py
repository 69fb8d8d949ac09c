"""What training used over time: thinned by bins, read with readable mistakes, drawn with every arm, and said in numbers."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest

from ftbench import costs, curves, figures_curves, report_budgets, usage
from ftbench.errors import UserError
from ftbench.report_data import Study

HEADER = "seconds,cpu_percent,resident_bytes,gpu_percent,gpu_bytes\n"
GB = 10**9


def row(seconds: float, cpu: float, resident: float, gpu: float | None = None, gpu_bytes: float | None = None) -> curves.Row:
    return dict(zip(usage.SAMPLED, (seconds, cpu, resident, gpu, gpu_bytes), strict=True))


def written(tmp_path: Path, text: str, seed: int = 0) -> Path:
    path = tmp_path / f"resources/arm-{seed}.csv"
    path.parent.mkdir(exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def test_usage_has_the_columns_that_training_samples() -> None:
    assert usage.SAMPLED == costs.RESOURCES


def test_a_bin_holds_the_most_memory_and_the_mean_utilisation_weighed_by_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(usage, "NUM_BINS", 2)
    # bins of 2 s: [0, 2) and [2, 4]; utilisation of a sample is that of the time since the one before
    samples = [row(0, 77, 5), row(0.5, 100, 9, 40, 7), row(1.5, 40, 6, 70, 8), row(2, 10, 3, None, None), row(4, 90, 4, 30, 2)]
    first, second = usage.thinned(samples)
    assert first == row(1.5, (0.5 * 100 + 1 * 40) / 1.5, 9, (0.5 * 40 + 1 * 70) / 1.5, 8)
    assert second == row(4, (0.5 * 10 + 2 * 90) / 2.5, 4, 30, 2)


def test_a_long_run_has_no_more_points_than_a_page_shows_and_keeps_its_peak() -> None:
    samples = [row(second / 4, 100, 10 + (second == 7777)) for second in range(20_000)]
    thinned = usage.thinned(samples)
    assert len(thinned) == usage.NUM_BINS
    assert usage.most(thinned, "resident_bytes") == 11
    assert thinned[-1]["seconds"] == samples[-1]["seconds"]


def test_a_bin_without_a_sample_is_left_out_and_one_sample_is_one_point(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(usage, "NUM_BINS", 4)
    assert [one["seconds"] for one in usage.thinned([row(0.1, 1, 1), row(3.9, 1, 1), row(4, 1, 1)])] == [0.1, 4]
    # the first sample stands for no time, so that its utilisation says nothing
    assert usage.thinned([row(0, 300, 5)]) == [{**row(0, 0, 5), "cpu_percent": None}]


def test_the_seeds_of_an_arm_stand_in_one_file_with_empty_cells_where_there_was_no_gpu(tmp_path: Path) -> None:
    written(tmp_path, HEADER + "0.001,0,500,,\n0.25,99.96,600,,\n")
    written(tmp_path, HEADER + "0.001,0,500,0,100\n0.25,50,600,93.25,2000000000\n", seed=2)
    assert usage.merged(tmp_path, {0: "arm-0", 2: "arm-2"}).splitlines() == [
        "seed," + HEADER.strip(), "0,0.00,,500,,", "0,0.25,100.0,600,,", "2,0.00,,500,,100", "2,0.25,50.0,600,93.2,2000000000",
    ]  # fmt: skip
    path = tmp_path / "arm.csv"
    path.write_text(usage.merged(tmp_path, {0: "arm-0", 2: "arm-2"}), encoding="utf-8")
    assert usage.series(usage.read(path), "resident_bytes") == [(0.0, 500.0), (0.25, 600.0)]  # of the first seed


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "an empty file"),
        (HEADER, "no samples"),
        ("seconds,cpu\n1,2\n", "seconds, cpu"),
        (HEADER + "0,1,2,,\n1,lots,2,,\n", r"line 3\n.*cpu_percent is 'lots'"),
        (HEADER + "0,1,2,,\n1,1", r"line 3\n.*resident_bytes is None"),
        (HEADER + ",1,2,,\n", r"line 2\n.*no seconds"),
        (HEADER + "0,1,-2,,\n", r"line 2\n.*resident_bytes is -2"),
    ],
)
def test_resources_that_are_empty_or_broken_are_refused_with_their_file_and_line(tmp_path: Path, text: str, said: str) -> None:
    path = written(tmp_path, text)
    with pytest.raises(UserError, match=said) as raised:
        usage.merged(tmp_path, {0: "arm-0"})
    assert str(path) in str(raised.value)


# ---- Drawn and said ---------------------------------------------------------------------------------------------------------------


def over_time(*arms: str, gpu: bool = False) -> dict[str, curves.Curve]:
    points = [(0, 1 * GB), (1800, 24 * GB), (3600, 22 * GB)]
    return {
        arm: [{"seed": 0.0, **row(at, 90, 2 * GB, 80 if gpu else None, held - place * GB if gpu else None)} for at, held in points]
        for place, arm in enumerate(arms)
    }


def test_the_figure_holds_every_arm_in_two_panels() -> None:
    arms = [f"arm_{number}" for number in range(13)]
    drawn = figures_curves.used(over_time(*arms))
    assert [drawn.count(f">{arm}<") for arm in arms] == [2] * 13
    assert ">resident memory (GB)<" in drawn
    assert ">processor utilisation (%)<" in drawn
    assert ">minutes of training<" in drawn
    assert "GPU" not in drawn
    assert drawn == figures_curves.used(over_time(*arms))


def test_where_every_arm_was_on_a_gpu_its_memory_is_drawn_against_the_cards() -> None:
    on_gpu = over_time("one", "two", gpu=True)
    drawn = figures_curves.used(on_gpu, 25.0 * GB)
    assert ">GPU memory (GB)<" in drawn
    assert ">GPU utilisation (%)<" in drawn
    assert ">the card's memory, 25.0 GB<" in drawn
    assert "the card's" not in figures_curves.used(on_gpu)
    mixed = figures_curves.used({**on_gpu, **over_time("three")}, 25.0 * GB)
    assert mixed.count(">three<") == 2, "an arm without a GPU is not left out: what all have is drawn"
    assert ">resident memory (GB)<" in mixed


def test_usage_without_any_sample_draws_nothing_and_does_not_stop_the_report() -> None:
    assert "<svg" in figures_curves.used({"arm": []})


COUNTS = {"num_epochs": 1.5, "examples_per_step": 8, "num_steps": 563, "num_examples": 4504, "num_tokens": 213_956, "num_truncated": 0,
          "num_4bit_layers": 16}  # fmt: skip


def study(counts: dict[str, dict[str, Any]], gpu: bool = False, cards: tuple[int | None, ...] = (None,)) -> Study:
    entries = {arm: {"levels": dict(zip(("model", "budget"), arm.split("-"), strict=True))} for arm in counts}
    environments = [{"gpu": None if size is None else {"bytes": size}} for size in cards]
    cost = {"entries": counts, "environments": environments}
    return Study(
        "alpaca", {}, {"scale": "offline", "entries": entries}, cost, {arm: [] for arm in counts}, usage=over_time(*counts, gpu=gpu)
    )


def said(one: Study) -> str:
    blocks = report_budgets.budgets(one, report_budgets.drawings(one))
    return "\n".join(block.text for block in blocks if hasattr(block, "text"))


def test_the_table_shows_what_each_arm_was_trained_on_and_a_dash_where_a_record_lacks_it() -> None:
    one = study({"a-equal": COUNTS, "b-equal": {**COUNTS, "num_epochs": 1.333333, "num_tokens": 1000.4, "num_truncated": None}})
    table = report_budgets.budgets(one, {})[1]
    assert table.headers == ["arm", "epochs", "examples per update", "updates", "examples seen", "tokens seen", "truncated", "4-bit layers"]
    assert table.rows == [
        ["a-equal", "1.50", "8", "563", "4,504", "213,956", "0", "16"],
        ["b-equal", "1.33", "8", "563", "4,504", "1,000", "–", "16"],
    ]
    assert table.caption.endswith("Scale offline.")


def test_a_budget_that_is_equal_is_said_to_be_and_one_that_is_not_is_said_not_to_be() -> None:
    longer = {**COUNTS, "num_tokens": 239_023}
    more = {**COUNTS, "num_examples": 6000, "num_steps": 376}
    text = said(study({"a-study": COUNTS, "a-equal": COUNTS, "b-study": more, "b-equal": longer}))
    assert (
        "Budget `equal`: each of `a-equal` and `b-equal` saw 4,504 examples in 563 updates; 213,956 to 239,023 tokens, "
        "since each model's tokenizer cuts the same text its own way." in text
    )
    assert "Budget `study`: `a-study` and `b-study` did not see the same: 4,504 to 6,000 examples in 376 to 563 updates" in text


@pytest.mark.parametrize("lacking", ["num_examples", "num_steps", "num_tokens"])
def test_nothing_is_said_of_a_budget_whose_counts_are_not_all_known_or_that_is_of_one_arm(lacking: str) -> None:
    assert "Budget `" not in said(study({"a-equal": COUNTS, "b-equal": {**COUNTS, lacking: None}, "b-study": COUNTS}))


def test_how_full_a_card_was_is_a_share_only_where_there_was_one_kind_of_card() -> None:
    counts = {"a-equal": COUNTS, "b-equal": COUNTS}
    assert "of the card's 25.00 GB: `a-equal` 24.00 GB (96.0 %), `b-equal` 23.00 GB (92.0 %)." in said(study(counts, True, (25 * GB, None)))
    two = study(counts, True, (25 * GB, 80 * GB))
    assert "on the GPU: `a-equal` 24.00 GB, `b-equal` 23.00 GB." in said(two)
    assert "of the process, resident: `a-equal` 2.00 GB" in said(study(counts))
    assert "in use" not in said(dataclasses.replace(two, usage={}))
    assert report_budgets.drawings(dataclasses.replace(two, usage={})) == {}


# ---- The other curves -------------------------------------------------------------------------------------------------------------


def learnt(*arms: str) -> dict[str, curves.Curve]:
    steps = [(1.0, 0.5, 2.0, None), (2.0, 1.0, None, 0.7), (3.0, 1.5, 1.0, None), (4.0, 2.0, None, 0.6)]
    return {
        arm: [
            {"seed": 0.0, "step": step, "epoch": epoch, "loss": loss, "learning_rate": loss and loss / 100, "grad_norm": loss and 2 * loss,
             "eval_loss": validated, "eval_accuracy": None}
            for step, epoch, loss, validated in steps
        ]
        for arm in arms
    }  # fmt: skip


def test_every_arm_is_in_every_figure_of_its_curves() -> None:
    arms = [f"arm_{number}" for number in range(8)]
    for draw, panels in (
        (figures_curves.learning, 2),  # no accuracy was logged
        (figures_curves.learning_rates, 1),
        (figures_curves.gradient_norms, 1),
        (figures_curves.arm_by_arm, 1),
    ):
        drawn = draw(learnt(*arms))
        assert [drawn.count(f">{arm}<") for arm in arms] == [panels] * 8, draw.__name__
        assert "<svg" in draw({"arm": []})


def test_training_and_validation_loss_of_one_arm_are_told_apart_by_words_and_line() -> None:
    drawn = figures_curves.arm_by_arm(learnt("one", "two"))
    for word in ("training", "validation", "loss", "learning rate", "gradient norm"):
        assert drawn.count(f">{word}<") == 1, word
    assert "stroke-dasharray" in drawn


def test_a_course_is_drawn_by_share_of_the_runs_steps_as_a_mean_over_seeds() -> None:
    rows = learnt("arm")["arm"]
    other = [{**one, "seed": 1.0, "grad_norm": one["grad_norm"] and one["grad_norm"] + 1} for one in rows]
    assert figures_curves.by_share(rows, "grad_norm") == [(25.0, 4.0), (75.0, 2.0)]
    assert figures_curves.by_share([*rows, *other], "grad_norm") == [(25.0, 4.5), (75.0, 2.5)]
    assert figures_curves.by_share([], "grad_norm") == []
