"""What a reader of the page chooses rows by, in a real browser: words, and the values of columns that ask for it."""

from page_parts import UNFOLDED, a_table, column

from ftbench.tables import Heading, Table


def test_a_field_above_more_than_a_dozen_rows_hides_those_without_its_words(opened):
    rows = [[f"row {number}", "Even" if number % 2 == 0 else "odd"] for number in range(13)]
    tab = opened(a_table(rows))

    def typed(text):
        tab.value(f"{{const s = document.querySelector('input[type=search]'); s.value = '{text}'; s.dispatchEvent(new Event('input'))}}")
        return tab.value("document.querySelector('output').value")

    assert typed("even 1") == "2 of 13 rows"
    assert column(tab) == ["row 10", "row 12"]
    assert typed("no such") == "0 of 13 rows"
    assert tab.value("document.querySelector('.scroll').hidden") is True
    assert typed("") == "13 of 13 rows"
    assert tab.value("document.querySelector('label input') !== null") is True  # it has a name
    assert opened(a_table(rows[:12])).value("document.querySelector('input')") is None


def test_the_ledger_is_filtered_by_verdict_over_all_its_tables(opened):
    def claims(about, verdicts):
        rows = [[f"{about} {number}", verdict] for number, verdict in enumerate(verdicts)]
        return [Heading(f"Claims about {about}", 3), Table(f"{about}.", ["claim", "verdict"], rows, filters=frozenset({"verdict"}))]

    blocks = [*claims("a", ["holds"] * 7 + ["contradicted"]), *claims("b", ["cannot be decided"] * 5)]
    tab = opened([("front", "Front", []), ("ledger", "Ledger", blocks)])
    choose = "const s = document.querySelector('.tools select'); s.value = 'contradicted'; s.dispatchEvent(new Event('change'))"
    assert tab.value("[...document.querySelectorAll('.tools option')].map(o => o.textContent)") == [
        "all",
        "holds",
        "contradicted",
        "cannot be decided",
    ]
    tab.value(f"{{{choose}}}")
    assert column(tab) == ["a 7"]
    assert tab.value("document.querySelector('output').value") == "1 of 13 rows"
    assert tab.value("[...document.querySelectorAll('.scroll')].map(one => one.hidden)") == [False, True]


def the_failures():
    """A part with counts, which have no case, and with examples: of each case and genre two, but no correction among letters."""
    rows = [[case, genre, f"{case} {genre} {n}"] for case in ("corrected", "persistent") for genre in ("travel", "letters") for n in (1, 2)]
    rows = [row for row in rows if row[:2] != ["corrected", "letters"]] + [["persistent", "", f"none {n}"] for n in range(6)]
    counts = Table("Counts.", ["arm", "case"], [["a", "9"], ["b", "8"]])
    examples = Table("Examples.", ["case", "genre", "premise"], rows, frozenset(), frozenset({"case", "genre", "no such column"}))
    return [("front", "Front", []), ("study", "Study", [Heading("Failure cases", 2), counts, examples])]


def test_examples_are_chosen_by_every_column_that_asks_for_it_and_all_choices_hold_at_once(opened):
    tab = opened(the_failures())
    assert tab.value("[...document.querySelectorAll('.tools label')].map(one => one.firstChild.textContent.trim())")[1:] == [
        "case",
        "genre",
    ]
    read = "[...document.querySelectorAll('.tools select')].map(one => [...one.options].map(o => o.textContent))"
    assert tab.value(read) == [["all", "corrected", "persistent"], ["all", "travel", "letters"]]

    def chosen(*values):
        for place, value in enumerate(values):
            choose = (
                f"const s = document.querySelectorAll('.tools select')[{place}]; s.value = '{value}'; s.dispatchEvent(new Event('change'))"
            )
            tab.value(f"{{{choose}}}")
        return tab.value("document.querySelector('output').value")

    assert chosen("corrected", "") == "2 of 14 rows"
    assert tab.value("[...document.querySelectorAll('.scroll')].map(one => one.hidden)") == [True, False]  # counts are of no case
    assert chosen("persistent", "letters") == "2 of 14 rows"
    assert column(tab, 2) == ["persistent letters 1", "persistent letters 2"]
    assert chosen("corrected", "letters") == "0 of 14 rows"
    tab.value("{const s = document.querySelector('input[type=search]'); s.value = '2'; s.dispatchEvent(new Event('input'))}")
    assert chosen("", "letters") == "1 of 14 rows"  # the words that rows must show hold as well
    tab.value("{const s = document.querySelector('input[type=search]'); s.value = ''; s.dispatchEvent(new Event('input'))}")
    assert chosen("", "") == "14 of 14 rows"


def test_a_choice_is_reached_with_tab_and_made_with_a_key(opened):
    tab = opened(the_failures())
    tab.value(UNFOLDED)
    for _ in range(20):
        tab.press("Tab")
        if tab.value("document.activeElement.closest('label')?.firstChild.textContent.trim()") == "genre":
            break
    assert tab.value("getComputedStyle(document.activeElement).outlineStyle") == "solid"
    tab.press("l", "l")  # the first option that begins so
    assert tab.value("document.activeElement.value") == "letters"
    assert tab.value("document.querySelector('output').value") == "2 of 14 rows"


def test_a_table_whose_columns_ask_for_nothing_has_no_choice(opened):
    tab = opened(a_table([[f"row {number}", "holds"] for number in range(13)], ("name", "verdict")))
    assert tab.value("document.querySelectorAll('.tools select').length") == 0
