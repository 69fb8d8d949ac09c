"""The rules of the ledger's relations on constructed runs that give each verdict."""

import pytest
from constructed_runs import CLAIMS, curve, evaluated, full_size, minutes, of_counts, verdict, with_tests

from ftbench import ledger
from ftbench.evidence import CONTRADICTED, HOLDS, UNDECIDED, Evidence


@pytest.mark.parametrize(
    ("claim", "difference", "half", "expected"),
    [
        ("lora_costs_accuracy", 0.05, 0.02, HOLDS),
        ("lora_costs_accuracy", 0.01, 0.02, UNDECIDED),
        ("lora_costs_accuracy", -0.01, 0.015, CONTRADICTED),
        ("lora_costs_accuracy", -0.05, 0.02, CONTRADICTED),
    ],
)
def test_lora_costs_accuracy(claim, difference, half, expected):
    assert verdict(claim, Evidence(comparison=with_tests("multinli", ("full-own", "lora-own", difference, half)))) == expected
    turned = Evidence(comparison=with_tests("multinli", ("lora-own", "full-own", -difference, half)))
    assert verdict(claim, turned) == expected


@pytest.mark.parametrize(("difference", "half", "expected"), [(0.01, 0.015, HOLDS), (0.02, 0.02, UNDECIDED), (0.2, 0.05, CONTRADICTED)])
def test_p_tuning_near_full(difference, half, expected):
    assert (
        verdict("p_tuning_near_full", Evidence(comparison=with_tests("multinli", ("full-own", "p_tuning-own", difference, half))))
        == expected
    )


@pytest.mark.parametrize(("difference", "half", "expected"), [(0.3, 0.1, HOLDS), (0.2, 0.1, UNDECIDED), (0.05, 0.05, CONTRADICTED)])
def test_qlora_lifts_accuracy_far_above(difference, half, expected):
    assert verdict("qlora_lifts_accuracy", Evidence(comparison=with_tests("snli", ("qkv-nf4", "zero_shot", difference, half)))) == expected


@pytest.mark.parametrize(
    ("others", "expected"), [((0.1, 0.2, 0.3), HOLDS), ((0.1, 0.01, 0.3), UNDECIDED), ((0.1, -0.1, 0.3), CONTRADICTED)]
)
def test_full_is_most_accurate_only_if_beyond_every_other(others, expected):
    rows = [("full-own", f"{name}-own", d, 0.02) for name, d in zip(("top_layers", "lora", "p_tuning"), others, strict=True)]
    assert verdict("full_most_accurate", Evidence(comparison=with_tests("multinli", *rows))) == expected


@pytest.mark.parametrize(
    ("difference", "half", "nf4_bytes", "expected"),
    [(0.0, 0.02, 2e9, HOLDS), (0.0, 0.05, 2e9, UNDECIDED), (-0.2, 0.05, 2e9, CONTRADICTED), (0.0, 0.02, 9e9, CONTRADICTED)],
)
def test_quantised_equals_unquantised_needs_equal_accuracy_and_less_memory(difference, half, nf4_bytes, expected):
    comparison = with_tests("snli", ("qkv-nf4", "qkv-unquantised", difference, half))
    accounting = full_size("snli", **{"qkv-nf4": nf4_bytes, "qkv-unquantised": 6e9})
    assert verdict("quantised_equals_unquantised", Evidence(comparison=comparison, accounting=accounting)) == expected


@pytest.mark.parametrize(
    ("difference", "half", "num_labels", "expected"),
    [
        (0.2, 0.05, [3, 3, 3], HOLDS),
        (0.03, 0.04, [3, 2, 1], UNDECIDED),
        (0.0, 0.01, [3, 3, 3], CONTRADICTED),
        (0.02, 0.04, [1, 1, 1], CONTRADICTED),
    ],
)
def test_first_token_head_is_contradicted_where_every_seed_gives_one_answer_for_all(difference, half, num_labels, expected):
    arm = "study_layer-first_token"
    comparison = with_tests("multinli_llm", (arm, "majority", difference, half))
    comparison["multinli_llm"]["agreement"] = {arm: {"num_labels": num_labels}}
    assert verdict("first_token_head", Evidence(comparison=comparison)) == expected


@pytest.mark.parametrize(("low", "high", "expected"), [(0.6, 0.8, HOLDS), (0.4, 0.6, UNDECIDED), (0.1, 0.4, CONTRADICTED)])
@pytest.mark.parametrize(
    ("claim", "reading"),
    [("after_overpredicts_neutral", "contradiction_as_neutral_after"), ("persistent_flip", "persistent_neutral_flips")],
)
def test_a_kind_of_error_is_the_rule_if_it_is_more_than_half(claim, reading, low, high, expected):
    readings = {reading: {"value": (low + high) / 2, "low": low, "high": high, "n": 10}}
    evidence = Evidence(comparison={"snli": {"cases": {"qkv-nf4": {"base": {"readings": readings}}}}})
    assert verdict(claim, evidence) == expected


@pytest.mark.parametrize(("low", "high", "expected"), [(0.1, 0.2, HOLDS), (-0.1, 0.1, UNDECIDED), (-0.3, -0.1, CONTRADICTED)])
def test_every_class_improves_only_if_the_one_that_gains_least_does(low, high, expected):
    change = {"entailment": {"value": 0.5, "low": 0.4, "high": 0.6}, "neutral": {"value": (low + high) / 2, "low": low, "high": high}}
    evidence = Evidence(comparison={"snli": {"cases": {"qkv-nf4": {"base": {"readings": {"recall_change": change}}}}}})
    assert verdict("improves_every_class", evidence) == expected


def both(losses, accuracies):
    rows = curve("eval_loss", losses)
    for row, accuracy in zip(rows, list(accuracies) * 3, strict=True):
        row["eval_accuracy"] = accuracy
    return rows


@pytest.mark.parametrize(
    ("losses", "accuracies", "expected"),
    [
        ((0.5, 0.4, 0.6), (0.7, 0.8, 0.81), HOLDS),
        ((0.5, 0.4, 0.6), (0.7, 0.8, 0.7), UNDECIDED),
        ((0.5, 0.4, 0.3), (0.7, 0.8, 0.81), CONTRADICTED),
    ],
)
def test_full_overfits_if_the_loss_rises_while_accuracy_does_not_fall(losses, accuracies, expected):
    assert verdict("full_overfits", Evidence(curves={"multinli": {"full-shared": both(losses, accuracies)}})) == expected


@pytest.mark.parametrize(("lora", "full", "expected"), [(0.0, 0.3, HOLDS), (0.3, 0.0, CONTRADICTED), (0.1, 0.1, UNDECIDED)])
def test_lora_overfits_less_if_its_validation_loss_rises_less(lora, full, expected):
    curves = {"lora-own": curve("eval_loss", [0.5, 0.5 + lora]), "full-own": curve("eval_loss", [0.5, 0.5 + full])}
    assert verdict("lora_less_overfitting", Evidence(curves={"multinli": curves})) == expected


def test_overfitting_of_one_seed_is_not_compared():
    curves = {"lora-own": curve("eval_loss", [0.5, 0.5], seeds=(0,)), "full-own": curve("eval_loss", [0.5, 0.9])}
    assert verdict("lora_less_overfitting", Evidence(curves={"multinli": curves})) == UNDECIDED


@pytest.mark.parametrize(
    ("lora", "full", "expected"),
    [([1.0, 1.1], [2.0, 2.1], HOLDS), ([2.0, 2.1], [1.0, 1.1], CONTRADICTED), ([1.0, 2.05], [2.0, 2.1], UNDECIDED)],
)
def test_lora_is_faster_if_its_slowest_seed_is(lora, full, expected):
    assert verdict("lora_faster_than_full", Evidence(cost=minutes(lora_own=lora, full_own=full))) == expected


@pytest.mark.parametrize(
    ("top", "rise", "expected"),
    [([1.0, 1.1], 0.0, HOLDS), ([3.0, 3.1], 0.0, CONTRADICTED), ([1.0, 1.1], 0.9, CONTRADICTED), ([1.0, 1.1], 0.3, UNDECIDED)],
)
def test_top_layers_are_cheaper_only_if_faster_and_less_overfitted(top, rise, expected):
    curves = {"top_layers-own": curve("eval_loss", [0.5, 0.5 + rise]), "full-own": curve("eval_loss", [0.5, 0.8])}
    evidence = Evidence(cost=minutes(top_layers_own=top, full_own=[2.0, 2.1]), curves={"multinli": curves})
    assert verdict("top_layers_cheaper", evidence) == expected


@pytest.mark.parametrize(
    ("time", "num_bytes", "expected"),
    [([1.0, 1.1], 1, HOLDS), ([2.2, 2.3], 1, CONTRADICTED), ([1.0, 1.1], 3, CONTRADICTED), ([1.0, 2.05], 1, UNDECIDED)],
)
def test_p_tuning_is_cheaper_only_in_both_time_and_memory(time, num_bytes, expected):
    accounting = full_size("multinli", **{"p_tuning-own": num_bytes, "full-own": 2})
    assert (
        verdict("p_tuning_cheaper_than_full", Evidence(cost=minutes(p_tuning_own=time, full_own=[2.0, 2.1]), accounting=accounting))
        == expected
    )


@pytest.mark.parametrize(("ours", "expected"), [([1.0, 1.1], HOLDS), ([1.0, 2.0], UNDECIDED), ([2.0, 2.1], CONTRADICTED)])
def test_the_fine_tuned_model_is_as_fast_within_a_quarter(ours, expected):
    assert verdict("fine_tuned_inference_efficient", Evidence(cost=evaluated([60.0], [60 * value for value in ours]))) == expected


@pytest.mark.parametrize(("base", "ours"), [(59.9, [70.0, 71.0]), (70.0, [59.9, 61.0]), (2.0, [90.0, 91.0])])
def test_seconds_of_a_run_below_a_minute_decide_nothing(base, ours):
    entry = ledger.judge(CLAIMS["fine_tuned_inference_efficient"], "offline", Evidence(cost=evaluated([base], ours)))
    assert entry["verdict"] == UNDECIDED
    assert entry["ours"] == pytest.approx(sum(ours) / len(ours) / base)  # shown all the same
    assert f"a run of {int(min(base, *ours))} s is too short to tell" in entry["because"]
    trained = minutes(lora_own=[base / 60], full_own=[one / 60 for one in ours])
    assert verdict("lora_faster_than_full", Evidence(cost=trained)) == UNDECIDED


@pytest.mark.parametrize(("nf4", "expected"), [(3.0, HOLDS), (7.0, UNDECIDED), (9.0, CONTRADICTED)])
def test_quantisation_saves_memory_strongly(nf4, expected):
    assert verdict("qlora_saves_memory", Evidence(accounting=full_size("snli", **{"qkv-nf4": nf4, "qkv-unquantised": 10.0}))) == expected


@pytest.mark.parametrize(("lora", "expected"), [(1.0, HOLDS), (5.0, CONTRADICTED)])
def test_full_takes_most_memory(lora, expected):
    arms = {"full-own": 4.0, "top_layers-own": 2.0, "lora-own": lora, "p_tuning-own": 1.0}
    assert verdict("full_most_expensive", Evidence(accounting=full_size("multinli", **arms))) == expected


@pytest.mark.parametrize(("parameters", "expected"), [(8_030_261_248, HOLDS), (6_000_000_000, CONTRADICTED)])
def test_llama_needs_more_than_a_notebooks_memory(parameters, expected):
    assert (
        verdict("llama_needs_memory", Evidence(accounting=full_size("multinli_llm", **{"qlora_head-last_token": parameters}))) == expected
    )


@pytest.mark.parametrize(("falcon", "expected"), [(1.31, UNDECIDED), (3.0, CONTRADICTED), (0.1, CONTRADICTED)])
def test_falcons_time_is_bounded_by_its_work_at_the_studys_epochs_and_at_equal_ones(falcon, expected):
    arms = {"open_llama_3b-study": 3.43, "falcon_rw_1b-study": falcon}
    assert verdict("falcon_a_third_of_the_time", Evidence(accounting=full_size("alpaca", **arms))) == expected


@pytest.mark.parametrize(("most", "least", "expected"), [(7.9e9, 7.5e9, HOLDS), (7.9e9, 2e9, UNDECIDED), (9e9, 7.5e9, CONTRADICTED)])
def test_memory_near_full_is_judged_by_what_is_certainly_held(most, least, expected):
    arms = {"open_llama_3b-study": most, "bloom_3b-study": least, "falcon_rw_1b-study": 7.6e9}
    assert verdict("memory_near_full", Evidence(accounting=full_size("alpaca", **arms))) == expected


@pytest.mark.parametrize(
    ("last", "expected"),
    [([5, 4, 3, 2, 1], HOLDS), ([5, 4, 4.5, 2, 1], UNDECIDED), ([1, 1, 1, 1, 2], CONTRADICTED)],
)
def test_loss_falls_steadily_if_it_does_in_every_fifth_of_every_run(last, expected):
    falling = curve("loss", [5.0, 4.0, 3.0, 2.0, 1.0], seeds=(0,))
    curves = {"open_llama_3b-study": falling, "bloom_3b-study": falling, "falcon_rw_1b-study": curve("loss", last, seeds=(0,))}
    assert verdict("loss_falls_steadily", Evidence(curves={"alpaca": curves})) == expected


def rates(warmup, steps, fall=True):
    return [step / warmup if step <= warmup else ((steps - step) / (steps - warmup) if fall else 1.0) for step in range(1, steps + 1)]


@pytest.mark.parametrize(
    ("values", "expected"),
    [(rates(10, 100), HOLDS), (rates(50, 100), CONTRADICTED), (rates(10, 100, fall=False), CONTRADICTED)],
)
def test_the_learning_rate_warms_up_over_a_tenth_and_falls_in_a_line(values, expected):
    evidence = Evidence(curves={"alpaca": {"open_llama_3b-study": curve("learning_rate", values, seeds=(0,))}})
    assert verdict("warmup_then_linear", evidence) == expected


@pytest.mark.parametrize(("fall", "expected"), [(False, HOLDS), (True, CONTRADICTED)])
def test_a_warmup_of_a_tenth_cannot_only_rise(fall, expected):
    rising = curve("learning_rate", rates(10, 100, fall=False), seeds=(0,))
    other = curve("learning_rate", rates(10, 100, fall=fall), seeds=(0,))
    evidence = Evidence(curves={"alpaca": {"bloom_3b-study": rising, "falcon_rw_1b-study": other}})
    assert verdict("warmup_only_bloom_falcon", evidence) == expected


@pytest.mark.parametrize(("second", "expected"), [(0.3, HOLDS), (0.5, UNDECIDED), (0.7, CONTRADICTED)])
def test_a_second_epoch_helps_if_validation_says_so(second, expected):
    evidence = Evidence(curves={"alpaca": {"open_llama_3b-study": curve("eval_loss", [0.5, second], per_epoch=1, seeds=(0,))}})
    assert verdict("more_epochs_help", evidence) == expected


@pytest.mark.parametrize(("difference", "half", "expected"), [(0.1, 0.05, HOLDS), (0.1, 0.2, UNDECIDED), (-0.1, 0.05, CONTRADICTED)])
def test_soft_prompts_beat_hard_ones_beyond_the_test(difference, half, expected):
    assert (
        verdict("soft_beats_hard_prompt", Evidence(comparison=with_tests("prompting", ("soft_prompt", "zero_shot", difference, half))))
        == expected
    )


@pytest.mark.parametrize(("difference", "half", "expected"), [(-0.1, 0.05, HOLDS), (-0.1, 0.2, UNDECIDED), (0.1, 0.05, CONTRADICTED)])
def test_a_lower_loss_is_in_bits_per_byte_and_beyond_the_test(difference, half, expected):
    comparison = with_tests("alpaca", ("falcon_rw_1b-study", "bloom_3b-study", difference, half))
    evidence = Evidence(comparison=comparison, metrics=per_token(falcon_rw_1b=0.7, bloom_3b=0.6))
    entry = ledger.judge(CLAIMS["falcon_beats_bloom_loss"], "paper", evidence)
    assert entry["verdict"] == expected
    assert entry["because"].endswith("its nats per token, as the study compared, are not the lowest")
    other = Evidence(comparison=comparison, metrics=per_token(falcon_rw_1b=0.5, bloom_3b=0.6))
    assert ledger.judge(CLAIMS["falcon_beats_bloom_loss"], "paper", other)["because"].endswith("are the lowest")


def per_token(**losses):
    return {"alpaca": {f"{model}-study": {"nll_per_token": loss} for model, loss in losses.items()}}


@pytest.mark.parametrize(
    ("said", "expected"), [((False, False, True), HOLDS), ((True, False, True), CONTRADICTED), ((False, False, False), CONTRADICTED)]
)
def test_the_equation_is_read_off_the_answers(said, expected):
    arms = ("open_llama_3b-study", "bloom_3b-study", "falcon_rw_1b-study")
    told = {arm: [{"passed": True}, {"passed": right}] for arm, right in zip(arms, said, strict=True)}
    answers = {"alpaca": {"rubrics": [{"id": "australia"}, {"id": "equation"}], "answers": told}}
    assert verdict("falcon_solves_equation", Evidence(answers=answers), "paper") == expected
    answers["alpaca"]["rubrics"].pop()
    assert verdict("falcon_solves_equation", Evidence(answers=answers), "paper") == UNDECIDED


@pytest.mark.parametrize(
    ("middle", "expected"), [((0.1, 0.2), HOLDS), ((0.1, 0.45), UNDECIDED), ((0.1, 0.9), CONTRADICTED), ((0.1, None), UNDECIDED)]
)
def test_mathematics_is_hard_where_no_arm_gets_half_of_either_kind_right(middle, expected):
    arms = ("open_llama_3b-study", "bloom_3b-study", "falcon_rw_1b-study")
    by_kind = {
        kind: {arm: {"mean": mean, "low": mean - 0.1, "high": mean + 0.1, "n": 50} for arm in arms}
        for kind, mean in zip(("arithmetic", "equations"), middle, strict=True)
        if mean is not None
    }
    evidence = Evidence(comparison={"alpaca": {"by_kind": {"exact_match": by_kind}}})
    entry = ledger.judge(CLAIMS["maths_is_hard"], "paper", evidence)
    assert entry["verdict"] == expected
    assert entry["ours"] == middle[1]  # the highest; without the kind there is none, and a person has to judge


@pytest.mark.parametrize(
    ("counts", "best", "between"),
    [
        ((9, 7, 5), HOLDS, HOLDS),
        ((9, 6, 5), HOLDS, CONTRADICTED),  # not close
        ((9, 5, 6), HOLDS, CONTRADICTED),
        ((7, 7, 5), UNDECIDED, HOLDS),
        ((7, 7, 7), UNDECIDED, UNDECIDED),
        ((8, 7, 7), HOLDS, UNDECIDED),
        ((5, 7, 4), CONTRADICTED, CONTRADICTED),
        ((5, 5, 7), CONTRADICTED, CONTRADICTED),
        ((1, 0, 0), HOLDS, UNDECIDED),
    ],
)
def test_the_best_answers_and_those_between_are_told_by_the_questions_passed(counts, best, between):
    assert verdict("llama_best_answers", of_counts(*counts), "paper") == best
    assert verdict("bloom_between", of_counts(*counts), "paper") == between
