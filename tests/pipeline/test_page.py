"""The HTML page in a real browser: the one of the tracked results, and small ones whose right behaviour is worked out by hand."""

from __future__ import annotations

import importlib.resources
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from page_parts import UNFOLDED, a_table, column

from ftbench import figures, report_html
from ftbench.report_html import Card
from ftbench.tables import Figure, Heading, Paragraph, Quote, Table

ROOT = Path(__file__).parents[2]
HOSTILE = (
    '<script>window.ran = 1</script> "\' onfocus=window.ran=1 autofocus x=" <img src=https://example.invalid/x onerror=window.ran=1> '
    "</style></script></title></svg> `code` | pipe\n# line \x1b[31mred\x1b[0m \u202eback\u202c \U0001f600 ${7*7} {{ 7*7 }} ]]> <!-- &quot;"
)


@pytest.fixture(scope="module")
def real(tmp_path_factory):
    """The page as the report stage makes it of the files in git."""
    root = tmp_path_factory.mktemp("page")
    shutil.copy(ROOT / "params.yaml", root)
    for path in [*(ROOT / "reports").glob("*.json"), *(ROOT / "reports").glob("*/*.json"), *(ROOT / "reports").glob("*/*/*")]:
        if (
            path.is_file()
            and (path.suffix == ".json" or path.parent.name in ("curves", "usage"))
            and path.parent.name not in ("costs", "scores")
        ):
            (root / path.relative_to(ROOT)).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(path, root / path.relative_to(ROOT))
    done = subprocess.run([sys.executable, ROOT / "stages/report.py", "--out", "reports"], cwd=root, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return root / "reports/index.html"


def test_the_page_prints_whole_on_a_bounded_number_of_sheets(tab, real):
    tab.look(1200)
    tab.open(real)
    printed = tab.pdf()
    assert printed.startswith(b"%PDF-")
    assert 20 <= len(re.findall(rb"/Type\s*/Page\b", printed)) <= 200  # folded as it opens it would be a few


# ---- The page of the results ----------------------------------------------------------------------------------------------------


def test_the_page_opens_without_a_complaint_and_asks_for_nothing(tab, real):
    tab.look(1200)
    tab.open(real)
    tab.value(UNFOLDED)
    assert tab.value("document.querySelectorAll('th button').length") > 100  # the script ran under the page's own policy
    assert tab.value("getComputedStyle(document.querySelector('ul.cards')).display") == "grid"  # and so did the style
    assert tab.complaints() == []
    assert tab.value("performance.getEntriesByType('resource').length") == 0


def test_the_page_is_far_from_too_large_to_open(real):
    assert real.stat().st_size < report_html.MOST_BYTES <= 1 << 20


def test_the_first_screen_has_every_studys_question_answer_and_one_figure(tab, real):
    tab.look(1200, 1400)
    tab.open(real)
    shown = "[...document.querySelectorAll('#answers .cards li')].map(li => [li.querySelector('a').hash, li.querySelectorAll('p').length])"
    cards = tab.value(shown)
    assert ["#snli", 2] in cards
    assert (
        len(cards) == tab.value("document.querySelectorAll('section > details > summary h2[id$=-title]').length") - 3
    )  # ledger, trust, absent
    assert tab.value("document.querySelectorAll('#answers figure').length") == 1
    assert tab.value("document.querySelector('#answers .open').getBoundingClientRect().bottom") < 1700


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_nothing_of_the_page_is_wider_than_a_phone_but_what_scrolls_in_its_own_frame(tab, real, theme):
    tab.look(360, theme=theme)
    tab.open(real)
    tab.value(UNFOLDED)
    assert tab.value("document.scrollingElement.scrollWidth") == 360
    wide = "[...document.querySelectorAll('body *')].filter(e => e.getBoundingClientRect().right > 360.5 && !e.closest('.scroll, figure'))"
    assert tab.value(f"{wide}.map(e => e.outerHTML.slice(0, 120))") == []


def test_both_themes_are_legible_and_drawings_follow_them(tab, real):
    found = {}
    for theme in ("light", "dark"):
        tab.look(1200, theme=theme)
        tab.open(real)
        read = "(s, p) => getComputedStyle(document.querySelector(s))[p].match(/\\d+/g).slice(0, 3).reduce((a, b) => a + Number(b), 0)"
        found[theme] = [
            tab.value(f"({read})({place})") for place in ("'body', 'backgroundColor'", "'body', 'color'", "'figure text', 'fill'")
        ]
    (paper, ink, text), (dark_paper, dark_ink, dark_text) = found["light"], found["dark"]
    assert paper > 700 > 150 > dark_paper
    assert ink < 150 < 600 < dark_ink
    assert (text, dark_text) == (ink, dark_ink)
    assert tab.value("document.querySelectorAll('figure:not(.follows)').length") == 0


@pytest.mark.parametrize(("theme", "rules"), [("light", "{}"), ("dark", "{runOnly: ['color-contrast']}")])
def test_axe_finds_nothing_serious(tab, real, theme, rules):
    axe = (importlib.resources.files("axe_core_python") / "axe.min.js").read_text(encoding="utf-8")
    tab.look(1200, theme=theme)
    tab.open(real)
    tab.value(UNFOLDED)
    tab.value(axe + "; 0")
    run = f"axe.run({{exclude: [['svg > *']]}}, {{resultTypes: ['violations'], ...{rules}}})"  # a drawing is one image with a name
    found = tab.value(f"{run}.then(r => [r.violations.map(v => [v.id, v.impact, v.nodes[0].html]), r.passes.length])")
    assert found[1] > 0
    assert [one for one in found[0] if one[1] in ("serious", "critical")] == []


# ---- Behaviour, worked out by hand ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("cells", "rising"),
    [
        (["0.819 (0.80–0.83)", "−0.2", "+12.3", "–", "1e-05"], ["−0.2", "1e-05", "0.819 (0.80–0.83)", "+12.3", "–"]),
        (["9.9 % (1.0–20.0)", "10.1 %", "", "100 %"], ["9.9 % (1.0–20.0)", "10.1 %", "100 %", ""]),
        (["1.20 GB", "650.1 kB", "601.7 MB", "9.0 MB"], ["650.1 kB", "9.0 MB", "601.7 MB", "1.20 GB"]),
        (["1,552,849,920", "751,363", "9", "31457281"], ["9", "751,363", "31457281", "1,552,849,920"]),
        (["1 h 16 min", "99.9 s", "4 min 05 s", "4 min 04 s"], ["99.9 s", "4 min 04 s", "4 min 05 s", "1 h 16 min"]),
        (["0.034", "< 0.001", "0.001"], ["< 0.001", "0.001", "0.034"]),
        (["beta", "alpha 10", "alpha 9", "–"], ["alpha 9", "alpha 10", "beta", "–"]),
    ],
)
def test_a_column_sorts_by_what_its_cells_mean_with_dashes_last(opened, cells, rising):
    tab = opened(a_table([[str(place), cell] for place, cell in enumerate(cells)]))
    click = "document.querySelectorAll('th button')[1].click(); document.querySelectorAll('th')[1].getAttribute('aria-sort')"
    assert tab.value(click) == "ascending"
    assert column(tab, 1) == rising
    assert tab.value(click) == "descending"
    known = [cell for cell in reversed(rising) if cell not in ("–", "")]
    assert column(tab, 1) == known + rising[len(known) :]
    assert tab.value(click) is None
    assert column(tab, 1) == cells


def test_a_header_is_reached_with_tab_and_sorts_with_enter(opened):
    tab = opened(a_table([["b", "2"], ["a", "1"]]))
    tab.value(UNFOLDED)
    for _ in range(20):
        tab.press("Tab")
        if tab.value("document.activeElement.closest('th')?.textContent") == "name":
            break
    assert tab.value("getComputedStyle(document.activeElement).outlineStyle") == "solid"  # and one sees where one is
    tab.press("Enter", "\r")
    assert column(tab) == ["a", "b"]


def test_sections_start_folded_and_a_link_and_printing_unfold_them(opened):
    tab = opened(a_table([["a", "1"]]), [Card("study", "?", "`a` reaches 1.")])
    is_open = "document.querySelector('#study > details').open"
    assert tab.value(is_open) is False
    tab.value("dispatchEvent(new Event('beforeprint'))")
    assert tab.value(is_open) is True
    tab.value("dispatchEvent(new Event('afterprint'))")
    assert tab.value(is_open) is False
    tab.value("document.querySelector('.cards a').click()")
    tab.value("new Promise(done => setTimeout(done, 100))")
    assert tab.value(is_open) is True


def test_without_scripts_everything_is_unfolded_and_no_control_is_dead(tab, opened):
    tab.call("Emulation.setScriptExecutionDisabled", value=True)
    try:
        opened(a_table([[str(number), "1"] for number in range(50)]))
        html = tab.call("DOM.getOuterHTML", nodeId=tab.call("DOM.getDocument")["root"]["nodeId"])["outerHTML"]
    finally:
        tab.call("Emulation.setScriptExecutionDisabled", value=False)
    assert html.count("<details open") == 3  # two sections and a part
    assert "<button" not in html
    assert "<input" not in html


def test_a_series_stands_out_when_it_is_chosen_and_its_points_say_their_values(opened):
    drawn = figures.lines({"loss": {"one": [(0.0, 1.0), (1.0, 0.5)], "two": [(0.0, 0.9), (1.0, 0.25)]}}, "epoch")
    tab = opened([("front", "Front", [Figure("f.svg", "two lines", drawn)])])
    assert "two, loss: 0.25 at the end" in tab.value("[...document.querySelectorAll('svg title')].map(t => t.textContent)")
    tab.value("{const s = document.querySelector('.tools select'); s.value = 'two'; s.dispatchEvent(new Event('change'))}")
    shown = "[...document.querySelectorAll('[data-series]')].filter(g => getComputedStyle(g).opacity === '1').map(g => g.dataset.series)"
    assert set(tab.value(shown)) == {"two"}


# ---- Text that would run --------------------------------------------------------------------------------------------------------


def test_hostile_text_in_every_place_of_the_page_is_shown_and_does_nothing(opened):
    line = HOSTILE + "x" * 100_000
    drawn = figures.lines(
        {HOSTILE.replace("\x1b", "").replace("$", ""): {"<b>one</b>": [(0.0, 1.0)], "</g><script>window.ran=1</script>": [(0.0, 2.0)]}}, "x"
    )
    rows = [[line, HOSTILE], ["a", "b"], *[[HOSTILE, str(number)] for number in range(60)]]
    blocks = [
        Quote(line),
        Paragraph(HOSTILE),
        Figure(HOSTILE, HOSTILE, drawn),
        Heading(HOSTILE, 2),
        Table(HOSTILE, [HOSTILE, "verdict"], rows),
    ]
    tab = opened([("front", HOSTILE, blocks[:3]), ("study", HOSTILE, blocks)], [Card("study", line, HOSTILE)])
    tab.value(UNFOLDED)
    tab.value("document.querySelectorAll('th button').forEach(one => one.click())")
    assert tab.value("typeof window.ran") == "undefined"
    assert tab.value("document.querySelectorAll('script, style').length") == 2
    assert tab.value("document.querySelectorAll('img, iframe, object, [onerror], [onfocus], [autofocus]').length") == 0
    assert tab.value("[...document.querySelectorAll('*')].flatMap(e => [...e.attributes]).filter(a => /^on/.test(a.name)).length") == 0
    assert "<script>window.ran = 1</script>" in tab.value("document.querySelector('tbody td').textContent")  # read, not run
    assert tab.value("[...document.querySelector('blockquote').textContent].length") == 2000
    assert tab.value("/[\\u202a-\\u202e\\u2066-\\u2069\\u001b]/.test(document.documentElement.outerHTML)") is False
    assert tab.complaints() == []


def test_the_policy_stops_what_got_past_the_escaping(opened):
    tab = opened(a_table([["a", "1"]]))
    tab.value("{const s = document.createElement('script'); s.textContent = 'window.ran = 1'; document.body.append(s)}")
    tab.value("document.body.insertAdjacentHTML('beforeend', '<img src=https://example.invalid/x.png onerror=\"window.ran = 1\">')")
    tab.value("new Promise(done => setTimeout(done, 200))")
    assert tab.value("typeof window.ran") == "undefined"
    assert any("Content Security Policy" in said for said in tab.complaints())
