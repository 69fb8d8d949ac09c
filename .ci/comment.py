"""Post a page of Markdown on a pull request as one comment, or update the comment that is there.

Runs with a token that may write, on a text that anyone's pull request may have made. So it takes one plain file of limited size, posts
text without control characters, mentions, links or images, and finds the pull request by the head commit of the run that GitHub names,
never by the text. Only the standard library: nothing is installed where the token is.

Environment: GITHUB_TOKEN, GITHUB_API_URL, GITHUB_REPOSITORY; of the run HEAD_SHA, HEAD_OWNER and HEAD_BRANCH.
Example: python3 -I .ci/comment.py folder-of-the-artifact
"""

from __future__ import annotations

import json
import os
import re
import sys
import unicodedata
import urllib.request
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

NAME = "results-diff.md"
MARKER = "<!-- ftbench results -->"
AUTHOR = "github-actions[bot]"
MOST_BYTES = 1 << 20
MOST_CHARACTERS = 60_000  # GitHub takes 65,536
CUT = "\n\nThe page is cut here: the whole of it is in the artifact of the run.\n"
PER_PAGE = 100
UNSEEN = ("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp")  # categories: control, format (direction, width), and what is no character
# what would act in the bot's name: mentions, issues, images, links, tags; `train_multinli@lora-own-0` is none
ACTING = re.compile(
    r"(?<![A-Za-z0-9_])@(?=[A-Za-z0-9])|#(?=[0-9])|\b[Gg][Hh](?=-[0-9])|!(?=\[)|\](?=[(\[:])|<(?=[A-Za-z/!?])|:(?=//)|\b[Ww]{3}(?=\.)|\bmailto(?=:)"
)


def main() -> None:
    """Exit with 0 if the comment stands or no open pull request has this head any more, with 1 and one line otherwise."""
    (folder,) = map(Path, sys.argv[1:])
    sha = os.environ["HEAD_SHA"]
    if not re.fullmatch(r"[0-9a-f]{40}", sha):
        sys.exit("comment: HEAD_SHA is not a commit")
    text = page(folder, sha)
    numbers = pull_requests(sha)
    for number in numbers:
        post(number, text)
    print(f"comment: on {numbers}" if numbers else f"comment: no open pull request has {sha} as its head")


def page(folder: Path, sha: str) -> str:
    """What is posted. Exits if the folder holds anything but one plain file of the right name, of text and not too large."""
    found = sorted(folder.iterdir())
    if [path.name for path in found] != [NAME] or found[0].is_symlink() or not found[0].is_file():
        sys.exit(f"comment: the artifact is not one plain file {NAME}")
    if found[0].stat().st_size > MOST_BYTES:
        sys.exit(f"comment: {NAME} has more than {MOST_BYTES} bytes")
    try:
        text = found[0].read_text(encoding="utf-8")
    except UnicodeDecodeError:
        sys.exit(f"comment: {NAME} is not UTF-8")
    text = "".join(one for one in text if one in "\n\t" or unicodedata.category(one) not in UNSEEN)
    text = ACTING.sub(lambda found: found[0] + "\u200b", text)
    if len(text) > MOST_CHARACTERS:
        text = text[:MOST_CHARACTERS].rpartition("\n")[0] + CUT
    return f"{MARKER}\nWhat the code of this pull request says of its results at {sha[:12]}, at the offline scale:\n\n{text}"


def pull_requests(sha: str) -> list[int]:
    """The open pull requests to this repository that have this commit as their head."""
    head = {"state": "open", "head": f"{os.environ['HEAD_OWNER']}:{os.environ['HEAD_BRANCH']}", "per_page": PER_PAGE}
    return [int(one["number"]) for one in call("GET", f"pulls?{urlencode(head)}") if one["head"]["sha"] == sha]


def post(number: int, text: str) -> None:
    """Write the comment, or write it anew where it stands."""
    number_of_page, ours = 1, None
    while ours is None:
        comments = call("GET", f"issues/{number}/comments?per_page={PER_PAGE}&page={number_of_page}")
        ours = next((one for one in comments if one["user"]["login"] == AUTHOR and one["body"].startswith(MARKER)), None)
        if len(comments) < PER_PAGE:
            break
        number_of_page += 1
    if ours:
        call("PATCH", f"issues/comments/{int(ours['id'])}", {"body": text})
    else:
        call("POST", f"issues/{number}/comments", {"body": text})


def call(method: str, path: str, body: dict[str, str] | None = None) -> Any:
    """Ask GitHub's API about this repository and return the answer."""
    url = f"{os.environ['GITHUB_API_URL']}/repos/{os.environ['GITHUB_REPOSITORY']}/{path}"
    headers = {"Authorization": f"Bearer {os.environ['GITHUB_TOKEN']}", "Accept": "application/vnd.github+json"}
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data=data, headers=headers, method=method)  # noqa: S310
    with urllib.request.urlopen(request, timeout=60) as answer:  # noqa: S310
        return json.load(answer)


if __name__ == "__main__":
    main()
