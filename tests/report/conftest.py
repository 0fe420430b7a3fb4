"""A real browser for tests of pages: real keys, real touches, and everything that it complains of."""

import base64
import fcntl
import http.server
import json
import os
import select
import shutil
import signal
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

CHROMIUM = shutil.which("chromium") or "/usr/bin/chromium"
FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--mute-audio",
    "--remote-debugging-pipe",
)
PATIENCE = 60.0
"""Seconds after which a browser that does not answer has failed."""

KEY_CODES = {
    " ": 32,
    "Tab": 9,
    "End": 35,
    "Home": 36,
    "ArrowLeft": 37,
    "ArrowUp": 38,
    "ArrowRight": 39,
    "ArrowDown": 40,
}
SHIFT = 8
COMPLAINTS = ("Runtime.exceptionThrown", "Runtime.consoleAPICalled", "Log.entryAdded")

MIDDLE = """(selector) => {
  const element = document.querySelector(selector);
  element.scrollIntoView({ block: "center", behavior: "instant" });
  const { x, y, width, height } = element.getBoundingClientRect();
  return [x + width / 2, y + height / 2];
}"""


class Browser:
    """One tab of Chromium, driven through its debugging pipe (Chrome DevTools Protocol)."""

    def __init__(self, profile: Path) -> None:
        requests, answers = os.pipe(), os.pipe()
        # Chromium reads from 3 and writes to 4; copies of higher number are not overwritten on the way there.
        theirs = [fcntl.fcntl(end, fcntl.F_DUPFD_CLOEXEC, 20) for end in (requests[0], answers[1])]
        actions = [
            *((os.POSIX_SPAWN_DUP2, end, place) for place, end in enumerate(theirs, 3)),
            (os.POSIX_SPAWN_OPEN, 2, os.devnull, os.O_WRONLY, 0),
        ]
        command = [CHROMIUM, *FLAGS, f"--user-data-dir={profile}"]
        self._process = os.posix_spawn(CHROMIUM, command, os.environ, file_actions=actions)
        for end in (requests[0], answers[1], *theirs):
            os.close(end)
        self._requests, self._answers = requests[1], answers[0]
        self._received = b""
        self._number = 0
        self._session: str | None = None
        self.events: list[dict[str, Any]] = []
        target = self.send("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.send("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.send(f"{domain}.enable")

    def close(self) -> None:
        os.kill(self._process, signal.SIGTERM)
        os.waitpid(self._process, 0)
        for end in (self._requests, self._answers):
            os.close(end)

    def send(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Send a command and wait for its result; events that come before it are kept."""
        self._number += 1
        session = {"sessionId": self._session} if self._session else {}
        request = {"id": self._number, "method": method, "params": parameters, **session}
        os.write(self._requests, json.dumps(request).encode() + b"\0")
        until = time.monotonic() + PATIENCE
        while True:
            message = self._next_message(until)
            if message.get("id") == self._number:
                assert "error" not in message, f"{method}: {message['error']}"
                return message["result"]
            self.events.append(message)

    def _next_message(self, until: float) -> dict[str, Any]:
        while b"\0" not in self._received:
            ready, _, _ = select.select([self._answers], [], [], max(0.0, until - time.monotonic()))
            assert ready, f"Chromium did not answer within {PATIENCE} s"
            received = os.read(self._answers, 1 << 20)
            assert received, "Chromium ended"
            self._received += received
        message, self._received = self._received.split(b"\0", 1)
        return json.loads(message)

    def open(
        self, address: str, *, width: int = 1280, height: int = 900, before: str = "", phone: bool = False
    ) -> None:
        """Go to a page in a window of this size and wait until it has loaded; ``before`` runs before its scripts."""
        # A page that is left in another size would ask a host that is gone for its pictures, and complain.
        self.send("Page.navigate", url="about:blank")
        self.wait_for("location.href === 'about:blank' && document.readyState === 'complete'")
        self.send(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=2 if phone else 1,
            mobile=phone,
        )
        self.send("Emulation.setTouchEmulationEnabled", enabled=phone)
        script = self.send("Page.addScriptToEvaluateOnNewDocument", source=before)["identifier"]
        self.events.clear()
        self.send("Page.navigate", url=address)
        self.wait_for("document.readyState === 'complete'")
        self.send("Page.removeScriptToEvaluateOnNewDocument", identifier=script)

    def run(self, expression: str) -> Any:
        """Value of a JavaScript expression, or of the promise that it makes."""
        answer = self.send(
            "Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True, userGesture=True
        )
        assert "exceptionDetails" not in answer, answer["exceptionDetails"]
        return answer["result"].get("value")

    def wait_for(self, condition: str) -> None:
        """Wait until a JavaScript expression is true."""
        until = time.monotonic() + PATIENCE
        while not self.run(condition):
            assert time.monotonic() < until, f"not true within {PATIENCE} s: {condition}"
            time.sleep(0.02)

    def press(self, key: str, modifiers: int = 0) -> None:
        """Press and release a key, as a person does."""
        code = KEY_CODES.get(key, ord(key[0]))
        text = key if len(key) == 1 else ""
        about = {"key": key, "code": "Space" if key == " " else key, "windowsVirtualKeyCode": code}
        self.send("Input.dispatchKeyEvent", type="keyDown", text=text, modifiers=modifiers, **about)
        self.send("Input.dispatchKeyEvent", type="keyUp", modifiers=modifiers, **about)

    def click(self, selector: str) -> None:
        """Click into the middle of an element."""
        place = self.run(f"({MIDDLE})({json.dumps(selector)})")
        about = {"x": place[0], "y": place[1], "button": "left", "clickCount": 1}
        for kind in ("mousePressed", "mouseReleased"):
            self.send("Input.dispatchMouseEvent", type=kind, **about)

    def screenshot(self, path: Path, *, dark: bool = False) -> None:
        """Picture of the window, in the colours of a light or a dark desktop."""
        scheme = [{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}]
        self.send("Emulation.setEmulatedMedia", features=scheme)
        path.write_bytes(base64.b64decode(self.send("Page.captureScreenshot")["data"]))

    def complaints(self) -> list[dict[str, Any]]:
        """What the page has written to the console, exceptions and violations of its policy included."""
        return [event["params"] for event in self.events if event["method"] in COMPLAINTS]

    def requested(self) -> list[str]:
        """Addresses that the page has asked for."""
        sent = [event for event in self.events if event["method"] == "Network.requestWillBeSent"]
        return [event["params"]["request"]["url"] for event in sent]


@pytest.fixture(scope="session")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """Chromium, started once."""
    if not Path(CHROMIUM).exists():
        pytest.skip("no Chromium here: apt-get install chromium, to run pages in a browser")
    started = Browser(tmp_path_factory.mktemp("profile"))
    yield started
    started.close()


class _QuietHandler(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def serve() -> Iterator[Callable[[Path], str]]:
    """Serve a folder as the plainest of hosts does (whole files only), and give its address."""
    servers = []

    def start(folder: Path) -> str:
        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), partial(_QuietHandler, directory=str(folder)))
        threading.Thread(target=server.serve_forever, daemon=True).start()
        servers.append(server)
        return f"http://127.0.0.1:{server.server_port}"

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()
