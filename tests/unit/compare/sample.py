"""A document of ``caudal compare`` as it could be, made by hand: its figures are of no machine."""

from __future__ import annotations

from pathlib import Path
from statistics import median
from typing import Any

from caudal.compare.conclusions import draw_conclusions
from caudal.compare.scaling import fit_scaling
from caudal.compare.stage_measures import SUMS

BEGAN = 1_700_000_000.0
TOTALS = {
    "jobs": 4, "stages": 6, "tasks": 90, "run_ms": 18_000, "cpu_ns": 11_000_000_000, "gc_ms": 900, "scheduler_delay_ms": 700, "shuffle_read_bytes": 5_200_000,
    "shuffle_write_bytes": 5_200_000, "shuffle_fetch_wait_ms": 120, "shuffle_write_ns": 800_000_000, "spilled_disk_bytes": 4_000_000, "input_bytes": 80_000_000,
    "output_bytes": 9_000_000,
}  # fmt: skip


def stage(number: int, begins_s: float, duration_ms: int, tasks: int, p50: int, p100: int, **measures: int) -> Any:
    """Return a stage with these measures, and 0 for all others."""
    return {
        "stage": number, "attempt": 0, "name": f"save at product.py:{number}", "status": "COMPLETE", "submitted_at": BEGAN + begins_s, "duration_ms": duration_ms,
        "tasks": tasks, "succeeded": tasks, "failed": 0, "killed": 0, "failure": None, "peak_task_memory_bytes": 0, "measures": {**dict.fromkeys(SUMS, 0), **measures},
        "durations_ms": {"p0": p50 // 2, "p25": p50, "p50": p50, "p75": p50, "p95": p100, "p100": p100}, "skew": p100 / p50, "stragglers": int(p100 > 3 * p50),
        "longest_stragglers": [],
    }  # fmt: skip


def repetition(
    number: int, cores: int, share: float, start_s: float, work_s: float, *, log: str | None = None, **changed: Any
) -> Any:
    """Return a repetition that is done."""
    return {
        "number": number, "warm_up": False, "cores": cores, "share": share, "state": "done", "why": None, "began_at": BEGAN, "start_s": start_s, "work_s": work_s,
        "total_s": start_s + work_s + 0.4, "cpu_s": work_s * 1.4, "peak_memory_bytes": 900_000_000, "rows": int(480_000 * share),
        "steps": [{"step": "statistics", "seconds": work_s * 0.6, "rows": 480_000}, {"step": "score", "seconds": work_s * 0.3, "rows": 480_000}],
        "totals": None if log is None else TOTALS, "event_log": log,
        "ui_check": None if log is None else {"stages": 6, "compared": 186, "differing": []},
        "latency": {"batches": 40, "p50_ms": 210.0, "p95_ms": 480.0, "p99_ms": 730.0}, "tables": {},
        **changed,
    }  # fmt: skip


def platform(
    name: str, kind: str, cores: int, repetitions: list[Any], stages: list[Any], nodes: list[Any], edges: list[Any]
) -> Any:
    """Return a platform with the spreads of its repetitions."""
    whole = [each for each in repetitions if each["share"] == 1.0]
    values: dict[str, list[float]] = {
        name: [each[name] for each in whole] for name in ("start_s", "work_s", "total_s", "cpu_s", "peak_memory_bytes")
    }
    values["rows_per_s"] = [each["rows"] / each["work_s"] for each in whole]
    for measure in TOTALS if stages else ():
        values[measure] = [TOTALS[measure] * (1 + 0.03 * number) for number, _ in enumerate(whole)]
    return {
        "platform": name, "kind": kind, "title": f"{kind} on this machine", "engine": "python" if kind == "here" else "spark", "master": None, "cores": cores,
        "memory": "1g", "state": "measured", "why": None, "missing": [] if stages else ["Spark's measures: it is another engine"],
        "diagram": {"nodes": nodes, "edges": edges}, "versions": {"python": "3.11.2", **({"spark": "4.1.1"} if stages else {})}, "environment": {},
        "repetitions": repetitions,
        "spreads": {name: {"values": each, "median": median(each), "low": min(each), "high": max(each)} for name, each in values.items()},
        "stages": stages, "cost_per_million_rows": None,
    }  # fmt: skip


def node(name: str, kind: str, label: str, **has: Any) -> Any:
    """Return a part of an architecture."""
    return {"id": name, "kind": kind, "label": label, "host": None, "cores": None, "memory_bytes": None, "count": 1, **has}


def edge(source: str, target: str, label: str) -> Any:
    """Return a connection."""
    return {"source": source, "target": target, "label": label}


def sample(log: Path | None = None) -> Any:
    """Return a document with three platforms, a fault, a table that differs, and a model; ``log`` is the event log of the last two."""
    said = str(log or "/nowhere/app-1")
    here = [repetition(number, 2, share, 0.3, work_s) for number, (share, work_s) in enumerate([(0.25, 3.4), (0.5, 6.2), (0.75, 9.1), (1.0, 11.8), (1.0, 12.1), (1.0, 12.0)])]  # fmt: skip
    local = [repetition(number, 2, 1.0, 6.1, work_s, log=said) for number, work_s in enumerate([8.1, 8.4, 8.0])]
    cluster = [repetition(number, 2, 1.0, 9.6, work_s, log=said) for number, work_s in enumerate([8.9, 8.2, 9.4])]
    stages = [
        stage(1, 1.0, 2600, 24, 190, 260, run_ms=4700, cpu_ns=3_900_000_000, gc_ms=200, scheduler_delay_ms=150, deserialize_ms=100),
        stage(2, 3.6, 2100, 2, 600, 2000, run_ms=2700, cpu_ns=900_000_000, spilled_disk_bytes=4_000_000, shuffle_fetch_wait_ms=300, shuffle_read_bytes=5_200_000),
    ]  # fmt: skip
    store = node("home", "store", "tables and raw files")
    both = [
        node("driver", "driver", "Spark, driver and executor", cores=2, memory_bytes=1 << 30),
        node("python", "python", "Python workers", count=2),
        store,
    ]
    parts = [
        node("driver", "driver", "driver", host="127.0.0.1"), node("master", "master", "master"), node("worker", "worker", "worker", count=2, cores=1),
        node("executor", "executor", "executor", count=2, cores=1, memory_bytes=1 << 29), store,
    ]  # fmt: skip
    lines = [
        edge("driver", "master", "asks for executors"), edge("master", "worker", "places executors"), edge("worker", "executor", "starts"),
        edge("driver", "executor", "tasks"), edge("executor", "driver", "results"), edge("executor", "home", "reads and writes"),
    ]  # fmt: skip
    platforms = [
        platform("here", "here", 2, here, [], [node("driver", "process", "caudal, Python", cores=2), store], [edge("driver", "home", "reads and writes")]),
        platform("local[2]", "local", 2, local, stages, both, [edge("driver", "python", "rows, as Arrow"), edge("driver", "home", "reads and writes")]),
        platform("cluster:2", "cluster", 2, cluster, stages, parts, lines),
    ]  # fmt: skip
    document: Any = {
        "product": "eeg", "workload": "stream", "at": BEGAN, "took_s": 212.0, "complete": True, "stopped_by": None, "folder": "/nowhere", "seed": 7, "repeats": 3,
        "warm_ups": 1, "machine": {"processor": "two cores", "memory": "8 GB"},
        "sources": [{"source": "samples", "kind": "stream", "files": 2, "bytes": 61_000_000, "rows": 480_000}],
        "platforms": platforms,
        "pairs": [
            pair("work_s", "local[2]", "here", 0.68, 0.65, 0.71), pair("work_s", "cluster:2", "here", 0.74, 0.66, 0.83),
            pair("work_s", "local[2]", "cluster:2", 0.92, 0.81, 1.05), pair("total_s", "local[2]", "here", 1.18, 1.12, 1.25),
        ],
        "tables": [
            {"table": "sensor_seconds", "columns": ["device", "sensor", "mean"], "rows": {"here": 7680, "local[2]": 7680, "cluster:2": 7680}, "equal": True, "differences": []},
            {
                "table": "artefacts", "columns": ["device", "score"], "rows": {"here": 31, "local[2]": 31}, "equal": False,
                "differences": [{"platform": "here", "beside": "local[2]", "column": "score", "rows": 2, "largest": 1.1e-15}],
            },
        ],
        "faults": [
            {
                "fault": "kill-worker", "platform": "cluster:2", "state": "recovered", "why": None, "at_s": 4.0, "work_s": 14.2, "undisturbed_s": 8.9, "recovery_s": 3.1,
                "commands": 1, "recomputed_ms": 1800, "failed_tasks": 3, "resubmitted_stages": 1, "executors_lost": 1, "rows_lost": 0, "rows_doubled": 0,
                "timeline": [
                    {"at_s": 0.4, "kind": "executor_added", "what": "executor 0 on 127.0.0.1"}, {"at_s": 0.6, "kind": "executor_added", "what": "executor 1 on 127.0.0.1"},
                    {"at_s": 4.0, "kind": "fault", "what": "worker 1 and its executor were killed"}, {"at_s": 4.2, "kind": "executor_lost", "what": "executor 1 was lost"},
                    {"at_s": 4.3, "kind": "task_failed", "what": "task 3 of stage 2 failed: ExecutorLostFailure"}, {"at_s": 5.0, "kind": "stage_resubmitted", "what": "stage 1 was submitted again"},
                    {"at_s": 7.1, "kind": "recovered", "what": "the next micro-batch was recorded"}, {"at_s": 14.2, "kind": "end", "what": "the work was done"},
                ],
                "event_logs": [],
            },
            {
                "fault": "kill-worker", "platform": "here", "state": "not applicable", "why": "It has no worker.", "at_s": None, "work_s": None, "undisturbed_s": None,
                "recovery_s": None, "commands": 0, "recomputed_ms": None, "failed_tasks": None, "resubmitted_stages": None, "executors_lost": None, "rows_lost": None,
                "rows_doubled": None, "timeline": [], "event_logs": [],
            },
        ],
        "differences": [
            {"platform": "local[2]", "other": "cluster:2", "settings": [{"part": "Spark Properties", "setting": "spark.master", "value": "local[2]", "other": "spark://127.0.0.1:7077"}]}
        ],
        "scaling": fit_scaling(platforms), "conclusions": [],
    }  # fmt: skip
    document["conclusions"] = draw_conclusions(document)
    return document


def pair(measure: str, one: str, beside: str, ratio: float, low: float, high: float) -> Any:
    """Return a comparison of two platforms."""
    claim = "faster" if high < 1 else "slower" if low > 1 else "no difference shown"
    return {
        "measure": measure,
        "platform": one,
        "beside": beside,
        "ratio": ratio,
        "low": low,
        "high": high,
        "confidence": 0.95,
        "claim": claim,
    }
