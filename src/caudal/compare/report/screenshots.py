"""Pictures of the pages of Spark's UI for event logs, by the history server and the system's Chromium."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.request import urlopen

from caudal.compare.report.history import history_server
from caudal.compare.stage_shares import counted_repetitions, median_repetition
from caudal.errors import CaudalError, EnvironmentProblem
from caudal.extras import require, require_spark

if TYPE_CHECKING:
    from caudal.report.documents.comparison import CompareDocument

_CHROMIUM = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
_WIDTH, _HEIGHT, _MOST_HEIGHT = 1280, 360, 1100
_PATIENCE_MS = 30_000


def ui_screenshots(document: CompareDocument) -> tuple[dict[str, list[tuple[str, bytes]]], str | None]:
    """Return pictures by platform, of the event log of its median repetition; and, where there are none, why.

    What is not installed here, or a page that does not come, leaves pictures out and is no error.
    """
    logs = _logs(document)
    if not logs:
        return {}, "no platform wrote an event log"
    try:
        require_spark("The history server")
        browser = _chromium()
        playwright = require("playwright.sync_api", extra="screenshots", for_="A picture of Spark's UI")
        with tempfile.TemporaryDirectory(prefix="caudal-history-", ignore_cleanup_errors=True) as name:
            folder = Path(name)
            (folder / "logs").mkdir()
            for log in logs.values():
                _copy(log, folder / "logs")
            with history_server(folder / "logs", len(logs), folder) as address, playwright.sync_playwright() as started:
                # Chromium has no sandbox for root.
                flags = ["--hide-scrollbars", "--no-proxy-server", *(["--no-sandbox"] if os.geteuid() == 0 else [])]
                running = started.chromium.launch(executable_path=browser, args=flags)
                try:
                    page = running.new_page(viewport={"width": _WIDTH, "height": _HEIGHT}, color_scheme="light")
                    return {platform: _pages(page, address, _application(log)) for platform, log in logs.items()}, None
                finally:
                    running.close()
    except CaudalError as error:
        return {}, error.sentence()
    except Exception as error:  # noqa: BLE001 a browser fails in many ways, and the report does without pictures
        return {}, f"the browser failed: {str(error).splitlines()[0] if str(error) else type(error).__name__}"


def _logs(document: CompareDocument) -> dict[str, Path]:
    """Return the event log of each platform that is still there: that of the median repetition, else of any."""
    logs = {}
    for platform in document["platforms"]:
        repetitions = [each for each in (median_repetition(platform), *counted_repetitions(platform)) if each is not None]
        there = [Path(each["event_log"]) for each in repetitions if each["event_log"] and Path(each["event_log"]).exists()]
        if there:
            logs[platform["platform"]] = there[0]
    return logs


def _copy(log: Path, folder: Path) -> None:
    """Link a log into the folder that the server reads; one that was cut off ends in the server's eyes too."""
    target = folder / log.name.removesuffix(".inprogress")
    if log.is_dir():
        shutil.copytree(log, target)
    else:
        shutil.copy2(log, target)


def _application(log: Path) -> str:
    """Return the application's id, which is in the name of its log."""
    return log.name.removeprefix("eventlog_v2_").split(".")[0]


def _chromium() -> str:
    path = os.environ.get("CAUDAL_CHROMIUM") or next(filter(None, map(shutil.which, _CHROMIUM)), None)
    if path is None:
        raise EnvironmentProblem("No Chromium was found here.", fix="Install it, or set CAUDAL_CHROMIUM to its path.")
    return path


def _pages(page: Any, address: str, application: str) -> list[tuple[str, bytes]]:
    base = f"{address}/history/{application}"
    api = f"{address}/api/v1/applications/{application}"
    taken = []
    for name, path in _paths(api).items():
        with suppress(TimeoutError):
            page.goto(f"{base}/{path}", wait_until="networkidle", timeout=_PATIENCE_MS)
            taken.append((name, _picture(page)))
    return taken


def _paths(api: str) -> Mapping[str, str]:
    paths = {"jobs": "jobs/", "stages": "stages/"}
    stages = [stage for stage in _get(f"{api}/stages") if stage["status"] != "SKIPPED"]
    if stages:
        longest = max(stages, key=lambda stage: stage["executorRunTime"])
        paths["stage"] = f"stages/stage/?id={longest['stageId']}&attempt={longest['attemptId']}"
    paths |= {"executors": "executors/", "environment": "environment/"}
    queries = _get(f"{api}/sql?details=false&length=1000")
    if queries:
        slowest = max(queries, key=lambda query: query["duration"])
        paths |= {"sql": "SQL/", "query": f"SQL/execution/?id={slowest['id']}"}
    return {**paths, "streaming": "StreamingQuery/"}


def _picture(page: Any) -> bytes:
    """Return the page as it stands, down to a height beyond which a report shows nothing that could be read."""
    page.add_style_tag(content=".scroll-btn-container{display:none}")  # it lies over the figures
    page.wait_for_timeout(400)  # graphs are drawn after the page has come
    height = min(int(page.evaluate("document.documentElement.scrollHeight")), _MOST_HEIGHT)
    taken: bytes = page.screenshot(full_page=True, clip={"x": 0, "y": 0, "width": _WIDTH, "height": max(height, 200)})
    return taken


def _get(address: str) -> list[dict[str, Any]]:
    with urlopen(address, timeout=30) as answer:
        answered: list[dict[str, Any]] = json.load(answer)
    return answered
