"""A page of the system's Chromium, driven by Playwright; nothing is downloaded."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import ConsoleMessage, Page, sync_playwright

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
FLAGS = ("--hide-scrollbars", "--no-proxy-server", "--force-color-profile=srgb")


def chromium() -> str | None:
    """Return the path of a Chromium, None where there is none."""
    return os.environ.get("CAUDAL_CHROMIUM") or next((path for name in NAMES if (path := shutil.which(name))), None)


class Browser:
    """A browser with one page.

    Parameters
    ----------
    page : the page, as Playwright drives it
    profile : the folder of its profile, by which its processes are known

    Attributes
    ----------
    errors : what the page's scripts threw and what the browser's console complained of
    """

    def __init__(self, page: Page, profile: str) -> None:
        self.page, self.profile = page, profile
        self.errors: list[str] = []
        page.on("pageerror", lambda error: self.errors.append(str(error)))
        page.on("console", self._console)

    def _console(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning", "assert"):
            self.errors.append(f"{message.text} {message.location.get('url', '')}")

    def cpu_s(self) -> float:
        """Return the CPU seconds that all processes of the browser have used (Linux)."""
        folders = list(Path("/proc").glob("[0-9]*"))
        main = next(int(folder.name) for folder in folders if f"--user-data-dir={self.profile}" in _read(folder / "cmdline"))
        stats = [_read(folder / "stat").rpartition(")")[2].split() for folder in folders]
        ticks = sum(int(stat[11]) + int(stat[12]) for stat in stats if stat and int(stat[3]) == main)  # those of its session
        return ticks / os.sysconf("SC_CLK_TCK")


def _read(file: Path) -> str:
    try:
        return file.read_text()
    except OSError:  # the process ended meanwhile
        return ""


@contextmanager
def browser(binary: str) -> Iterator[Browser]:
    """Run a browser for as long as the block, with a profile of its own."""
    with (
        tempfile.TemporaryDirectory(prefix="caudal-chromium-", ignore_cleanup_errors=True) as profile,
        sync_playwright() as playwright,
    ):
        context = playwright.chromium.launch_persistent_context(profile, executable_path=binary, args=FLAGS)
        try:
            yield Browser(context.pages[0], profile)
        finally:
            context.close()
