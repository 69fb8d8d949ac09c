"""A drawing inside a page: everything a reader sees is there, in few characters, under ids of its own."""

import re
from xml.etree import ElementTree

from ftbench import figures, report_inline, report_paths

HEAD = '<?xml version="1.0"?>\n<!DOCTYPE svg>\n<svg width="1" version="1.1" xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink">'


def inlined(body, prefix="p", alt="a"):
    """What stands between the tags of the drawing."""
    found = report_inline.inline(f"{HEAD}{body}</svg>", prefix, alt)
    assert found.startswith(f'<svg role="img" aria-label="{alt}" width="1">')
    return found.partition(">")[2].removesuffix("</svg>")


def test_a_drawing_is_named_in_words_and_keeps_its_references_within_itself():
    body = '<metadata>m</metadata><g id="a"><use xlink:href="#b"/></g><path id="b" clip-path="url(#c)"/><clipPath id="c"/>'
    assert report_inline.inline(f"{HEAD}{body}</svg>", "p", 'a "b" <c>') == (
        '<svg role="img" aria-label="a &quot;b&quot; &lt;c&gt;" width="1"><use href="#p-0"/>'
        '<path clip-path="url(#p-1)" id="p-0"/><clipPath id="p-1"/></svg>'
    )


def test_styles_become_attributes_and_what_is_no_look_of_a_drawing_is_left_out():
    assert inlined('<path style="fill: none; stroke: #000000; stroke-dashoffset: 0; behavior: url(x); font-family: A"/>') == (
        '<path fill="none" stroke="#000000"/>'
    )
    assert inlined("<defs><style>*{fill: red}</style></defs><!-- said --><text>t</text>") == "<text>t</text>"


def test_texts_and_titles_stay_as_they_are_and_are_no_markup():
    body = '<g data-series="a"><title>x &lt;b&gt;: 0.12345 href="#b"</title><text x="7.123">1.98765 &amp; /&gt; é</text></g>'
    assert inlined(body) == '<g data-series="a"><title>x &lt;b&gt;: 0.12345 href="#b"</title><text x="7.1">1.98765 &amp; /&gt; é</text></g>'


def test_ticks_and_grid_lines_of_an_axis_become_one_line_each_and_none_is_lost():
    mark = '<defs><path id="m" d="M 0 0&#10;L 0 3.5" style="stroke: #000000; stroke-width: 0.8"/></defs>'
    grid = '<g><path d="M {x} 9&#10;L {x} 1" style="fill: none; stroke: #e4e4e4"/></g>'
    tick = '<g><g><use xlink:href="#m" x="{x}" y="9" style="stroke: #000000"/></g></g>'
    tick += '<g><text x="{x}" y="20" style="font-size: 8px">{x}</text></g>'
    axis = "".join(f'<g id="xtick_{x}">{grid}{mark if x == 1 else ""}{tick}</g>'.replace("{x}", str(x)) for x in (1, 2, 5))
    assert inlined(f'<g id="figure_1"><g id="matplotlib.axis_1">{axis}</g></g>') == (
        '<path d="M1 9v-8M2 9v-8M5 9v-8" fill="none" stroke="#e4e4e4"/>'
        '<path stroke="#000000" d="M1 9v3.5M2 9v3.5M5 9v3.5" stroke-width="0.8" fill="none"/>'
        '<g font-size="8px"><text x="1" y="20">1</text><text x="2" y="20">2</text><text x="5" y="20">5</text></g>'
    )


def test_the_parts_of_an_interval_are_one_group_with_one_title_and_two_series_stay_two():
    def part(series, title):
        return f'<g id="s" data-series="{series}"><title>{title}</title><path d="M 1 1 L 2 2" style="stroke: #0072b2"/></g>'

    found = inlined(part("a", "a: 1") * 3 + part("b", "b: 1") + part("a", "a, by seed"))
    assert re.findall(r'data-series="(.)"', found) == ["a", "b", "a"]
    assert re.findall(r"<title>(.*?)</title>", found) == ["a: 1", "b: 1", "a, by seed"]
    assert found.count("<path") == 5


def test_the_sides_of_a_frame_are_one_line_and_dashes_stay_apart():
    side = '<g><path d="M 1 1 L 1 2" style="fill: none; stroke: #000000{}"/></g>'
    assert inlined(side.format("") * 2) == '<path d="M1 1v1M1 1v1" fill="none" stroke="#000000"/>'
    assert inlined(side.format("; stroke-dasharray: 1,2") * 2).count("<path") == 2


def test_the_paper_is_the_pages_own_and_hollow_marks_keep_their_white():
    paper = '<path d="M 0 0 L 9 0 z" style="fill: #ffffff"/>'
    hollow = '<path d="M 1 1 L 2 2" style="fill: #ffffff; stroke: #0072b2"/>'
    assert inlined(paper + hollow) == '<path d="M1 1l1 1" fill="#ffffff" stroke="#0072b2"/>'


def test_the_colour_of_each_text_stays_with_it_since_the_page_has_a_dark_twin_for_each():
    text = '<text style="fill: #0072b2; font-size: 8px">{}</text>'
    texts = f'<g id="x" data-series="a">{text.format(1)}{text.format(2)}</g>'
    assert inlined(texts) == ('<g data-series="a" font-size="8px"><text fill="#0072b2">1</text><text fill="#0072b2">2</text></g>')


def test_what_is_clipped_alike_and_stands_together_is_clipped_once():
    line = '<g data-series="{}"><path clip-path="url(#c)" d="M 1 1 L 2 2" fill="none"/></g>'
    clip = '<defs><clipPath id="c"><rect x="1.26" y="0.5" width="2" height="1"/></clipPath></defs>'
    body = f"{line.format('a')}{line.format('b')}<text>t</text>{clip}"
    assert inlined(body) == (
        '<g clip-path="url(#p-0)" fill="none"><g data-series="a"><path d="M1 1l1 1"/></g><g data-series="b"><path d="M1 1l1 1"/></g></g>'
        '<text>t</text><defs><clipPath id="p-0"><rect x="1.26" y="0.5" width="2" height="1"/></clipPath></defs>'
    )


def test_a_path_is_rounded_and_written_in_steps_whose_errors_do_not_add_up():
    assert report_paths.steps("M 1 2\nL 3 2\nL 3 5\nL 2.5 4.5\nz", 1) == "M1 2h2v3l-.5-.5z"
    assert report_paths.steps("M 0 0 L 0.04 0.26 L 0.08 0.52 L 0.12 0.78", 1) == "M0 0v.3l.1 .2 0 .3"  # ends at 0.1, 0.8
    assert report_paths.steps("M 0 1.5\nC 0.39 1.5 0.77 1.34 1.06 1.06\nz\nM 5 5\nL 6 5", 2) == "M0 1.5c.39 0 .77-.16 1.06-.44zM5 5h1"
    assert report_paths.steps("M 1 1 A 1 1 0 0 0 2 2", 1) == "M 1 1 A 1 1 0 0 0 2 2"  # matplotlib draws no such arcs


def test_every_point_of_a_line_of_a_figure_is_still_there_to_a_tenth_of_a_point():
    points = [(float(x), (x * 7919 % 101) / 10) for x in range(60)]
    drawn = figures.lines({"loss": {"one": points}}, "epoch")
    whole = next(one for one in re.findall(r'd="([^"]+)"', drawn) if one.count("L") == 59)
    inside = report_inline.inline(drawn, "p", "a")
    kept = next(one for one in re.findall(r' d="([^"]+)"', inside) if one.count("l") == 1 and len(one) > 200)
    numbers = [float(one) for one in re.findall(r"-?\d*\.?\d+", kept)]
    x, y = numbers[:2]
    places = [(x, y)]
    for dx, dy in zip(numbers[2::2], numbers[3::2], strict=True):
        x, y = x + dx, y + dy
        places.append((x, y))
    wanted = [float(one) for one in re.findall(r"-?\d+\.?\d*", whole)]
    assert len(places) == 60
    for (x, y), wx, wy in zip(places, wanted[::2], wanted[1::2], strict=True):
        assert abs(x - wx) <= 0.051
        assert abs(y - wy) <= 0.051
    assert len(inside) < len(drawn) / 1.5
    ElementTree.fromstring(inside)  # noqa: S314  and it is still well-formed
