"""The comment on a pull request, against an API on the loopback: one comment, the right pull request, and only a small plain text."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

SCRIPT = Path(__file__).parents[2] / ".ci/comment.py"
SHA, OTHER = "a" * 40, "b" * 40
MARKER, BOT = "<!-- ftbench results -->", "github-actions[bot]"


@dataclass
class Host:
    """What the API knows and was asked. `comments` are those of pull request 7."""

    url: str = ""
    pulls: list[dict[str, Any]] = field(default_factory=lambda: [{"number": 7, "head": {"sha": SHA}}])
    comments: list[dict[str, Any]] = field(default_factory=list)
    heads: list[str] = field(default_factory=list)
    written: list[tuple[str, str, str]] = field(default_factory=list)  # method, path, body


@pytest.fixture
def host() -> Iterator[Host]:
    state = Host()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            parts = urlsplit(self.path)
            asked = parse_qs(parts.query)
            assert self.headers["Authorization"] == "Bearer token-of-the-run"
            if parts.path == "/repos/we/ftbench/pulls":
                state.heads.append(asked["head"][0])
                self.answer(state.pulls)
            else:
                assert parts.path == "/repos/we/ftbench/issues/7/comments"
                start = 100 * (int(asked["page"][0]) - 1)
                self.answer(state.comments[start : start + 100])

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            state.written.append((self.command, self.path, body["body"]))
            self.answer({})

        do_PATCH = do_POST  # noqa: N815

        def answer(self, content: Any) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(json.dumps(content).encode())

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    state.url = f"http://127.0.0.1:{server.server_port}"
    Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    yield state
    server.shutdown()
    server.server_close()


@pytest.fixture
def folder(tmp_path) -> Path:
    (tmp_path / "results-diff.md").write_text("## Results\n\nNothing moved.\n")
    return tmp_path


def run(host: Host, folder: Path, expected: int = 0, sha: str = SHA) -> str:
    known = {"GITHUB_API_URL": host.url, "GITHUB_REPOSITORY": "we/ftbench", "GITHUB_TOKEN": "token-of-the-run"}
    event = {"HEAD_SHA": sha, "HEAD_OWNER": "someone", "HEAD_BRANCH": "a&b=$(c) d"}
    done = subprocess.run(
        [sys.executable, "-I", str(SCRIPT), str(folder)],
        env={**os.environ, **known, **event},
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False, timeout=60,
    )  # fmt: skip
    assert done.returncode == expected, done.stdout
    return done.stdout


def test_the_first_page_becomes_a_comment_on_the_pull_request_of_that_head(host, folder):
    run(host, folder)
    ((method, path, body),) = host.written
    assert (method, path) == ("POST", "/repos/we/ftbench/issues/7/comments")
    assert body.startswith(f"{MARKER}\n")
    assert body.endswith("at aaaaaaaaaaaa, at the offline scale:\n\n## Results\n\nNothing moved.\n")
    assert host.heads == ["someone:a&b=$(c) d"]  # a branch may be called anything


def test_the_next_page_replaces_it_wherever_it_stands_and_never_what_someone_else_wrote(host, folder):
    others = [{"id": number, "user": {"login": "someone"}, "body": f"{MARKER}\nmine"} for number in range(120)]
    bots = {"id": 200, "user": {"login": BOT}, "body": f"Another comment that names {MARKER}"}
    host.comments = [*others, bots, {"id": 300, "user": {"login": BOT}, "body": f"{MARKER}\nthe one before"}]
    run(host, folder)
    assert [(method, path) for method, path, _ in host.written] == [("PATCH", "/repos/we/ftbench/issues/comments/300")]


def test_a_pull_request_whose_head_has_moved_on_is_left_alone(host, folder):
    host.pulls = [{"number": 7, "head": {"sha": OTHER}}]
    assert "no open pull request" in run(host, folder)
    assert not host.written


def test_mentions_and_what_cannot_be_seen_are_taken_out(host, folder):
    text = "@everyone, (@org/team) train_multinli@lora-own-0 \x1b[31mred\x1b[0m \u202eturned\u2066 \u00e9 \x00.\r\n"
    text += "# 1\n![x](u) [y](v) we/us#12 \u061c\u00ad\U000e0041\n"
    (folder / "results-diff.md").write_bytes(text.encode())
    run(host, folder)
    assert host.written[0][2].endswith(
        "@\u200beveryone, (@\u200borg/team) train_multinli@lora-own-0 [31mred[0m turned \u00e9 .\n"
        "# 1\n!\u200b[x]\u200b(u) [y]\u200b(v) we/us#\u200b12 \n"
    )  # fmt: skip


@pytest.mark.parametrize(
    "text",
    [
        "<img src=https://there/x.png>", "<a href='//there'>", "</td>", "<!-- hidden -->",
        "see https://there/x", "www.there.org", "WWW.there.org",
        "mailto:we@there.org", "[x]: //there", "GH-12", "gh-12", "we/us#12", "![x](u)", "[x][y]",
    ],
)  # fmt: skip
def test_whatever_would_act_in_the_bots_name_is_broken_up(host, folder, text):
    (folder / "results-diff.md").write_text(f"{text}\n")
    run(host, folder)
    said = host.written[0][2].splitlines()[-1]
    assert said != text
    assert said.replace("\u200b", "") == text
    assert not re.search(r"https?://|<[a-z/!]|www\.|mailto:|\]\(|\]\[|\]:|#\d|GH-\d", said, re.IGNORECASE)


def test_a_long_page_is_cut_at_the_end_of_a_line_and_says_so(host, folder):
    (folder / "results-diff.md").write_text("| a line of 20 chars\n" * 4000)
    run(host, folder)
    body = host.written[0][2]
    assert len(body) < 65_536
    assert body.endswith("| a line of 20 chars\n\nThe page is cut here: the whole of it is in the artifact of the run.\n")


def nothing(folder: Path) -> None:
    (folder / "results-diff.md").unlink()


def another(folder: Path) -> None:
    (folder / "number").write_text("8")


def link(folder: Path) -> None:
    nothing(folder)
    (folder / "results-diff.md").symlink_to("/etc/hostname")


def directory(folder: Path) -> None:
    nothing(folder)
    (folder / "results-diff.md").mkdir()


def large(folder: Path) -> None:
    (folder / "results-diff.md").write_bytes(b"a" * (2**20 + 1))


def binary(folder: Path) -> None:
    (folder / "results-diff.md").write_bytes(b"\xff\xfe")


@pytest.mark.parametrize("edit", [nothing, another, link, directory, large, binary])
def test_anything_but_one_small_plain_text_is_refused_and_nothing_is_asked_or_written(host, folder, edit):
    edit(folder)
    assert run(host, folder, expected=1).startswith("comment: ")
    assert not host.heads
    assert not host.written


def test_what_is_no_commit_is_refused(host, folder):
    assert "HEAD_SHA" in run(host, folder, expected=1, sha="main; rm -rf ~")
    assert not host.heads
