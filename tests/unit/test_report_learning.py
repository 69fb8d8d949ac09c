import pytest

from ftbench import ledger, report_learning, rules_curves
from ftbench.evidence import CONTRADICTED, HOLDS, UNDECIDED, Evidence
from ftbench.report_data import Study
from ftbench.tables import Paragraph, Table

ARMS = ("full-shared", "full-own", "lora-shared", "lora-own", "top-shared")


def curve(eval_losses, accuracies, num_seeds=2, rate=10):
    """`rate` steps an epoch, a training loss every 4 of them, a validation at the end of every epoch; seeds 0.1 apart in training loss."""
    rows = []
    for seed in range(num_seeds):
        for step in range(1, rate * len(eval_losses) + 1):
            row = dict.fromkeys(("step", "epoch", "loss", "learning_rate", "grad_norm", "eval_loss", "eval_accuracy"))
            row |= {"seed": float(seed), "step": float(step), "epoch": step / rate}
            if step % 4 == 0:
                rows.append({**row, "loss": 4 / step + 0.1 * seed})
            if step % rate == 0:
                at = step // rate - 1
                rows.append({**row, "eval_loss": eval_losses[at], "eval_accuracy": accuracies[at]})
    return rows


def study(scale="offline", curves=None):
    entries = {arm: {"levels": dict(zip(("method", "rate"), arm.split("-"), strict=True))} for arm in ARMS}
    found = curves or {arm: curve([0.5, 0.4], [0.7, 0.8]) for arm in ARMS}
    return Study("s", {}, {"scale": scale, "entries": entries}, {}, found)


def claim(arm, metric, value, **place):
    return {"id": f"{arm}_{metric}", "study": "s", "kind": "figure", "arm": arm, "metric": metric, "value": value, **place}


CLAIMS = [
    claim("full-shared", "train_loss", 0.4058, epoch=1),
    claim("full-shared", "eval_loss", 0.354279, epoch=1),
    claim("full-shared", "accuracy", 0.874885, epoch=1),
    claim("full-shared", "train_loss", 0.137, epoch=3),
    claim("full-shared", "eval_loss", 0.5437),  # of the last epoch, which the claim above names
    claim("lora-shared", "train_loss", 1.0309, step=12),
    claim("full-shared", "train_seconds", 4582),
    {**claim("full-shared", "accuracy", 0.1, epoch=2), "study": "other"},
    {"id": "relation", "study": "s", "kind": "relation"},
    claim("gone-shared", "accuracy", 0.5, epoch=2),
]


def test_ours_and_the_studys_columns_stand_beside_each_other_by_hand():
    table, _ = report_learning.by_epoch(study(), CLAIMS)
    assert isinstance(table, Table)
    rows = [list(row) for row in table.rows]
    # of the losses 4/4, 4/8, 4/12, 4/16, 4/20 the last by step 10 is 4/8; the mean of two seeds 0.1 apart adds 0.05
    assert rows[:3] == [
        ["full-shared", "1", "0.5500", "0.5000", "70.0 %", "0.4058", "0.3543", "87.5 %"],
        ["full-shared", "2", "0.2500", "0.4000", "80.0 %", "–", "–", "–"],
        ["full-shared", "3", "–", "–", "–", "0.1370", "0.5437", "–"],
    ]
    assert rows[3:6] == [
        ["lora-shared", "1", "0.5500", "0.5000", "70.0 %", "–", "–", "–"],
        ["lora-shared", "2", "0.2500", "0.4000", "80.0 %", "–", "–", "–"],
        ["lora-shared", "step 12", "0.3833", "–", "–", "1.0309", "–", "–"],
    ]


def test_the_arms_are_those_that_the_study_printed_and_their_like():
    table, _ = report_learning.by_epoch(study(), CLAIMS)
    assert list(dict.fromkeys(row[0] for row in table.rows)) == ["full-shared", "lora-shared", "top-shared"]


def test_an_epoch_that_a_dropped_batch_ends_early_is_the_studys_epoch():
    rows = [{**row, "epoch": row["epoch"] * 0.9997} for row in curve([0.5, 0.4, 0.3], [0.7, 0.8, 0.9])]
    table, _ = report_learning.by_epoch(study(curves={"full-shared": rows}), CLAIMS)
    assert [row[1] for row in table.rows] == ["1", "2", "3"]
    assert list(table.rows[2]) == ["full-shared", "3", "0.1929", "0.3000", "90.0 %", "0.1370", "0.5437", "–"]


def test_a_validation_in_the_middle_of_an_epoch_is_of_no_whole_epoch():
    rows = [{**row, "epoch": row["epoch"] * 2 / 3} for row in curve([0.5, 0.4], [0.7, 0.8])]
    table, _ = report_learning.by_epoch(study(curves={"full-shared": rows}), CLAIMS)
    assert [list(row[1:5]) for row in table.rows] == [
        ["0.67", "0.5500", "0.5000", "70.0 %"],
        ["1", "0.3833", "–", "–"],
        ["1.33", "0.2500", "0.4000", "80.0 %"],
        ["3", "–", "–", "–"],
    ]


def test_the_caption_names_the_scale_and_says_of_a_miniature_that_its_figures_are_not_the_studys():
    offline, paper = (report_learning.by_epoch(study(scale), CLAIMS)[0].caption for scale in ("offline", ledger.FULL_SIZE_SCALE))
    assert offline.endswith("not to be compared with ours as figures. Scale offline.")
    assert "full-size model" in offline
    assert "not to be compared" not in paper
    assert paper.endswith("Scale paper.")


def test_a_study_whose_claims_name_no_epoch_has_no_table():
    assert report_learning.by_epoch(study(), [claim("full-shared", "accuracy", 0.9)]) == []
    assert report_learning.by_epoch(study(), []) == []


RISING, FALLING = ([0.5, 0.4, 0.45], [0.7, 0.8, 0.81]), ([0.5, 0.4, 0.3], [0.7, 0.8, 0.9])
WORSE = ([0.5, 0.4, 0.45], [0.7, 0.8, 0.6])


@pytest.mark.parametrize(
    ("shape", "verdict", "said"),
    [
        (RISING, HOLDS, "shown by `full-shared`."),
        (FALLING, CONTRADICTED, "denied by `full-shared`, whose loss rises at no seed."),
        (WORSE, UNDECIDED, "undecided for `full-shared` (risen at 2 of 2 seeds)."),
    ],
)
def test_the_sentence_says_of_an_arm_what_the_ledgers_rule_says(shape, verdict, said):
    curves = {"full-shared": curve(*shape)}
    _, sentence = report_learning.by_epoch(study(curves=curves), CLAIMS)
    assert isinstance(sentence, Paragraph)
    assert sentence.text.endswith(f": {said}")
    assert "at least 0.01 nats" in sentence.text
    assert rules_curves.full_overfits(Evidence(curves={"multinli": curves}), {}).verdict == verdict


def test_one_sentence_holds_all_arms_each_with_its_own_verdict():
    curves = {"full-shared": curve(*RISING), "lora-shared": curve(*FALLING), "top-shared": curve(*WORSE)}
    _, sentence = report_learning.by_epoch(study(curves=curves), CLAIMS)
    assert "shown by `full-shared`; denied by `lora-shared`, whose loss rises at no seed; undecided for `top-shared`" in sentence.text


def test_one_validation_says_nothing_of_a_rise():
    blocks = report_learning.by_epoch(study(curves={"full-shared": curve([0.5], [0.7])}), CLAIMS)
    assert len(blocks) == 1


def test_every_epoch_that_the_multinli_study_printed_finds_its_place():
    curves = {f"{method}-shared": curve([0.5, 0.4, 0.3], [0.7, 0.8, 0.9]) for method in ("full", "lora", "p_tuning")}
    entries = {arm: {"levels": dict(zip(("method", "rate"), arm.split("-"), strict=True))} for arm in curves}
    one = Study("multinli", {}, {"scale": "paper", "entries": entries}, {}, curves)
    printed = report_learning.stated(one, ledger.claims())
    assert set(printed) == set(curves)
    assert {place.shown() for places in printed.values() for place in places} == {"1", "2", "3", "step 500"}
    epoch = report_learning.Place("epoch", 3)
    assert set(printed["full-shared"][epoch]) == {"train_loss", "eval_loss", "accuracy"}
    assert set(printed["lora-shared"][epoch]) == {"eval_loss", "accuracy"}
