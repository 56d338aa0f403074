"""Whether the event log says the same of each stage as the REST API of Spark's UI said when the work had ended."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

from caudal.compare.event_log import EventLog

if TYPE_CHECKING:
    from caudal.report.documents.comparison import UiCheck

# Measure → the name that the REST API has for it. `scheduler_delay_ms` is only in what it says of single tasks.
NAMES = {
    "run_ms": "executorRunTime", "cpu_ns": "executorCpuTime", "deserialize_ms": "executorDeserializeTime",
    "deserialize_cpu_ns": "executorDeserializeCpuTime", "result_serialize_ms": "resultSerializationTime", "gc_ms": "jvmGcTime",
    "result_bytes": "resultSize", "spilled_memory_bytes": "memoryBytesSpilled", "spilled_disk_bytes": "diskBytesSpilled",
    "peak_execution_memory_bytes": "peakExecutionMemory", "input_bytes": "inputBytes", "input_records": "inputRecords",
    "output_bytes": "outputBytes", "output_records": "outputRecords", "shuffle_read_bytes": "shuffleReadBytes",
    "shuffle_read_records": "shuffleReadRecords", "shuffle_fetch_wait_ms": "shuffleFetchWaitTime", "shuffle_write_bytes": "shuffleWriteBytes",
    "shuffle_write_records": "shuffleWriteRecords", "shuffle_write_ns": "shuffleWriteTime",
}  # fmt: skip
_SHOWN = 10


def check_against_ui(log: EventLog, file: Path) -> UiCheck | None:
    """Return how the log compares with what the UI said; None where it was not asked."""
    if not file.is_file():
        return None
    stages = [each for each in json.loads(file.read_text()).get("stages", []) if each["status"] in ("COMPLETE", "FAILED")]
    compared, differing = 0, []
    for each in stages:
        measured = log.stages.get((each["stageId"], each["attemptId"]))
        for measure, name in NAMES.items():
            if name not in each:
                continue
            compared += 1
            value = None if measured is None else measured.sums[measure]
            if value != each[name]:
                differing.append(f"stage {each['stageId']}.{each['attemptId']} {measure}: log {value}, UI {each[name]}")
    return {"stages": len(stages), "compared": compared, "differing": differing[:_SHOWN]}
