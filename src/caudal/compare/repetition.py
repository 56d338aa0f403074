"""The process that does the work once: ``python -m caudal.compare.repetition TASK.json``.

It is the work of ``caudal run`` or ``caudal stream --once --end`` with the settings of a platform, and writes what it measured beside its task. Its
parent watches it from outside, and may break it.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
import time
import urllib.request
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from caudal.declarations.settings import Settings, settings
from caudal.errors import CaudalError
from caudal.messaging.feed import Feed
from caudal.runtime.progress import NoProgress
from caudal.tables.home import Home

if TYPE_CHECKING:
    from caudal.report.documents.comparison import LatencyDocument
    from caudal.report.run_document import RunDocument

EVENT_LOGS = "event-logs"
MOMENTS = "moments.jsonl"
UI_MEASURES = "ui.json"


class Moments(NoProgress):
    """Notes when the work's engines have started, and how long that was waited for."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self.waited_s = 0.0

    def engine_started(self, engine: str, seconds: float) -> None:  # noqa: ARG002
        """Note that an engine has started."""
        self.waited_s += seconds
        self.mark("engine started")

    def mark(self, event: str) -> None:
        """Append an event to the file that the parent reads."""
        with self._file.open("a") as file:
            file.write(json.dumps({"event": event, "at": time.time()}) + "\n")


def do_task(task_file: Path) -> int:
    """Do a task and write its result; return the exit code."""
    task = json.loads(task_file.read_text())
    folder, place = Path(task["product"]), task_file.parent
    moments = Moments(place / MOMENTS)
    chosen = _settings(task, place)
    result: dict[str, Any] = {"state": "done", "why": None}
    moments.mark("work begins")
    began, began_at = time.monotonic(), time.time()
    code = 0
    try:
        result |= _run(folder, chosen, moments) if task["workload"] == "run" else _stream(folder, chosen, task["executor"], moments)
    except CaudalError as error:
        code = error.exit_code or 1
        result |= {"state": "failed", "why": error.what, "fix": error.fix}
    ended = time.monotonic()
    result |= {
        "began_at": began_at,
        "start_s": began_at - task["started_at"] + moments.waited_s,
        "work_s": ended - began - moments.waited_s,
    }
    moments.mark("work ends")
    with contextlib.suppress(Exception):  # what the UI says is compared where it says something
        _ask_ui(place / UI_MEASURES)
    part = place / "result.json.part"
    part.write_text(json.dumps(result))
    part.replace(place / "result.json")
    _stop_engines()
    return code


def _settings(task: dict[str, Any], place: Path) -> Settings:
    """Return the settings of the work: those of the user, in them those of the platform, and an event log.

    Whatever the user's settings name outside of the home is left out: a comparison touches no lake, ledger, catalog or warehouse.
    """
    given = {name: Path(value) for name, value in task["flags"].items() if value is not None}
    chosen = settings(None, None, **given)  # of the folder in which the comparison was started, as in its own process
    changes = dict(task["changes"])
    spark = {**chosen.spark, **changes.pop("spark", {}), **task["spark"]}
    if task["writes_log"]:
        logs = place / EVENT_LOGS
        logs.mkdir(exist_ok=True)
        spark |= {
            "spark.eventLog.enabled": "true", "spark.eventLog.dir": logs.absolute().as_uri(), "spark.eventLog.rolling.enabled": "false",
            "spark.eventLog.compress": "false", "spark.ui.enabled": "true", "spark.ui.port": "0", "spark.ui.showConsoleProgress": "false",
        }  # fmt: skip
    alone: dict[str, Any] = {**dict.fromkeys(("ledger", "lake", "metastore", "warehouse", "luigi")), "openlineage": {}}
    return replace(chosen, **{**alone, **changes, "home": Path(task["home"]), "spark": spark})


def _run(folder: Path, chosen: Settings, moments: Moments) -> dict[str, Any]:
    from caudal.batch import batch

    result = batch.run(folder, chosen, progress=moments)
    if result.error is not None:
        raise result.error
    document = result.document
    return {"rows": _rows_read(document), "steps": _steps(document), "latency": None}


def _rows_read(document: RunDocument) -> int:
    return sum(landed["rows"] for landed in document["landed"].values())


def _steps(document: RunDocument) -> list[dict[str, Any]]:
    tables = document["tables"]
    return [
        {"step": step["step"], "seconds": step["seconds"], "rows": tables[name]["rows_written"] if (name := step["step"].partition(":")[2]) in tables else None}
        for step in document["steps"]
        if step["state"] != "skipped"
    ]  # fmt: skip


def _stream(folder: Path, chosen: Settings, executor: str, moments: Moments) -> dict[str, Any]:
    from caudal.batch.batch import run_training
    from caudal.batch.monitor_stream import stream_monitor
    from caudal.streaming.stream import run_streams

    document = run_streams(
        folder, chosen, train=run_training, watch=stream_monitor, once=True, end=True, on=executor, progress=moments
    )
    feed = [update for _, update in Feed(Home(chosen.home).live(document["product"])).tail(0)]
    readings: dict[str, int] = {update["source"]: update["total"] for update in feed}
    parts: dict[str, float] = {}
    for update in feed:
        for part, seconds in update["seconds"].items():
            parts[part] = parts.get(part, 0.0) + seconds
    return {
        "rows": sum(readings.values()),
        "steps": [{"step": part, "seconds": round(seconds, 4), "rows": None} for part, seconds in parts.items()],
        "latency": _latency([sum(update["seconds"].values()) for update in feed if update["read"]]),
    }


def _latency(seconds: list[float]) -> LatencyDocument | None:
    if not seconds:
        return None
    ordered = sorted(seconds)
    p50, p95, p99 = (round(1000 * ordered[min(int(share * len(ordered)), len(ordered) - 1)], 1) for share in (0.5, 0.95, 0.99))
    return {"batches": len(ordered), "p50_ms": p50, "p95_ms": p95, "p99_ms": p99}


def _ask_ui(file: Path) -> None:
    """Keep what the REST API of Spark's UI says of the stages of this process, for a comparison with the event log."""
    from caudal.engine.session import is_running

    if not is_running():
        return
    from pyspark import SparkContext

    context = SparkContext._active_spark_context
    if context is None or context.uiWebUrl is None:
        return
    context._jsc.sc().listenerBus().waitUntilEmpty()
    address = f"{context.uiWebUrl}/api/v1/applications/{context.applicationId}"
    answers = {}
    for part in ("stages?withSummaries=false", "allexecutors"):
        with urllib.request.urlopen(f"{address}/{part}", timeout=20) as answer:
            answers[part.partition("?")[0]] = json.load(answer)
    file.write_text(json.dumps(answers))


def _stop_engines() -> None:
    """End Spark, so that its event log is whole."""
    from caudal.engine.session import stop

    stop()


if __name__ == "__main__":
    code = do_task(Path(sys.argv[1]))
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)
