"""The ledger: an entry for every claim, what decides at which scale, and the claims that are figures and counts."""

import inspect

import pytest
from constructed_runs import CLAIMS, curve, of_counts, verdict

from ftbench import ledger, report_ledger, rules
from ftbench.evidence import CONTRADICTED, HOLDS, NOT_RUN, UNDECIDED, VERDICTS, Evidence
from ftbench.tables import Table


def test_every_claim_has_an_entry_with_a_verdict_a_rule_and_a_scale():
    book = ledger.build("offline", Evidence())
    assert set(book["claims"]) == set(CLAIMS)
    assert len(CLAIMS) == 85
    assert sum(book["verdicts"].values()) == len(CLAIMS)
    for name, entry in book["claims"].items():
        assert entry["verdict"] in VERDICTS, name
        assert entry["rule_says"], name
        assert entry["because"], name
        assert entry["scale"], name


def test_every_relation_and_count_has_a_rule_and_no_rule_is_of_an_unknown_claim():
    assert set(rules.RULES) == {name for name, claim in CLAIMS.items() if claim["kind"] in ("relation", "count")}
    assert all(inspect.getdoc(rule) for rule in rules.BY_KIND.values())


def test_without_numbers_nothing_is_held_or_contradicted_and_the_entry_says_what_is_missing():
    book = ledger.build("offline", Evidence())
    assert book["claims"]["lora_costs_accuracy"]["because"] == "a number is not there: comparison: multinli.tests"
    decided = {name for name, entry in book["claims"].items() if entry["verdict"] in (HOLDS, CONTRADICTED)}
    assert decided == set()


@pytest.mark.parametrize(
    ("kind", "repository", "num_rows", "expected"),
    [
        ("hub", "tatsu-lab/alpaca", 52_002, HOLDS),
        ("file", None, 52_002, HOLDS),
        ("hub", "tatsu-lab/alpaca", 60_000, CONTRADICTED),
        ("hub", "someone/else", 60_000, UNDECIDED),
        ("file", None, 400, UNDECIDED),
        ("generated", None, 52_002, NOT_RUN),
    ],
)
def test_the_number_of_instructions_is_judged_from_the_rows_that_were_read(kind, repository, num_rows, expected):
    source = {"kind": kind, "repository": repository, "num_rows": num_rows}
    entry = ledger.judge(CLAIMS["alpaca_instructions"], "real", Evidence(comparison={"alpaca": {"made_of": {"source": source}}}))
    assert entry["verdict"] == expected
    assert entry["scale"] == "real"  # and not the arithmetic of other counts
    assert (str(num_rows) in f"{entry['ours']} {entry['because']}") == (kind != "generated")


def test_a_miniature_decides_neither_a_figure_nor_what_hangs_on_the_checkpoint():
    evidence = Evidence(comparison={"snli": {"entries": {"zero_shot": {"mean": 0.33, "low": 0.31, "high": 0.35}}}})
    for name, claim in CLAIMS.items():
        waits = claim["kind"] == "figure" or claim.get("decides") == "checkpoint"
        assert (verdict(name, evidence) == NOT_RUN) == waits, name
    assert verdict("pretrained_is_chance", evidence, "paper") == HOLDS


def test_what_waits_for_the_checkpoint_shows_what_the_miniature_does_beside_it():
    evidence = Evidence(comparison={"snli": {"entries": {"zero_shot": {"mean": 0.33, "low": 0.31, "high": 0.35}}}})
    entry = ledger.judge(CLAIMS["pretrained_is_chance"], "offline", evidence)
    assert (entry["verdict"], entry["ours"], entry["low"]) == (NOT_RUN, None, None)
    assert entry["miniature"] == {"ours": 0.33, "low": 0.31, "high": 0.35, "because": "`zero_shot` against 0.283 to 0.383"}
    assert ledger.judge(CLAIMS["pretrained_is_chance"], "paper", evidence)["miniature"] is None
    assert ledger.judge(CLAIMS["pretrained_is_chance"], "offline", Evidence())["miniature"] is None  # it has no number either
    counted = ledger.judge(CLAIMS["llama_best_answers"], "offline", of_counts(9, 7, 5))
    assert (counted["verdict"], counted["ours"]) == (NOT_RUN, None)
    assert counted["miniature"]["ours"] == "open_llama_3b-study 9, bloom_3b-study 7, falcon_rw_1b-study 5"
    assert "of 13 scored" in counted["miniature"]["because"]
    shown = [block for block in report_ledger.claims(ledger.build("offline", evidence)) if isinstance(block, Table)]
    rows = {row[0]: row for table in shown for row in table.rows}
    assert rows["pretrained_is_chance"][3] == "the miniature's 0.33 (0.31 to 0.35) decides nothing"


@pytest.mark.parametrize(("text", "expected"), [("2.025777223854318", HOLDS), ("2.025777223854319", CONTRADICTED)])
def test_an_exact_claim_is_compared_to_the_last_digit(text, expected):
    assert verdict("adapter_qkv_share", Evidence(accounting={"printed_by_the_studies": {"adapter_qkv_share": {"text": text}}})) == expected


def test_an_exact_claim_that_was_printed_rounded_is_compared_rounded():
    printed = {"adapter_head_share": {"text": "1.4695983"}}
    assert verdict("adapter_head_share", Evidence(accounting={"printed_by_the_studies": printed})) == HOLDS


@pytest.mark.parametrize(("low", "high", "expected"), [(39265, 39276, HOLDS), (39000, 39200, CONTRADICTED)])
def test_a_count_holds_if_the_printed_figures_allow_it(low, high, expected):
    assert verdict("mnli_train_examples", Evidence(accounting={"solved": {"mnli_train_examples": {"low": low, "high": high}}})) == expected


@pytest.mark.parametrize(("ours", "expected"), [(0.88, HOLDS), (0.80, CONTRADICTED)])
def test_at_full_size_a_figure_is_compared_with_ours(ours, expected):
    entries = {"full-shared": {"mean": ours, "low": ours - 0.005, "high": ours + 0.005}}
    evidence = Evidence(
        comparison={"multinli": {"entries": entries}}, curves={"multinli": {"full-shared": curve("eval_accuracy", [ours] * 3, 1)}}
    )
    assert verdict("mnli_full_accuracy", evidence, "paper") == expected
    assert verdict("mnli_full_epoch1_accuracy", evidence, "paper") == expected
    assert verdict("mnli_full_seconds", evidence, "paper") == UNDECIDED
