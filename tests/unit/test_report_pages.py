import dataclasses

from ftbench import figures, figures_curves, report, report_numbers, report_svg, tables
from ftbench.report_data import Study, answer
from ftbench.tables import Figure, Heading, Paragraph, Quote, Table


def study(groups, ranked, entries, metric="accuracy", reference=None, bases=None, shallow=None):
    comparison = {
        "scale": "offline",
        "question": "?",
        "primary_metric": metric,
        "lower_is_better": metric == "bits_per_byte",
        "reference": reference,
        "groups": groups,
        "ranked": ranked,
        "bases": bases or dict.fromkeys(ranked),
        "shallow": shallow or {},
        "entries": entries,
    }
    return Study("s", {}, comparison, {}, {})


def entry(mean):
    return {"mean": mean, "low": mean - 0.01, "high": mean + 0.01, "trained": True, "by_seed": [mean], "seed_se": None, "item_se": 0.005}


def test_the_answer_names_the_best_what_it_is_not_told_from_its_base_and_the_best_control():
    entries = {"a": entry(0.8), "b": entry(0.79), "full": entry(0.7), "zero_shot": entry(0.4)}
    shallow = {"majority": entry(0.33), "overlap": entry(0.45)}
    one = study([["a", "b"], ["full"]], ["a", "b", "full"], entries, reference="full", bases={"a": "zero_shot"}, shallow=shallow)
    assert answer(one) == (
        "`a` does best: 80.0 % (79.0–81.0), not told apart from `b`; the reference `full` 70.0 %; its base `zero_shot` 40.0 %; "
        "the best shallow control `overlap` 45.0 %."
    )


def test_the_answer_of_a_prompted_study_names_its_other_prompts():
    entries = {"soft": entry(0.6), "zero_shot": entry(0.4), "one_shot": entry(0.35)}
    one = study([["soft"]], ["soft"], entries, bases={"soft": "zero_shot"})
    one.comparison["wordings"] = {"zero_shot": [], "one_shot": []}
    assert answer(one) == "`soft` reaches 60.0 % (59.0–61.0); its base `zero_shot` 40.0 %; the prompted `one_shot` 35.0 %."


def test_differences_name_an_arms_own_base_with_examples_and_no_other_models():
    def row(a, b, **more):
        return {"a": a, "b": b, "difference": -1.0, "low": -1.5, "high": -0.5, "p_holm": 0.01, "told_apart": True, **more}

    one = study([["a"]], ["a"], {"a": entry(0.5)}, metric="bits_per_byte")
    one = dataclasses.replace(one, answers={})
    beside = {"by_kind": {"bits_per_byte": {"facts": {"a": {"base": {}, "base_three_shot": {}}}}}}
    exact = {"mcnemar": [{"p": 0.5}]}
    one.comparison.update(gains=beside, tests=[row("a", "base", **exact), row("a", "base_three_shot"), row("a", "other_three_shot")])
    (_, table) = report_numbers.tests(one)
    assert [[*cells[:2], cells[-1]] for cells in table.rows] == [["a", "base", "0.500"], ["a", "base_three_shot", "–"]]


def test_an_arm_that_only_the_correction_leaves_beside_the_best_is_said_to_be_behind_and_factors_say_what_they_change():
    entries = {"a": entry(0.8), "b": entry(0.79), "c": entry(0.4)}
    one = study([["a", "b", "c"]], ["a", "b", "c"], entries)
    one.comparison["tests"] = [{"a": "b", "b": "a", "low": -0.03, "high": 0.01}, {"a": "a", "b": "c", "low": 0.2, "high": 0.6}]
    one.comparison["effects"] = [
        {"kind": "main", "factors": ["method"], "levels": ["lora"], "against": ["full"], "difference": -0.1, "told_apart": True},
        {"kind": "main", "factors": ["method"], "levels": ["p_tuning"], "against": ["full"], "difference": -0.412, "told_apart": True},
        {"kind": "main", "factors": ["rate"], "levels": ["own"], "against": ["shared"], "difference": 0.004, "told_apart": False},
        {"kind": "interaction", "factors": ["method", "rate"], "levels": ["lora", "own"], "against": ["full", "shared"], "difference": 0.9},
    ]
    assert answer(one) == (
        "`a` does best: 80.0 % (79.0–81.0), not told apart from `b`; `c` behind by the interval alone, which Holm's correction over all "
        "tests does not bear out; most by factor: `method` −41.2 points (`p_tuning` against `full`), `rate` +0.4 points (`own` against "
        "`shared`, not told apart)."
    )


def test_a_study_of_controls_is_answered_beside_the_arm_that_it_is_about():
    whole = study([["full"]], ["full"], {"full": entry(0.8)}, reference="full")
    controls = study([["alone"]], ["alone"], {"alone": entry(0.5)})
    assert answer(controls, whole) == "`alone` reaches 50.0 % (49.0–51.0); `full` of `s` 80.0 %."


def test_bits_per_byte_are_best_when_fewest():
    one = study([["a"], ["b"]], ["a", "b"], {"a": entry(0.5), "b": entry(0.9)}, metric="bits_per_byte")
    assert answer(one) == "`a` needs the fewest bits per byte: 0.500 (0.490–0.510)."
    assert one.order() == ["a", "b"]


def test_only_names_in_backticks_of_our_own_text_become_markup_in_html():
    page = report.html_page([("x", "Title <x>", [Paragraph("`a` & <i>b</i>"), Quote("`q` <b>"), Heading("H <h>", 2)])])
    assert "<p><code>a</code> &amp; &lt;i&gt;b&lt;/i&gt;</p>" in page
    assert "<blockquote>`q` &lt;b&gt;</blockquote>" in page
    assert "Title &lt;x&gt;" in page
    assert "H &lt;h&gt;" in page


def test_cells_are_escaped_in_html_and_control_characters_are_gone():
    page = report.html_page([("x", "T", [Table("cap <c>", ["<h>"], [["\x1b[31m<td>\u202e"]])])])
    assert "<code>[31m&lt;td&gt;</code>" in page
    assert "cap &lt;c&gt;" in page
    assert '<th scope="col">&lt;h&gt;</th>' in page


def test_figures_are_the_same_bytes_each_time_and_survive_odd_curves():
    lines = {"loss": {"one": [(0.0, 1.0), (1.0, 0.5)], "flat": [(0.0, 0.5)], "none": []}}
    assert figures.lines(lines, "epoch") == figures.lines(lines, "epoch")
    assert "<svg" in figures.lines({"loss": {"none": []}}, "epoch")
    assert figures_curves.learning_rates({"arm": []}).startswith("<?xml")


def test_markdown_and_html_show_the_same_numbers():
    blocks = [Table("t. Scale offline.", ["name", "score"], [["a", "76.3 %"]]), Figure("f.svg", "alt", "<svg></svg>")]
    assert "76.3 %" in tables.markdown(blocks)
    assert "76.3 %" in report.html_page([("x", "T", blocks)])


def test_the_overview_names_every_entry_of_every_study_and_draws_chance_only_where_labels_are_guessed():
    entries = {"full": entry(0.8), "majority": {**entry(0.33), "trained": False}}
    pairs = study([["full"]], ["full"], entries, shallow={"overlap": entry(0.45)})
    answers = study([["bloom"]], ["bloom"], {"bloom": entry(1.5)}, metric="bits_per_byte")
    both = report_numbers.overview([pairs, answers], "offline")
    assert both.path == "figures/overview.svg"
    for shown in ("full", "majority", "bloom", "80.0", "1.50", "chance", "best shallow control", "accuracy (%)", "bits per byte"):
        assert f">{shown}" in both.svg, shown
    assert both.svg == report_numbers.overview([pairs, answers], "offline").svg
    alone = report_numbers.overview([answers], "offline").svg
    assert ">chance" not in alone
    assert "<svg" in report_numbers.overview([], "offline").svg


def test_a_drawing_keeps_two_decimals_of_its_places_and_all_of_its_texts():
    drawn = '<!-- 0.0005 -->  \n  <path d="M 12.345678 0.5 L 1.999 3"/><text x="7.12345">0.0005</text>'
    assert report_svg.compact(drawn) == '<!-- 0.0005 -->\n<path d="M 12.34 0.5 L 1.99 3"/><text x="7.12">0.0005</text>'
