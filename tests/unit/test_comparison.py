import itertools
from pathlib import Path

import numpy as np
import pytest

from ftbench import answers, arms, comparison, comparison_answers, comparison_nli, cost_table, curves, files, predictions
from ftbench.errors import UserError
from ftbench.schema import Study


def grid(factors, baselines, seeds=(0, 1), metric="accuracy", reference=None, model="m"):
    study = Study(
        question="?",
        model=model,
        dataset="d",
        factors=factors,
        baselines=baselines,
        seeds=list(seeds),
        primary_metric=metric,
        reference=reference,
    )
    names = ["-".join(levels) for levels in itertools.product(*factors.values())]
    rows = predictions.entries(names, factors, baselines, seeds)
    return comparison.Grid("s", study, rows, "offline", Path("reports/s"), Path("data/d"))


def scored(one, name, right):
    table = np.asarray(right, dtype=float)
    return comparison.Scored(one.row(name), table, table.astype(bool), table)


def test_the_grid_is_enumerated_from_params_with_baselines_at_seed_zero():
    rows = predictions.entries(["lora-own"], {"method": ["lora"], "rate": ["own"]}, ["majority"], [3, 4])
    assert [row.stems() for row in rows] == [["lora-own-3", "lora-own-4"], ["majority-0"]]
    assert rows[0].levels == {"method": "lora", "rate": "own"}
    expected = predictions.expected_files(Path("r"), rows)
    assert Path("r/costs/majority-0-evaluate.json") in expected["costs"]
    assert Path("r/costs/majority-0-train.json") not in expected["costs"]
    assert expected["learning"] == [Path("r/learning/lora-own-3.csv"), Path("r/learning/lora-own-4.csv")]


def test_the_base_is_the_prompt_before_the_untrained_head_and_an_arms_own_model_before_both():
    assert comparison.base_of(grid({"method": ["a"]}, ["untrained_head", "zero_shot"]), "a") == "zero_shot"
    assert comparison.base_of(grid({"method": ["a"]}, ["majority", "untrained_head"]), "a") == "untrained_head"
    assert comparison.base_of(grid({"method": ["a"]}, ["majority"]), "a") is None
    own = grid({"model": ["x", "y"], "budget": ["study"]}, ["x", "y"], model=None, metric="bits_per_byte")
    assert comparison.base_of(own, "y-study") == "y"


def test_all_pairs_are_tested_and_holm_counts_them_all():
    one = grid({"method": ["a", "b"]}, ["majority", "zero_shot"], reference="a")
    rng = np.random.default_rng(0)
    table = {name: scored(one, name, rng.random((2, 400)) < share) for name, share in (("a", 0.9), ("b", 0.5))}
    table |= {name: scored(one, name, rng.random((1, 400)) < 0.4) for name in ("majority", "zero_shot")}
    rows = comparison.tests(table, {"a": "zero_shot", "b": "zero_shot"}, "a")
    assert [(row["a"], row["b"]) for row in rows] == [
        ("a", "b"), ("a", "majority"), ("a", "zero_shot"), ("b", "majority"), ("b", "zero_shot"),
    ]  # fmt: skip
    assert all(row["p_holm"] >= row["p"] for row in rows)
    assert min(rows, key=lambda row: row["p"])["p_holm"] == pytest.approx(5 * min(row["p"] for row in rows))
    assert ["mcnemar" in row for row in rows] == [True, True, True, False, True]
    assert [(exact["seed_a"], exact["seed_b"]) for exact in rows[2]["mcnemar"]] == [(0, 0), (1, 0)]


def test_a_lower_loss_ranks_first():
    one = grid({"method": ["a", "b"]}, [], metric="nll")
    table = {"a": scored(one, "a", [[1.0, 1.2, 0.9, 1.1]] * 2), "b": scored(one, "b", [[0.1, 0.3, 0.2, 0.2]] * 2)}
    assert comparison.summary(one, table, "test")["ranked"] == ["b", "a"]


def test_effects_of_the_factors_stand_beside_the_tests_where_there_are_two_factors():
    factors = {"model": ["x", "y"], "budget": ["study", "equal"]}
    two = grid(factors, ["x", "y"], seeds=(0,), metric="bits_per_byte", model=None, reference="x-study")
    bits = {"x-study": 1.0, "x-equal": 1.5, "y-study": 2.0, "y-equal": 3.0, "x": 4.0, "y": 5.0}
    found = comparison.summary(two, {name: scored(two, name, np.full((1, 4), mean)) for name, mean in bits.items()}, "test")["effects"]
    assert [(row["factors"], row["levels"], row["against"]) for row in found] == [
        (["model"], ["y"], ["x"]), (["budget"], ["equal"], ["study"]), (["model", "budget"], ["y", "equal"], ["x", "study"]),
    ]  # fmt: skip
    assert [row["difference"] for row in found] == pytest.approx([1.25, 0.75, 0.5])
    one = grid({"method": ["x", "y"]}, [], seeds=(0,), reference="x")
    assert "effects" not in comparison.summary(one, {name: scored(one, name, np.ones((1, 4))) for name in "xy"}, "test")


def test_a_metric_that_no_example_has_is_refused_with_what_is_allowed():
    with pytest.raises(UserError, match=r"studies\.s\.primary_metric(.|\n)*token_f1(.|\n)*accuracy"):
        comparison.primary_scores(grid({"method": ["a"]}, [], metric="token_f1"), {"accuracy": np.ones((1, 2))})


def test_metrics_are_rounded_and_counts_stay_whole():
    assert comparison.rounded({"a": 0.12345678, "n": 7}) == {"a": 0.123457, "n": 7}


def test_scores_of_pairs_by_hand():
    gold, predicted = np.array([0, 1, 2, 2]), np.array([0, 1, 1, 2])
    log_probabilities = np.log(np.where(np.arange(3) == predicted[:, None], 0.5, 0.25))
    found = predictions.nli_scores(gold, predicted, log_probabilities)
    assert found["accuracy"] == 0.75
    assert found["nll"] == pytest.approx((3 * np.log(2) + np.log(4)) / 4)
    assert found["brier"] == pytest.approx((3 * (0.25 + 2 * 0.0625) + (0.5625 + 0.25 + 0.0625)) / 4)
    assert found["confusion.contradiction.neutral"] == 1


def test_a_score_that_its_predictions_do_not_give_is_named_with_both_values():
    with pytest.raises(UserError, match=r"x\.json: test\.accuracy(.|\n)*0\.9(.|\n)*0\.75"):
        predictions.refuse_edited(Path("x.json"), "test", {"test": {"accuracy": 0.9}}, {"accuracy": 0.75})
    scores = {"test": {"confusion": [[1, 0, 0], [0, 4, 0], [0, 0, 1]]}}
    with pytest.raises(UserError, match=r"confusion\.neutral\.neutral"):
        predictions.refuse_edited(Path("x.json"), "test", scores, {"confusion.neutral.neutral": 5.0})


def test_shallow_controls_of_the_hypothesis_baseline_take_the_baselines_names():
    shallow = {"hypothesis_ngrams": 0.4, "premise_ngrams": 0.3, "premise_and_hypothesis_ngrams": 0.5}
    found = comparison_nli.other_shallow({"hypothesis_only": {"n": 10, "shallow": shallow}})
    assert {name: one["mean"] for name, one in found.items()} == {"premise_only": 0.3, "pair_ngrams": 0.5}


def test_curves_have_the_columns_that_training_writes(tmp_path):
    assert curves.LOGGED == arms.CURVE
    path = tmp_path / "learning/a-0.csv"
    path.parent.mkdir()
    path.write_text(
        "step,epoch,loss,learning_rate,grad_norm,eval_loss,eval_accuracy\n1,0.5,2.5,0.1,1,,\n2,1,,,,0.7,0.9\n", encoding="utf-8"
    )
    assert curves.merged(tmp_path, {0: "a-0"}).splitlines()[1:] == ["0,1,0.5,2.5,0.1,1,,", "0,2,1,,,,0.7,0.9"]


@pytest.mark.parametrize(("text", "where"), [("step,loss\n1,2\n", "step, loss"), ("", "an empty file")])
def test_a_curve_with_other_columns_is_refused(tmp_path, text, where):
    (tmp_path / "a.csv").write_text(text, encoding="utf-8")
    with pytest.raises(UserError, match=where):
        curves.read(tmp_path / "a.csv")


def test_a_curve_with_a_cell_that_is_no_number_is_refused_with_its_line(tmp_path):
    header = "seed,step,epoch,loss,learning_rate,grad_norm,eval_loss,eval_accuracy"
    (tmp_path / "a.csv").write_text(f"{header}\n0,1,1,nan,,,,\n", encoding="utf-8")
    with pytest.raises(UserError, match=r"line 2(.|\n)*loss is 'nan'"):
        curves.read(tmp_path / "a.csv")


def test_the_mean_of_seeds_is_over_the_places_that_all_logged():
    rows = [{"seed": 0.0, "step": s, "epoch": s, "loss": s} for s in (1.0, 2.0)] + [{"seed": 1.0, "step": 2.0, "epoch": 2.0, "loss": 4.0}]
    assert curves.mean_series(rows, "loss") == [(2.0, 3.0)]


def test_a_cost_that_a_record_lacks_is_null_and_has_no_ratio(tmp_path):
    from ftbench import files

    entry = predictions.Entry("a", True, (0, 1), {"method": "a"})
    for seed, seconds in ((0, 4.0), (1, 6.0)):
        files.write_json(tmp_path / f"costs/a-{seed}-train.json", {"seconds": {"training": seconds}})
        files.write_json(tmp_path / f"costs/a-{seed}-evaluate.json", {})
    found = cost_table.build("s", "offline", "a", [entry], tmp_path)["entries"]["a"]
    assert (found["train_seconds"], found["bytes_on_disk"]) == (5.0, None)
    assert found["ratio_to_reference"]["train_seconds"] == 1.0
    assert found["ratio_to_reference"]["bytes_on_disk"] is None


def test_what_data_and_bases_are_made_of_is_taken_from_their_own_records(tmp_path: Path) -> None:
    held_out = {"loss": 0.7, "perplexity": 2.0, "unigram_perplexity": 60.0, "num_tokens": 500}
    files.write_json(tmp_path / "bases/phi_2/pretraining.json", {"held_out": held_out})
    files.write_json(tmp_path / "bases/phi_2/manifest.json", {"architecture": "phi"})
    files.write_json(tmp_path / "bases/roberta_large/manifest.json", {"architecture": "bert", "published_as": "a/bert"})
    card = {"source": "hub", "inputs": [{"repository": "a/b"}], "read": {"train": {"num_rows": 90}, "test": {"num_rows": 10}}}
    files.write_json(tmp_path / "data/card.json", {**card, "structures": {"all": {"num_sentence_structures": 7}}})
    found = comparison.made_of(tmp_path / "data", tmp_path / "bases", ["phi_2", "roberta_large", "not_there", None])
    assert found["source"] == {"kind": "hub", "repository": "a/b", "num_rows": 100}
    assert found["structures"] == {"all": {"num_sentence_structures": 7}}
    assert found["bases"] == {
        "phi_2": {"architecture": "phi", "published_as": None, "perplexity": 2.0, "unigram_perplexity": 60.0, "num_tokens": 500},
        "roberta_large": {"architecture": "bert", "published_as": "a/bert"},
    }
    assert comparison.made_of(tmp_path / "other", tmp_path / "bases", [None]) == {"source": None, "structures": None, "bases": {}}


def test_what_evaluation_writes_as_questions_is_what_a_comparison_reads_as_such() -> None:
    assert comparison_answers.QUESTIONS == answers.QUESTIONS
