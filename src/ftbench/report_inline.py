"""A drawing as it stands inside a page with others: what a reader sees of it, in a third of the characters of matplotlib's own file.

Rules: attributes instead of styles (the page forbids those inline); groups that say nothing are dissolved; ticks and grid lines of an axis
that look alike are one path; what all parts of a group share stands at the group; positions have one decimal of a point, the outlines of
marks two. The paper below a drawing is the page's own. Nothing else is left out, and no point of a line.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from xml.etree import ElementTree

from ftbench import report_paths

Element = ElementTree.Element

# What a browser takes as an attribute as well as a style: a page that forbids inline styles can then still draw it.
ATTRIBUTES = frozenset(
    [
        "fill",
        "fill-opacity",
        "fill-rule",
        "font-size",
        "font-style",
        "font-weight",
        "opacity",
        "stroke",
        "stroke-dasharray",
        "stroke-dashoffset",
        "stroke-linecap",
        "stroke-linejoin",
        "stroke-miterlimit",
        "stroke-opacity",
        "stroke-width",
        "text-anchor",
    ]
)
# What the parts of a group may take from it. The fill of a text is not: the page's dark twin of a colour is given to each text.
SHARED = ATTRIBUTES - {"opacity"} | {"clip-path"}


def inline(svg: str, prefix: str, alt: str) -> str:
    """An SVG for embedding in a page with others: the ids that it needs made its own, named by `alt` for those who cannot see it."""
    root = ElementTree.fromstring(svg[svg.index("<svg") :].replace(' xlink:href="', ' href="'))  # noqa: S314  drawn by us
    for element in root.iter():
        element.tag = element.tag.rpartition("}")[2]
        element.text = element.text if element.tag in ("text", "tspan", "title") else None
        element.tail = element.tail if element.tag == "tspan" and (element.tail or "").strip() else None
    _without(root, lambda one: one.tag in ("metadata", "style"))
    for element in root.iter():
        _plain(element)
    _lines_for_ticks(root)
    _without(root, lambda one: one.tag == "path" and one.get("fill") == "#ffffff" and one.get("stroke", "none") == "none")
    _dissolved(root)
    _gathered(root)
    _lifted(root)
    _placed(root, whole=True)
    _renamed(root, prefix)
    for name in ("version", "xmlns"):
        root.attrib.pop(name, None)
    root.attrib = {"role": "img", "aria-label": alt, **root.attrib}
    return ElementTree.tostring(root, encoding="unicode").replace(" />", "/>")  # a text's own > is escaped


def _without(parent: Element, unwanted: Callable[[Element], bool]) -> None:
    """Take out the elements of which `unwanted` is true, and definitions of nothing."""
    for child in list(parent):
        _without(child, unwanted)
        if unwanted(child) or (child.tag == "defs" and not len(child)):
            parent.remove(child)


def _plain(element: Element) -> None:
    """`style="fill: none; stroke: #000000"` as `fill="none" stroke="#000000"`; the typeface is the page's; no turn by nothing."""
    said = dict(part.split(":", 1) for part in element.attrib.pop("style", "").split(";") if ":" in part)
    element.attrib |= {name.strip(): value.strip() for name, value in said.items() if name.strip() in ATTRIBUTES}
    if element.get("stroke-dashoffset") == "0":
        del element.attrib["stroke-dashoffset"]
    if element.get("transform", "").startswith("rotate(-0 "):
        del element.attrib["transform"]


def _lines_for_ticks(root: Element) -> None:
    """A use of a mark that is one straight line becomes that line, in its place."""
    marks = {one.get("id"): one for defs in root.iter("defs") for one in defs if one.tag == "path"}
    for use in root.iter("use"):
        mark = marks.get(use.get("href", "")[1:])
        points = re.fullmatch(r"M (\S+) (\S+)\s+L (\S+) (\S+)\s*", mark.get("d", "")) if mark is not None else None
        if mark is None or points is None:
            continue
        x, y = (float(use.attrib.pop(name, "0")) for name in "xy")
        x1, y1, x2, y2 = (float(one) for one in points.groups())
        line = f"M {x + x1:.2f} {y + y1:.2f} L {x + x2:.2f} {y + y2:.2f}"
        use.attrib = {**use.attrib, **mark.attrib, "fill": "none", "d": line}
        use.tag = "path"
        for name in ("href", "id"):
            del use.attrib[name]
    used = {use.get("href", "")[1:] for use in root.iter("use")}
    _without(root, lambda one: one.tag == "path" and one.get("id") in marks and one.get("id") not in used)


def _dissolved(parent: Element) -> None:
    """Replace groups that say nothing by what they hold; the lines of an axis that look alike become one path each."""
    for child in list(parent):
        named = child.get("id", "")
        if child.tag == "g" and not set(child.keys()) - {"id"}:
            _dissolved(child)
            place = list(parent).index(child)
            parent.remove(child)
            for offset, inner in enumerate(child):
                parent.insert(place + offset, inner)
            if named.startswith("matplotlib.axis_"):
                _joined(parent, place, place + len(child))
        else:
            _dissolved(child)


def _joined(parent: Element, start: int, end: int) -> None:
    """Of children that belong to one axis: the lines that look alike as one path, where the first of them stood."""
    paths: dict[object, Element] = {}
    for child in list(parent)[start:end]:
        if not _is_line(child):
            continue
        look = _look(child)
        if look in paths:
            paths[look].set("d", f"{paths[look].get('d')} {child.get('d')}")
            parent.remove(child)
        else:
            paths[look] = child


def _is_line(element: Element) -> bool:
    """Whether it is an unfilled path whose overlaps with others of its look show nothing."""
    solid = not {"opacity", "stroke-opacity", "stroke-dasharray", "id"} & set(element.keys())
    return element.tag == "path" and element.get("fill") == "none" and solid and not len(element)


def _look(element: Element) -> object:
    return element.tag, tuple(sorted((name, value) for name, value in element.items() if name != "d"))


def _gathered(parent: Element) -> None:
    """Neighbours of one series and one title become one group; neighbours that are clipped alike, and texts set alike, get a group."""
    for child in parent:
        _gathered(child)
    kept: list[Element] = []
    for child in list(parent):
        last = kept[-1] if kept else None
        if last is not None and _is_line(child) and _look(child) == _look(last):  # the two sides of a frame
            last.set("d", f"{last.get('d')} {child.get('d')}")
            parent.remove(child)
        elif last is not None and child.get("data-series") is not None and _said(child) == _said(last):
            last.extend([one for one in child if one.tag != "title"])
            parent.remove(child)
        else:
            kept.append(child)
    for run in _runs(list(parent)):
        group = Element("g")
        parent.insert(list(parent).index(run[0]), group)
        for child in run:
            parent.remove(child)
            group.append(child)


def _said(element: Element) -> tuple[Mapping[str, str], str | None]:
    return {name: value for name, value in element.items() if name != "id"}, element.findtext("title")


def _runs(children: list[Element]) -> list[list[Element]]:
    """Neighbours, two or more, that share the key by which they are set: their clip path, or how their text is set."""
    runs: list[tuple[object, list[Element]]] = []
    for child in children:
        key: object = None
        if clip := _clip(child):
            key = clip
        elif child.tag == "text" and child.get("font-size"):
            key = (child.get("font-size"), child.get("text-anchor"))
        if runs and key is not None and runs[-1][0] == key:
            runs[-1][1].append(child)
        else:
            runs.append((key, [child]))
    return [run for key, run in runs if key is not None and 1 < len(run) < len(children)]


def _clip(element: Element) -> str | None:
    """The one path that all of an element is clipped by."""
    inside = [one for one in element if one.tag not in ("title", "defs")]
    if element.get("clip-path") or not inside:
        return element.get("clip-path")
    found = {_clip(one) for one in inside}
    return found.pop() if len(found) == 1 else None


def _lifted(element: Element) -> None:
    """What all parts of a group share stands at the group, and no longer at them."""
    for child in element:
        _lifted(child)
    parts = [one for one in element if one.tag not in ("title", "defs")]
    if element.tag != "g" or not parts:
        return
    for name in sorted(SHARED):
        values = {one.get(name) for one in parts}
        of_texts = name.startswith(("fill", "stroke")) and any(True for _ in element.iter("text"))
        if len(values) == 1 and None not in values and element.get(name) is None and not of_texts:
            element.set(name, str(values.pop()))
            for one in parts:
                del one.attrib[name]


def _placed(element: Element, whole: bool) -> None:
    """Positions with one decimal of a point; two inside definitions and whatever is scaled or moved."""
    whole = whole and element.tag not in ("defs", "tspan") and (element.get("transform") is None or element.tag == "text")
    if element.get("d") is not None:
        element.set("d", report_paths.steps(element.get("d", ""), 1 if whole else 2))
    for name in ("x", "y", "width", "height"):
        if whole and element.tag != "svg" and re.fullmatch(r"-?[\d.]+", element.get(name, "")):
            element.set(name, report_paths.number(round(10 * float(element.get(name, ""))), 1))
    for child in element:
        _placed(child, whole)


def _renamed(root: Element, prefix: str) -> None:
    """Keep the ids that something refers to, as `<prefix>-<number>`, and no other."""
    needed = {one.get("href", "")[1:] for one in root.iter()} | {one.get("clip-path", "")[5:-1] for one in root.iter()}
    found = [one.get("id", "") for one in root.iter() if one.get("id") in needed]
    names = {old: f"{prefix}-{number}" for number, old in enumerate(dict.fromkeys(found))}
    for element in root.iter():
        if element.attrib.pop("id", None) in names:
            element.set("id", "")
    for element, old in zip((one for one in root.iter() if one.get("id") == ""), found, strict=True):
        element.set("id", names[old])
    for element in root.iter():
        if one := names.get(element.get("href", "")[1:]):
            element.set("href", f"#{one}")
        if one := names.get(element.get("clip-path", "")[5:-1]):
            element.set("clip-path", f"url(#{one})")
