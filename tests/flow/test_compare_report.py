"""Pictures of Spark's UI, taken from the history server by the system's Chromium, of an application that really ran."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from caudal.compare.report.screenshots import ui_screenshots
from caudal.compare.report.write import write_report

HERE = Path(__file__).parent
CHROMIUM = os.environ.get("CAUDAL_CHROMIUM") or any(map(shutil.which, ("chromium", "chromium-browser", "google-chrome", "chrome")))


def sample(log: Path) -> Any:
    file = HERE.parent / "unit" / "compare" / "sample.py"
    spec = importlib.util.spec_from_file_location("compare_sample", file)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.sample(log)


def java_processes() -> set[str]:
    found = subprocess.run(["pgrep", "-f", "HistoryServer"], capture_output=True, text=True, check=False)
    return {*found.stdout.split()}


@pytest.mark.slow
@pytest.mark.skipif(not CHROMIUM, reason="no Chromium")
def test_pictures_of_the_history_server(tmp_path: Path) -> None:
    command = [sys.executable, str(HERE / "event_log_app.py"), str(tmp_path / "app"), "spark.only=yes"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=580, cwd=tmp_path)
    assert done.returncode == 0, done.stderr[-3000:]
    (log,) = [each for each in (tmp_path / "app" / "events").iterdir() if not each.name.startswith(".")]
    document = sample(log)
    document["platforms"][2]["repetitions"] = []
    before = java_processes()
    pictures, why = ui_screenshots(document)
    assert why is None
    assert [*pictures] == ["local[2]"]
    names = [name for name, _ in pictures["local[2]"]]
    assert names == ["jobs", "stages", "stage", "executors", "environment", "sql", "query", "streaming"]
    for name, png in pictures["local[2]"]:
        assert png.startswith(b"\x89PNG"), name
        assert len(png) > 5_000, name
    assert java_processes() <= before  # the server has ended
    page, pdf = write_report(document, tmp_path / "report", ("es",), pictures)
    assert page.read_text().count("data:image/png;base64,") == len(names)
    assert pdf.stat().st_size > 100_000


def test_without_chromium_the_report_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (log := tmp_path / "app-1").write_text("{}\n")
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("CAUDAL_CHROMIUM", raising=False)
    document = sample(log)
    pictures, why = ui_screenshots(document)
    assert (pictures, why) == ({}, "No Chromium was found here. Install it, or set CAUDAL_CHROMIUM to its path.")
    (page,) = write_report(document, tmp_path, ("en",), pictures, no_screenshots=why, pdf=False)
    assert "There are no pictures of Spark&#x27;s UI: No Chromium was found here." in page.read_text()


def test_without_event_logs_there_is_nothing_to_take_pictures_of() -> None:
    assert ui_screenshots(sample(Path("/nowhere/app-1"))) == ({}, "no platform wrote an event log")
