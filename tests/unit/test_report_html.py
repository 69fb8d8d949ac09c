"""The HTML page's parts: sections, anchors, cells, drawings, and the policy that it is under."""

import base64
import hashlib
import re

from ftbench import report_html, report_inline, report_provenance, report_svg
from ftbench.report_data import Study
from ftbench.report_html import Card, html_page
from ftbench.tables import Figure, Heading, Paragraph, Table


def test_the_policy_names_the_pages_own_script_and_style_by_their_hashes_and_allows_nothing_else():
    page = html_page([("a", "A", [])])
    (policy,) = re.findall(r'http-equiv="Content-Security-Policy" content="([^"]+)"', page)
    policy = policy.replace("&#39;", "'")
    for tag, rule in (("script", "script-src"), ("style", "style-src")):
        (text,) = re.findall(rf"<{tag}>(.*?)</{tag}>", page, re.DOTALL)
        assert f"{rule} 'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'" in policy
    assert policy.startswith("default-src 'none'; ")
    assert "unsafe" not in policy


def test_no_attribute_of_the_page_holds_a_style_or_a_script():
    drawn = '<svg width="1"><g style="fill: none; stroke: #0072b2; font-family: \'A\'; behavior: url(x)"><title>t</title></g></svg>'
    page = html_page([("a", "A", [Figure("f.svg", "alt", drawn)])])
    assert '<g fill="none" stroke="#0072b2"><title>t</title></g>' in page
    assert not re.search(r"<[^>]+\s(style|on\w+)=", page.split("<body>")[1].split("<script>")[0])


def test_blocks_stand_in_parts_by_their_highest_headings_with_anchors_of_their_own():
    blocks = [Paragraph("first"), Heading("Cost", 2), Heading("Deeper", 3), Heading("Cost", 2), Heading("A & b!", 2)]
    page = html_page([("front", "Front", []), ("s", "Study s", blocks)])
    assert re.findall(r'<details open class="part" id="([^"]+)">', page) == ["s-cost", "s-cost-2", "s-a-b"]
    assert page.count('<a href="#s-cost">Cost</a>') == 1
    assert "<h4>Deeper</h4>" in page
    assert page.index("<p>first</p>") < page.index('id="s-cost"')


def test_a_part_with_many_rows_is_marked_as_long():
    def part(rows):
        return html_page([("s", "S", [Heading("P", 2), Table("t", ["a"], [["1"]] * rows)])])

    assert 'class="part"' in part(report_html.LONG)
    assert 'class="part long"' in part(report_html.LONG + 1)


def test_a_card_escapes_the_question_and_marks_the_names_of_the_answer():
    page = html_page([("answers", "Answers", [])], [Card("s", "Is <b> `it`?", "`a` reaches 80.0 % (79.0–81.0).")])
    assert '<p class="question">Is &lt;b&gt; `it`?</p>' in page
    assert "<p><code>a</code> reaches 80.0\u00a0% (79.0–81.0).</p>" in page


def test_a_drawing_with_a_colour_of_its_own_stays_on_white_paper():
    ours, other = (f'<svg width="1"><path style="fill: {colour}"/></svg>' for colour in ("#0072b2", "#123456"))
    assert report_svg.follows_the_theme(report_inline.inline(ours, "p", "a"))
    assert not report_svg.follows_the_theme(report_inline.inline(other, "p", "a"))
    page = html_page([("a", "A", [Figure("f", "f", ours), Figure("f", "f", other)])])
    assert page.count('<figure class="follows" ') == page.count("<figure tabindex") == 1


def test_a_marked_series_keeps_its_name_whatever_it_holds():
    class Artist:
        def set_gid(self, gid):
            self.gid = gid

    artist = Artist()
    report_svg.mark(artist, 'lr-0.0005"><script>', "0.12345 \u202e<b>")
    assert report_svg.finished(f'<g id="{artist.gid}">') == (
        '<g id="series_1" data-series="lr-0.0005&quot;&gt;&lt;script&gt;"><title>0.12345 &lt;b&gt;</title>'
    )


def provenance_of(seeds, digests=()):
    entries = {arm: {"seeds": listed} for arm, listed in seeds.items()}
    environment = {"processor": "a", "num_cores": 2, "num_threads": 1, "gpu": None, "python": "3.11.0", "versions": {"torch": "2"}}
    comparison = {"scale": "offline", "ranked": list(seeds), "entries": entries, "orphans": []}
    cost = {"environments": [environment, {**environment, "system": "other"}]}
    return report_provenance.provenance(Study("s", {}, comparison, cost, {}, digests=dict(digests)))


def test_provenance_lists_the_seeds_of_each_arm():
    assert Paragraph("Seeds: 0, 1 and 2 of every arm.") in provenance_of({"a": [0, 1, 2], "b": [0, 1, 2]})
    assert Paragraph("Seeds: 0, 1 and 2 of `a` and `c`; 0 of `b`.") in provenance_of({"a": [0, 1, 2], "b": [0], "c": [0, 1, 2]})


def test_provenance_shows_each_machine_once_and_the_files_that_it_was_made_from():
    machines, files = [block for block in provenance_of({"a": [0]}, [("s/cost.json", "0123456789abcdef")]) if isinstance(block, Table)]
    assert machines.rows == [["a, 2 cores", "none", "1", "–", "Python 3.11.0, torch 2"]]
    assert files.rows == [["s/cost.json", "0123456789abcdef"]]
