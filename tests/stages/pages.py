"""What is wrong with a page of the report: rows of tables that are torn, tags left open, things that would be fetched or run."""

from __future__ import annotations

import html.parser


def torn_rows(markdown: str) -> list[str]:
    """The rows of tables that have not as many columns as their header."""
    torn, width = [], 0
    for line in markdown.splitlines():
        if not line.startswith("|"):
            width = 0
            continue
        width = width or line.count("|")
        if line.count("|") != width:
            torn.append(line)
    return torn


class Checker(html.parser.HTMLParser):
    """Notes tags left open, repeated ids, and everything that a page would fetch or run."""

    VOID = ("meta", "br", "img", "link", "input", "hr")

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.ids: list[str] = []
        self.fetched: list[str] = []
        self.scripts = 0
        self.handlers: list[str] = []
        self.tags: set[str] = set()
        self.policy = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        if tag not in self.VOID:
            self.open.append(tag)
        self.scripts += tag == "script"
        for name, value in attrs:
            if name == "id":
                self.ids.append(value or "")
            if name in ("src", "href", "xlink:href", "data", "action") and not (value or "").startswith("#"):
                self.fetched.append(value or "")
            if name.startswith("on"):
                self.handlers.append(name)
        if ("http-equiv", "Content-Security-Policy") in attrs:
            self.policy = dict(attrs)["content"] or ""

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in self.VOID:
            self.open.pop()

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag
