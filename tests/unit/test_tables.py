import pytest

from ftbench import tables
from ftbench.tables import Figure, Heading, Paragraph, Quote, Table


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a | b", "a &#124; b"),
        ("two\nlines\r\nhere", "two lines here"),
        ("`code` and **bold**", "\\`code\\` and \\*\\*bold\\*\\*"),
        ("<script>alert(1)</script>", "&lt;script&gt;alert(1)&lt;/script&gt;"),
        ("[text](javascript:x)", "\\[text\\](javascript:x)"),
        ("see http://example.org, www.example.org @someone", "see http&#58;//example.org, www&#46;example.org &#64;someone"),
        ("\x1b[31mred\x1b[0m \u202eback \u200bzero", "\\[31mred\\[0m back zero"),
        ("see #12, we/us#3, GH-4 and # 5", "see &#35;12, we/us&#35;3, GH&#45;4 and # 5"),
        ("# heading", "&#8203;# heading"),
        ("12. item", "&#8203;12. item"),
        ("80.2 %", "80.2 %"),
        ("attention_head and _stressed_", "attention_head and \\_stressed\\_"),
        ("a\\|b", "a\\\\&#124;b"),
        ("naïve 日本 🙂", "naïve 日本 🙂"),
    ],
)
def test_foreign_text_is_shown_as_it_is_and_is_no_markup(text, shown):
    assert tables.escaped(text) == shown


def test_a_long_text_is_cut():
    assert tables.inert("x" * 100_000) == "x" * 299 + "…"


def test_a_table_keeps_its_columns_whatever_its_cells_hold():
    text = tables.markdown([Table("What it is. Scale offline.", ["name", "text"], [["lora-own", "a | b\n`c`"], ["not a name |", ""]])])
    rows = [line for line in text.splitlines() if line.startswith("|")]
    assert all(row.count("|") == 3 for row in rows)
    assert "`lora-own`" in text
    assert text.startswith("*What it is. Scale offline.*\n")


def test_a_name_is_cut_like_any_other_cell():
    rows = [["g" * tables.LONGEST_CELL, ""], ["g" * 100_000, ""]]
    *_, whole, cut = tables.markdown([Table("t", ["group", "n"], rows)]).splitlines()
    assert whole.split("|")[1].strip() == f"`{rows[0][0]}`"
    assert cut.split("|")[1].strip() == "g" * (tables.LONGEST_CELL - 1) + "…"


def test_numbers_in_a_table_are_left_as_they_are_worded():
    assert "1.50" in tables.markdown([Table("t", ["a", "b"], [["x", "1.50"]])])


def test_a_page_of_blocks_in_order():
    page = tables.markdown([Heading("T", 1), Quote("Is it <b>?"), Paragraph("Yes, `it` is."), Figure("figures/a.svg", "what | it shows")])
    assert page == "# T\n\n> Is it &lt;b&gt;?\n\nYes, `it` is.\n\n![what &#124; it shows](figures/a.svg)\n"


@pytest.mark.parametrize(
    ("worded", "expected"),
    [
        (tables.percent(0.7634), "76.3 %"),
        (tables.points(0.1234), "+12.3"),
        (tables.points(-0.02), "−2.0"),
        (tables.points(-0.0001), "0.0"),
        (tables.number(None), "–"),
        (tables.count(1552849920), "1,552,849,920"),
        (tables.gigabytes(2.446e9), "2.45 GB"),
        (tables.gigabytes(4096), "4.1 kB"),
        (tables.seconds(12.34), "12.3 s"),
        (tables.seconds(1852.7625), "30 min 53 s"),
        (tables.seconds(4582), "1 h 16 min"),
        (tables.probability(0.0004), "< 0.001"),
        (tables.with_interval("accuracy", {"mean": 0.763, "low": 0.74, "high": 0.785}), "76.3 % (74.0–78.5)"),
        (tables.with_interval("bits_per_byte", {"mean": 0.34, "low": 0.3, "high": 0.38}), "0.340 (0.300–0.380)"),
    ],
)
def test_numbers_are_worded_for_people(worded, expected):
    assert worded == expected
