"""A real Chromium without a window, spoken to over a pipe in the DevTools protocol: no driver, no port, no package."""

from __future__ import annotations

import base64
import json
import os
import select
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")
# What keeps it from fetching anything of its own, and lets it run where no sandbox can be made.
FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-quic",
    "--disable-extensions",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-default-apps",
    "--disable-sync",
    "--no-first-run",
    "--no-default-browser-check",
    "--hide-scrollbars",
    "--remote-debugging-pipe",
)
# The protocol's pipes are numbered 3 and 4 in the browser; first out of the way of one another.
LAUNCH = """\
import fcntl, os, sys
kept = [fcntl.fcntl(int(given), fcntl.F_DUPFD, 10) for given in sys.argv[1:3]]
for place, number in zip((3, 4), kept):
    os.dup2(number, place)
os.execvp(sys.argv[3], sys.argv[3:])
"""
PATIENCE = 300.0  # seconds for an answer, on a machine that does other things


def found() -> str | None:
    """The path of an installed Chromium or Chrome; None where there is none."""
    return next((path for name in NAMES if (path := shutil.which(name))), None)


class Page:
    """A tab. `events` are those of the protocol that came so far, in order."""

    def __init__(self, reads: int, writes: int) -> None:
        self.reads, self.writes, self.rest, self.last, self.session = reads, writes, b"", 0, ""
        self.events: list[dict[str, Any]] = []

    def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        """The result of a command of the protocol. Raises RuntimeError for one that fails."""
        self.last += 1
        message = {"id": self.last, "method": method, "params": parameters, **({"sessionId": self.session} if self.session else {})}
        self._send(message)
        while True:
            answer = self._next()
            if answer.get("id") == self.last:
                if "error" in answer:
                    raise RuntimeError(f"{method}: {answer['error']}")
                return dict(answer["result"])
            self.events.append(answer)

    def _send(self, message: Mapping[str, Any]) -> None:
        data = json.dumps(message).encode() + b"\0"
        while data:  # a pipe takes what fits
            data = data[os.write(self.writes, data) :]

    def _next(self) -> dict[str, Any]:
        until = time.monotonic() + PATIENCE
        while b"\0" not in self.rest:
            if not select.select([self.reads], [], [], max(0.0, until - time.monotonic()))[0]:
                raise TimeoutError("the browser does not answer")
            read = os.read(self.reads, 1 << 20)
            if not read:
                raise ConnectionError("the browser has ended")
            self.rest += read
        first, self.rest = self.rest.split(b"\0", 1)
        return dict(json.loads(first))

    def wait_for(self, event: str) -> None:
        """Read on until an event of that name has come since the last command."""
        while not any(one.get("method") == event for one in self.events):
            self.events.append(self._next())

    def open(self, path: Path) -> None:
        """Load a file as a reader who double-clicks it, from a clean list of events."""
        self.events.clear()
        self.call("Page.navigate", url=path.resolve().as_uri())
        self.wait_for("Page.loadEventFired")

    def value(self, expression: str) -> Any:
        """What a JavaScript expression gives, promises awaited. Raises AssertionError if it throws."""
        done = self.call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True, userGesture=True)
        assert "exceptionDetails" not in done, done["exceptionDetails"]
        return done["result"].get("value")

    def look(self, width: int, height: int = 900, theme: str = "light") -> None:
        """The size of the window in CSS pixels, and the theme that the reader's system asks for."""
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=width < 500)
        self.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": theme}])

    def press(self, key: str, text: str = "") -> None:
        """A key pressed and let go, such as Tab or Enter."""
        code = {"Tab": 9, "Enter": 13}.get(key, 0)
        typed = {"text": text} if text else {}
        self.call("Input.dispatchKeyEvent", type="keyDown", key=key, code=key, windowsVirtualKeyCode=code, **typed)
        self.call("Input.dispatchKeyEvent", type="keyUp", key=key, code=key, windowsVirtualKeyCode=code)

    def pdf(self) -> bytes:
        """The page as it is printed."""
        return base64.b64decode(self.call("Page.printToPDF", preferCSSPageSize=True)["data"])

    def complaints(self) -> list[str]:
        """Errors and warnings of the console, exceptions, and everything that the page asked for besides itself."""
        said = []
        for event in self.events:
            method, parameters = event.get("method"), event.get("params", {})
            if method == "Runtime.exceptionThrown":
                said.append(f"exception: {parameters['exceptionDetails']}")
            elif method == "Runtime.consoleAPICalled" and parameters["type"] in ("error", "warning", "assert"):
                said.append(f"console: {parameters['args']}")
            elif method == "Log.entryAdded" and parameters["entry"]["level"] in ("error", "warning"):
                said.append(f"log: {parameters['entry']['text']}")
            elif method == "Network.requestWillBeSent" and parameters["request"]["url"] != parameters["documentURL"]:
                said.append(f"request: {parameters['request']['url'][:200]}")
        return said


@contextmanager
def page(executable: str, profile: Path) -> Iterator[Page]:
    """An empty tab of a browser with a profile of its own, ended afterwards."""
    (to_read, to_write), (from_read, from_write) = os.pipe(), os.pipe()
    arguments = [
        sys.executable,
        "-c",
        LAUNCH,
        str(to_read),
        str(from_write),
        executable,
        *FLAGS,
        f"--user-data-dir={profile}",
        "about:blank",
    ]
    with (profile.parent / "browser.log").open("wb") as log:
        process = subprocess.Popen(arguments, pass_fds=(to_read, from_write), stdout=log, stderr=log, start_new_session=True)
    os.close(to_read)
    os.close(from_write)
    tab = Page(from_read, to_write)
    try:
        target = next(one["targetId"] for one in tab.call("Target.getTargets")["targetInfos"] if one["type"] == "page")
        tab.session = tab.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            tab.call(f"{domain}.enable")
        yield tab
        tab.session = ""
        tab.call("Browser.close")
        process.wait(timeout=PATIENCE)
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()
        os.close(from_read)
        os.close(to_write)
