"""Measures of event logs are those that the UI's REST API gives of the same application, of every stage and job to the digit."""

from __future__ import annotations

import json
import subprocess
import sys
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
import zstandard
from tests.documents import check_document
from typer.testing import CliRunner

from caudal.cli.app import app
from caudal.compare.event_lines import event_lines
from caudal.compare.event_log import EventLog, read_event_log
from caudal.errors import NotThere

HERE = Path(__file__).parent
# field of the REST API's StageData → measure
STAGE = {
    "executorRunTime": "run_ms", "executorCpuTime": "cpu_ns", "executorDeserializeTime": "deserialize_ms", "executorDeserializeCpuTime": "deserialize_cpu_ns",
    "resultSerializationTime": "result_serialize_ms", "jvmGcTime": "gc_ms", "resultSize": "result_bytes", "memoryBytesSpilled": "spilled_memory_bytes",
    "diskBytesSpilled": "spilled_disk_bytes", "peakExecutionMemory": "peak_execution_memory_bytes", "inputBytes": "input_bytes", "inputRecords": "input_records",
    "outputBytes": "output_bytes", "outputRecords": "output_records", "shuffleReadBytes": "shuffle_read_bytes", "shuffleRemoteBytesRead": "shuffle_read_remote_bytes",
    "shuffleRemoteBytesReadToDisk": "shuffle_read_remote_to_disk_bytes", "shuffleLocalBytesRead": "shuffle_read_local_bytes", "shuffleReadRecords": "shuffle_read_records",
    "shuffleFetchWaitTime": "shuffle_fetch_wait_ms", "shuffleWriteBytes": "shuffle_write_bytes", "shuffleWriteRecords": "shuffle_write_records",
    "shuffleWriteTime": "shuffle_write_ns",
}  # fmt: skip


def application(folder: Path, *settings: str) -> tuple[Path, dict[str, Any]]:
    """Run the application; return its log and what the REST API said."""
    command = [sys.executable, str(HERE / "event_log_app.py"), str(folder), *settings]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=580, cwd=folder.parent)
    assert done.returncode == 0, done.stderr[-3000:]
    (log,) = [each for each in (folder / "events").iterdir() if not each.name.startswith(".")]
    return log, json.loads((folder / "rest.json").read_text())


def check(log: EventLog, rest: dict[str, Any]) -> None:
    stages = {(one["stageId"], one["attemptId"]): one for one in rest["stages"] if one["status"] != "SKIPPED"}
    assert log.stages.keys() == stages.keys()
    for key, expected in stages.items():
        stage, tasks = log.stages[key], rest["tasks"][f"{key[0]}.{key[1]}"]
        assert {rest_name: stage.sums[name] for rest_name, name in STAGE.items()} == {name: expected[name] for name in STAGE}, key
        counted = (stage.tasks, stage.succeeded, stage.failed, stage.killed, stage.status, stage.name)
        assert counted == tuple(
            expected[name] for name in ("numTasks", "numCompleteTasks", "numFailedTasks", "numKilledTasks", "status", "name")
        ), key
        assert stage.sums["scheduler_delay_ms"] == sum(task["schedulerDelay"] for task in tasks), key
        assert stage.sums["getting_result_ms"] == sum(task["gettingResultTime"] for task in tasks), key
        peaks = [task["taskMetrics"]["peakExecutionMemory"] for task in tasks if "taskMetrics" in task]
        assert stage.peak_task_memory_bytes == max(peaks, default=0)
        quantiles = rest["quantiles"].get(f"{key[0]}.{key[1]}")
        assert list((stage.durations() or {}).values()) == (quantiles["duration"] if quantiles else [])
        assert (stage.failure is None) == ("failureReason" not in expected)
    jobs = {one["jobId"]: one for one in rest["jobs"]}
    assert log.jobs.keys() == jobs.keys()
    for number, job in log.jobs.items():
        expected = jobs[number]
        assert (job.status, list(job.stages), job.description) == (
            expected["status"],
            sorted(expected["stageIds"]),
            expected.get("description"),
        )
        assert (job.submitted_ms, job.completed_ms) == (_at(expected["submissionTime"]), _at(expected.get("completionTime")))
    queries = {int(one["id"]): one for one in rest["sql"]}
    assert log.queries.keys() == queries.keys()
    for number, query in log.queries.items():
        assert query.completed_ms is not None
        assert query.completed_ms - query.submitted_ms == queries[number]["duration"]
        ended = ("runningJobIds", "successJobIds", "failedJobIds")
        assert sorted(query.jobs) == sorted(job for name in ended for job in queries[number][name])


def _at(text: str | None) -> int | None:
    """Return a time of the REST API, such as ``2026-12-02T04:19:36.123GMT``, in milliseconds since 1970."""
    return None if text is None else round(datetime.fromisoformat(text.replace("GMT", "+00:00")).timestamp() * 1000)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    """The log of all kinds of jobs, as Spark 4 writes it unless told otherwise: rolled files, compressed by zstd."""
    return application(tmp_path_factory.mktemp("log") / "app", "spark.shuffle.spill.numElementsForceSpillThreshold=20000")


def test_every_figure_is_that_of_the_rest_api(whole: tuple[Path, dict[str, Any]]) -> None:
    path, rest = whole
    assert path.is_dir()
    log = read_event_log(path)
    check(log, rest)
    assert log.cut_off is None
    assert log.application["spark_version"] == "4.1.1"
    sums = {
        name: sum(stage.sums[name] for stage in log.stages.values())
        for name in ("spilled_disk_bytes", "shuffle_read_bytes", "input_bytes", "output_bytes")
    }
    assert all(sums.values()), sums
    assert sorted({job.status for job in log.jobs.values()}) == ["FAILED", "SUCCEEDED"]
    assert any(stage.status == "FAILED" and "the third" in (stage.failure or "") for stage in log.stages.values())
    slow = [
        stage for stage in log.stages.values() if stage.name.startswith("count at") and stage.tasks == 8 and stage.succeeded == 8
    ]
    (waiting,) = [stage for stage in slow if max(stage.durations_ms) >= 1200]
    count, longest = waiting.stragglers(waiting.durations())
    assert (count, len(longest)) == (1, 1)


def test_the_command(whole: tuple[Path, dict[str, Any]]) -> None:
    path, rest = whole
    printed = CliRunner().invoke(app, ["measures", str(path), "--json"])
    assert printed.exit_code == 0, printed.output
    document = json.loads(printed.stdout)
    check_document("measures", document)
    assert document["totals"]["shuffle_write_bytes"] == sum(stage["shuffleWriteBytes"] for stage in rest["stages"])
    assert [job["duration_ms"] for job in document["jobs"]] == [
        _at(job["completionTime"]) - _at(job["submissionTime"]) for job in rest["jobs"][::-1]
    ]  # type: ignore[operator]
    assert document["environment"]["Spark Properties"]["spark.eventLog.enabled"] == "true"
    shown = CliRunner().invoke(app, ["measures", str(path), "--environment"]).stdout
    assert "spark.eventLog.enabled" in shown
    assert "Zq7" not in shown + printed.stdout
    compared = CliRunner().invoke(app, ["measures", str(path), str(path), "--json"])
    check_document("measures", json.loads(compared.stdout))
    assert json.loads(compared.stdout)["environment"] == []
    assert CliRunner().invoke(app, ["measures", str(path), str(path)]).exit_code == 0


FORMS = {
    "plain": ("spark.eventLog.compress=false", "spark.eventLog.rolling.enabled=false"),
    "lz4": ("spark.eventLog.compress=true", "spark.eventLog.compression.codec=lz4", "spark.eventLog.rolling.enabled=false"),
    "rolled": (
        "spark.eventLog.compress=false",
        "spark.eventLog.rolling.enabled=true",
        "spark.eventLog.rolling.maxFileSize=10485760",
    ),
}


@pytest.mark.parametrize("form", FORMS)
def test_forms_of_logs(tmp_path: Path, form: str) -> None:
    path, rest = application(tmp_path / "app", "spark.only=yes", *FORMS[form])
    assert path.is_dir() == (form == "rolled")
    log = read_event_log(path)
    check(log, rest)
    assert log.cut_off is None


def lines_of(path: Path) -> list[bytes]:
    return [line for line in event_lines(path) if line]


def test_a_log_that_is_cut_off_is_read_as_far_as_it_goes(whole: tuple[Path, dict[str, Any]], tmp_path: Path) -> None:
    lines = lines_of(whole[0])
    text = b"\n".join(lines) + b"\n"
    log = read_event_log(whole[0])
    (running := tmp_path / "app-1.inprogress").write_bytes(b"\n".join(lines[:-1]) + b"\n")
    assert read_event_log(running).cut_off == "it does not say that the application ended: it still runs, or was killed"
    assert read_event_log(running).stages.keys() == log.stages.keys()
    (half := tmp_path / "half").write_bytes(text[: -len(lines[-1]) // 2])
    assert read_event_log(half).cut_off == "its last line is half written"
    assert read_event_log(half).events == len(lines) - 1
    (broken := tmp_path / "broken").write_bytes(text.replace(lines[20], lines[20][:-9]))
    assert (read_event_log(broken).unreadable, read_event_log(broken).cut_off) == (1, None)

    packed = zstandard.ZstdCompressor().compress(text)
    (whole_zstd := tmp_path / "app-2.zstd").write_bytes(packed)
    assert read_event_log(whole_zstd).cut_off is None
    (cut := tmp_path / "app-3.zstd").write_bytes(packed[: len(packed) // 2])
    read = read_event_log(cut) if lines_of(cut) else None
    assert read is None or read.cut_off == "'app-3.zstd' ends within a compressed frame"
    flushed = zstandard.ZstdCompressor().compressobj()
    parts = [flushed.compress(line + b"\n") + flushed.flush(zstandard.COMPRESSOBJ_FLUSH_BLOCK) for line in lines]
    (cut := tmp_path / "app-4.zstd").write_bytes(b"".join(parts[:100]))
    assert (read_event_log(cut).events, read_event_log(cut).cut_off) == (100, "'app-4.zstd' ends within a compressed frame")

    (rolled := tmp_path / "eventlog_v2_app-5").mkdir()
    for number in (1, 2, 10):
        (rolled / f"events_{number}_app-5").write_bytes(b"\n".join(lines[(number - 1) * 20 : number * 20]) + b"\n")
    assert read_event_log(rolled).cut_off == "the rolled file 3 is missing"
    assert read_event_log(rolled).events == 60


def test_what_is_no_event_log_is_refused(tmp_path: Path) -> None:
    (other := tmp_path / "other").write_text("hello\n")
    for path, why in (
        (other, "holds no event of Spark's"),
        (tmp_path / "none", "There is no event log"),
        (tmp_path, "holds no rolled files"),
    ):
        with pytest.raises(NotThere, match=why):
            read_event_log(path)
    (packed := tmp_path / "app.snappy").write_bytes(b"x")
    with pytest.raises(NotThere, match="compressed by snappy"):
        read_event_log(packed)
