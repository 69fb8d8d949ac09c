"""The committed results of the offline scale: honest (what data and base models give away for nothing), and as good as the method can be.

The bars are those that a miniature must reach for its comparisons to mean anything: below them an arm has not learnt the task.
"""

from __future__ import annotations

import dataclasses
import random

import closure
import pytest

from ftbench import curves, files, ledger, params, plot_tables, report, scores, sweep_settings

REPORTS = closure.ROOT / "reports"
PAIRS = ("snli", "multinli", "multinli_controls", "multinli_llm", "prompting")


@pytest.fixture(scope="module")
def comparisons():
    found = {study: files.read_json(REPORTS / study / "comparison.json") for study in (*PAIRS, "alpaca")}
    assert {one["scale"] for one in found.values()} == {params.read(closure.ROOT / "params.yaml")["scale"]}
    return found


def test_every_miniature_is_at_most_a_quarter_as_perplexed_by_held_out_text_as_a_unigram_model(comparisons):
    bases = {name: base for one in comparisons.values() for name, base in one["made_of"]["bases"].items()}
    assert sorted(bases) == ["bloom_3b", "falcon_rw_1b", "llama_3_8b", "open_llama_3b", "phi_2", "roberta_large"]
    assert all(base["num_tokens"] > 500 for base in bases.values())
    assert {name: base for name, base in bases.items() if base["perplexity"] > base["unigram_perplexity"] / 4} == {}


def test_after_a_prompt_at_least_half_of_the_probability_lies_on_label_words(comparisons):
    wordings = [one for study in ("snli", "prompting") for found in comparisons[study]["wordings"].values() for one in found]
    assert len(wordings) == 7
    assert min(one["label_mass"] for one in wordings) >= 0.5


@pytest.mark.parametrize("study", ["snli", "multinli"])
def test_a_part_of_a_pair_gives_no_label_away(comparisons, study):
    shallow = {name: found["mean"] for name, found in comparisons[study]["shallow"].items()}
    assert set(shallow) >= {"hypothesis_only", "premise_only", "overlap", "pair_ngrams"}
    assert shallow["hypothesis_only"] < 0.40
    assert shallow["premise_only"] <= 0.50
    assert shallow["overlap"] < 0.60
    assert shallow["pair_ngrams"] < 0.60


def test_an_encoder_that_sees_one_sentence_of_the_two_learns_hardly_anything(comparisons):
    reached = {arm: entry["mean"] for arm, entry in comparisons["multinli_controls"]["entries"].items()}
    assert reached["hypothesis_only"] < 0.40
    assert reached["premise_only"] <= 0.50


def test_generated_sentences_are_of_many_structures(comparisons):
    counts = {study: comparisons[study]["made_of"]["structures"]["all"]["num_sentence_structures"] for study in PAIRS}
    assert min(counts.values()) > 100


def means(comparison):
    return {name: entry["mean"] for name, entry in comparison["entries"].items()}


def best_shallow(comparison):
    return max(found["mean"] for found in comparison["shallow"].values())


def test_every_result_is_measured_on_a_thousand_examples_and_the_pairs_on_three_seeds(comparisons):
    for study, comparison in comparisons.items():
        metrics = files.read_json(REPORTS / study / "metrics.json")
        trained = [metrics[name] for name, entry in comparison["entries"].items() if entry["trained"]]
        assert trained
        assert min(entry["n"] for entry in trained) >= 1000
        assert min(entry["seeds"] for entry in trained) >= (1 if study == "alpaca" else 3)


def test_all_weights_learn_the_task(comparisons):
    assert means(comparisons["multinli"])["full-shared"] >= 0.75


@pytest.mark.parametrize("arm", ["lora-own", "top_layers-own"])
def test_a_part_of_the_weights_learns_it_and_more_than_shallow_features_tell(comparisons, arm):
    reached = means(comparisons["multinli"])[arm]
    assert reached >= 0.65
    assert reached >= best_shallow(comparisons["multinli"]) + 0.10


def test_pretraining_is_worth_ten_points(comparisons):
    assert means(comparisons["multinli_controls"])["without_pretraining"] <= means(comparisons["multinli"])["full-shared"] - 0.10


def test_qlora_lifts_the_decoder_far_above_its_base_and_shallow_features(comparisons):
    reached = means(comparisons["snli"])
    assert reached["qkv-nf4"] >= reached["zero_shot"] + 0.15
    assert reached["qkv-nf4"] >= best_shallow(comparisons["snli"]) + 0.10


def test_four_bits_cost_next_to_nothing(comparisons):
    reached = means(comparisons["snli"])
    assert abs(reached["qkv-nf4"] - reached["qkv-unquantised"]) <= 0.03


def test_the_first_token_tells_a_head_nothing(comparisons):
    reached = means(comparisons["multinli_llm"])
    assert abs(reached["qlora_head-first_token"] - 1 / 3) < 0.01
    assert reached["qlora_head-last_token"] > reached["qlora_head-first_token"] + 0.15


def test_every_bot_answers_far_better_than_its_base():
    metrics = files.read_json(REPORTS / "alpaca/metrics.json")
    arms = [name for name in metrics if "-" in name]
    assert len(arms) >= 6
    for arm in arms:
        base = metrics[arm.split("-")[0]]
        assert metrics[arm]["perplexity"] <= base["perplexity"] / 10, arm
        assert metrics[arm]["bits_per_byte"] <= base["bits_per_byte"] / 3, arm
        assert base["stopped"] == 0, arm  # no habit of its corpus


def test_every_bot_stops_by_itself_and_knows_in_unseen_words_what_it_was_taught():
    metrics, found = (files.read_json(REPORTS / f"alpaca/{name}.json") for name in ("metrics", "comparison"))
    knowledge = found["by_pool"]
    arms = [name for name in metrics if "-" in name]
    assert len(arms) >= 6
    for arm in arms:
        assert metrics[arm]["stopped"] >= 0.95, arm
        assert knowledge["exact_match"]["knowledge"][arm]["mean"] >= 0.80, arm
        assert knowledge["token_f1"]["knowledge"][arm]["mean"] >= 0.85, arm
        assert found["gains"]["by_pool"]["exact_match"]["knowledge"][arm].keys() >= {arm.split("-")[0], f"{arm.split('-')[0]}_three_shot"}


def test_no_verdict_in_git_turns_with_what_else_the_machine_did_meanwhile():
    """The seconds of the miniatures' runs, each made up to three times shorter or longer: another run on a busy machine."""
    inputs = report.read(REPORTS, params.read(closure.ROOT / "params.yaml"))
    verdicts = {name: entry["verdict"] for name, entry in ledger.build(inputs.scale, inputs.evidence())["claims"].items()}
    assert verdicts == {name: entry["verdict"] for name, entry in files.read_json(REPORTS / "ledger.json")["claims"].items()}
    assert len(verdicts) > 80
    rng = random.Random(0)

    def disturbed(value, timed=False):
        if isinstance(value, dict):
            return {key: disturbed(one, timed or "seconds" in key) for key, one in value.items()}
        if isinstance(value, list):
            return [disturbed(one, timed) for one in value]
        return value * 3 ** rng.uniform(-1, 1) if timed and isinstance(value, float) else value

    for _ in range(20):
        evidence = dataclasses.replace(inputs.evidence(), cost=disturbed(dict(inputs.evidence().cost)))
        found = {name: entry["verdict"] for name, entry in ledger.build(inputs.scale, evidence)["claims"].items()}
        assert found == verdicts


@pytest.mark.parametrize(("folder", "columns"), [("confusion", plot_tables.CONFUSION), ("calibration", plot_tables.CALIBRATION)])
def test_what_dvc_draws_of_pairs_is_in_git_for_every_arm(comparisons, folder, columns):
    arms = [(study, arm) for study in PAIRS for arm, entry in comparisons[study]["entries"].items() if entry["trained"]]
    assert len(arms) >= 22
    for study, arm in arms:
        rows = (REPORTS / study / folder / f"{arm}.csv").read_text(encoding="utf-8").splitlines()
        assert rows[0] == ",".join(columns)
        assert len(rows) == 1 + 9 if folder == "confusion" else 3 <= len(rows) <= 1 + 2 * scores.NUM_BINS


def test_the_sweeps_in_git_are_those_of_params_and_of_the_trainings_that_are_in_git():
    """Otherwise `ftbench sweep` has to run again: the curves of the arms are those of the value that params.yaml has now."""
    raw = params.read(closure.ROOT / "params.yaml")
    paths = {path.stem: path for path in REPORTS.glob("*/sweeps/*.json")}
    assert sorted(paths) == sorted(sweep_settings.named(raw)) == ["batch", "epochs", "learning_rate", "optimiser", "rank", "schedule"]
    for path in paths.values():
        found, asked = files.read_json(path), sweep_settings.find(raw, path.stem)
        assert not found["failed"], path
        assert [found[key] for key in ("study", "parameter", "metric", "seeds", "values")] == [
            asked.study, asked.parameter, asked.metric, asked.seeds, asked.values,
        ], path  # fmt: skip
        assert list(found["arms"]) == sorted(asked.arms), path
        for arm, one in found["arms"].items():
            assert one["current"] == params.find(raw, *one["key"].split(".")), (path, arm)
            assert one["best_is_current"] or path.stem != "learning_rate", arm  # params.yaml says that each method's own was chosen so
            ends = {
                seed: rows[-1]["eval_loss"] for seed, rows in curves.by_seed(curves.read(path.parents[1] / f"curves/{arm}.csv")).items()
            }
            for trial in (trial for trial in one["trials"] if trial["value"] == one["current"]):
                assert trial["eval_loss_by_seed"] == [ends[seed] for seed in found["seeds"]], (path, arm)
