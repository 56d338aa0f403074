"""A real browser by the DevTools protocol over a pair of pipes: needs a chromium and no package."""

from __future__ import annotations

import base64
import itertools
import json
import os
import shutil
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
FLAGS = (
    "--headless=new", "--remote-debugging-pipe", "--no-first-run", "--no-default-browser-check", "--disable-extensions",
    "--disable-background-networking", "--disable-component-update", "--disable-dev-shm-usage", "--hide-scrollbars",
    "--disable-background-timer-throttling", "--disable-renderer-backgrounding", "--disable-backgrounding-occluded-windows",
    "--no-proxy-server", "--force-color-profile=srgb",
)  # fmt: skip


def chromium() -> str | None:
    """Return the path of a chromium, None where there is none."""
    named = os.environ.get("CAUDAL_CHROMIUM")
    return named or next((found for name in NAMES if (found := shutil.which(name))), None)


class Page:
    """A page of the browser."""

    def __init__(self, send: int, receive: int, process: int) -> None:
        self._send, self._receive, self.process = send, receive, process
        self._numbers = itertools.count(1)
        self._answers: dict[int, dict[str, Any]] = {}
        self._came = threading.Condition()
        self.errors: list[str] = []  # what the console of the browser complained of
        self._session: str | None = None
        threading.Thread(target=self._read, daemon=True).start()
        target = self.do("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.do("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network", "Performance"):
            self.do(f"{domain}.enable")

    def do(self, method: str, /, **parameters: Any) -> dict[str, Any]:
        """Send a command and return its result."""
        number = next(self._numbers)
        message: dict[str, Any] = {"id": number, "method": method, "params": parameters}
        if self._session:
            message["sessionId"] = self._session
        data = json.dumps(message).encode() + b"\0"
        while data:
            data = data[os.write(self._send, data) :]
        with self._came:
            if not self._came.wait_for(lambda: number in self._answers, timeout=60):
                raise TimeoutError(f"the browser did not answer {method}")
            answer = self._answers.pop(number)
        if "error" in answer:
            raise RuntimeError(f"{method}: {answer['error']['message']}")
        result: dict[str, Any] = answer["result"]
        return result

    def go(self, url: str) -> None:
        """Open an address."""
        self.do("Page.navigate", url=url)

    def run(self, script: str) -> Any:
        """Return the value of a script (a promise is waited for)."""
        found = self.do("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True)
        if "exceptionDetails" in found:
            raise RuntimeError(found["exceptionDetails"].get("exception", {}).get("description", "the script failed"))
        return found["result"].get("value")

    def wait(self, script: str, within_s: float = 30.0) -> Any:
        """Wait until a script's value is true, and return it."""
        until = time.monotonic() + within_s
        while time.monotonic() < until:
            try:
                if found := self.run(script):
                    return found
            except RuntimeError:
                pass  # the page is being loaded
            time.sleep(0.05)
        raise AssertionError(
            f"not true within {within_s:g} s: {script}; the page says: {self.run('document.body.innerText')[:2000]}"
        )

    def size(self, width: int, height: int) -> None:
        """Set the window's size in CSS pixels."""
        self.do("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)

    def scheme(self, name: str) -> None:
        """Choose light or dark."""
        self.do("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": name}])

    def key(self, name: str) -> None:
        """Press a key."""
        code = {"Tab": 9, "Enter": 13, " ": 32, "ArrowDown": 40, "ArrowRight": 39}[name]
        text = {"Enter": "\r", " ": " "}.get(name, "")
        said = {"key": name, "code": "Space" if name == " " else name, "windowsVirtualKeyCode": code}
        self.do("Input.dispatchKeyEvent", type="keyDown", **said, **({"text": text} if text else {}))
        self.do("Input.dispatchKeyEvent", type="keyUp", **said)

    def picture(self, file: Path, whole: bool = True) -> None:
        """Write a picture of the page."""
        data = self.do("Page.captureScreenshot", format="png", captureBeyondViewport=whole)["data"]
        file.write_bytes(base64.b64decode(data))

    def cpu_s(self) -> float:
        """Return the CPU seconds that all processes of the browser have used (Linux)."""
        used = 0
        for folder in Path("/proc").glob("[0-9]*"):
            try:
                after_name = (folder / "stat").read_text().rpartition(")")[2].split()
            except OSError:  # it ended meanwhile
                continue
            if int(after_name[3]) == self.process:
                used += int(after_name[11]) + int(after_name[12])
        return used / os.sysconf("SC_CLK_TCK")

    def _read(self) -> None:
        rest = b""
        while chunk := os.read(self._receive, 2**20):
            *messages, rest = (rest + chunk).split(b"\0")
            for message in messages:
                self._take(json.loads(message))

    def _take(self, message: dict[str, Any]) -> None:
        if "id" in message:
            with self._came:
                self._answers[message["id"]] = message
                self._came.notify_all()
        elif message["method"] == "Runtime.exceptionThrown":
            self.errors.append(message["params"]["exceptionDetails"].get("exception", {}).get("description", "exception"))
        elif message["method"] == "Runtime.consoleAPICalled" and message["params"]["type"] in ("error", "warning", "assert"):
            self.errors.append(" ".join(str(one.get("value", one.get("description"))) for one in message["params"]["args"]))
        elif message["method"] == "Log.entryAdded" and message["params"]["entry"]["level"] == "error":
            entry = message["params"]["entry"]
            self.errors.append(f"{entry['text']} {entry.get('url', '')}")


@contextmanager
def browser(binary: str) -> Iterator[Page]:
    """Run a browser for as long as the block, with a profile of its own."""
    profile = tempfile.mkdtemp(prefix="caudal-chromium-")
    (there, send), (receive, back) = os.pipe(), os.pipe()
    # Root has no sandbox; in a container there is often no other user.
    flags = [*FLAGS, f"--user-data-dir={profile}", *(["--no-sandbox"] if os.geteuid() == 0 else [])]

    def pipes() -> None:  # the browser reads from 3 and writes to 4
        first, second = os.dup(there), os.dup(back)
        os.dup2(first, 3)
        os.dup2(second, 4)

    process = subprocess.Popen(
        [binary, *flags], preexec_fn=pipes, close_fds=False, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        start_new_session=True,
    )  # fmt: skip
    os.close(there)
    os.close(back)
    try:
        page = Page(send, receive, process.pid)
        yield page
        page._session = None
        page.do("Browser.close")
        process.wait(20)
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()
        for handle in (send, receive):
            os.close(handle)
        shutil.rmtree(profile, ignore_errors=True)
