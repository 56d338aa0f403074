"""A ledger as runs of a taxi product leave it: success, partly skipped, failed, cut off, hostile names."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from caudal.graph.shape import Graph, GraphNode
from caudal.ledger.ledger import Ledger, open_ledger
from caudal.ledger.records import candidates, checks, decisions, landed, model_versions, profiles, runs, steps

BEGAN = 1_675_245_600.0  # 2023-02-01 10:00:00 UTC
PRODUCT = "taxi"
DAYS = [f"2023-01-{day:02}" for day in range(1, 32)]
HOSTILE = "\"><script>alert('x')</script>&amp;<b>"


class Recorder:
    """Writes the rows of one run, each step beginning when the one before has ended."""

    def __init__(self, ledger: Ledger, run_id: str, began: float) -> None:
        self.ledger, self.run_id, self.began, self.now = ledger, run_id, began, began + 0.4

    def begin(self, **more: Any) -> None:
        row = {
            "run_id": self.run_id,
            "product": PRODUCT,
            "command": "run",
            "state": "running",
            "started_at": self.began,
            "who": "ana",
            "host": "laptop",
            "pid": 4711,
            "code": "c0de" * 10,
            "caudal_version": "0.1.0",
        }
        self.ledger.add(runs, {**row, **more})

    def end(self, state: str, **more: Any) -> None:
        self.ledger.change(runs, {"run_id": self.run_id}, state=state, finished_at=self.now + 0.1, **more)

    def step(self, step: str, state: str = "succeeded", seconds: float = 0.0, **more: Any) -> None:
        kind, name = step.split(":", 1)
        row = {
            "run_id": self.run_id,
            "product": PRODUCT,
            "step": step,
            "kind": kind,
            "name": name,
            "state": state,
            "started_at": self.now,
            "finished_at": self.now + seconds,
            "seconds": seconds,
            "inputs": {},
        }
        self.ledger.add(steps, {**row, **more})
        self.now += seconds

    def check(
        self, table: str, expectation: str, action: str, rows: int, broken: int, passed: bool, message: str | None = None
    ) -> None:
        row = {
            "run_id": self.run_id,
            "product": PRODUCT,
            "table": table,
            "expectation": expectation,
            "kind": expectation.split("(")[0],
            "action": action,
            "rows": rows,
            "broken": broken,
            "passed": passed,
            "message": message,
        }
        self.ledger.add(checks, row)

    def file(self, source: str, path: str, size: int, sha: str) -> dict[str, Any]:
        row = {
            "product": PRODUCT,
            "source": source,
            "path": path,
            "sha256": sha * 8,
            "bytes": size,
            "modified_ns": 1,
            "landed_at": self.now,
            "run_id": self.run_id,
            "kind": "data",
        }
        self.ledger.add(landed, row)
        return {"path": path, "bytes": size, "sha256": sha * 8, "state": "landed"}

    def profile(self, table: str, version: int, rows: int, columns: dict[str, Any]) -> None:
        self.ledger.add(
            profiles,
            {"run_id": self.run_id, "product": PRODUCT, "table": table, "version": version, "rows": rows, "columns": columns},
        )


TRIP_COLUMNS = {
    "pickup_at": {
        "nulls": 0,
        "min": "2023-01-01T00:26:10",
        "max": "2023-01-31T23:59:41",
        "mean": None,
        "stddev": None,
        "distinct": 65_120,
    },
    "fare_usd": {"nulls": 0, "min": 0.01, "max": 499.0, "mean": 16.1234, "stddev": 12.9, "distinct": 3204},
    "distance_miles": {"nulls": 0, "min": 0.01, "max": 98.7, "mean": 2.9437, "stddev": 3.4, "distinct": 2110},
    "passengers": {"nulls": 4324, "min": 0, "max": 9, "mean": 1.3121, "stddev": 0.97, "distinct": 10},
    "zone": {
        "nulls": 0,
        "min": "Allerton/Pelham Gardens",
        "max": "Yorkville West",
        "mean": None,
        "stddev": None,
        "distinct": 224,
    },
}
RULE = "the lowest mean mae over 3 folds; of those within one standard error of it, the one that fits fastest"


def first(ledger: Ledger) -> None:
    """Everything is new, all goes well, and the first model is promoted."""
    run = Recorder(ledger, "20230201T100000-aa11bb", BEGAN)
    run.begin()
    trips = run.file("trips_raw", "/data/green_tripdata_2023-01.parquet", 1_427_002, "1b2c3d4e")
    run.step("land:trips_raw", seconds=0.21, detail={"files": [trips]})
    run.step(
        "read:trips_raw",
        seconds=6.4,
        rows_read=68_211,
        rows_written=68_209,
        rows_quarantined=2,
        partitions=[*DAYS, "2009-01-01"],
        output_version=0,
        fingerprint="f1" * 20,
        detail={"reasons": {"format(trip_distance)": 2}},
    )
    zones = run.file("zones", "/data/taxi_zone_lookup.csv", 12_322, "aabbccdd")
    run.step("land:zones", seconds=0.02, detail={"files": [zones]})
    run.step(
        "read:zones",
        seconds=1.1,
        rows_read=265,
        rows_written=265,
        rows_quarantined=0,
        output_version=0,
        fingerprint="f2" * 20,
        detail={"reasons": {}},
    )
    _trips(run, version=0, seconds=7.9)
    run.step(
        "table:pickups_hour",
        seconds=2.3,
        rows_read=65_912,
        rows_written=41_230,
        rows_quarantined=0,
        partitions=DAYS,
        output_version=0,
        inputs={"trips": 0},
        detail={"reasons": {}, "note": "whole table"},
    )
    run.step(
        "features:trip_features",
        seconds=3.8,
        rows_read=65_912,
        rows_written=65_912,
        rows_quarantined=0,
        partitions=DAYS,
        output_version=0,
        inputs={"trips": 0},
        detail={"reasons": {}},
    )
    _trained(run, 1, "boosting", (3.4217, 0.0831))
    gates = [
        {
            "gate": "beats_baseline",
            "passed": True,
            "message": "mae 3.42 against 6.71 of the baseline: 49 % better",
            "figures": {"score": 3.4217, "baseline": 6.71},
        },
        {
            "gate": "beats(linear)",
            "passed": True,
            "message": "mae 3.42 against 4.38: 22 % better",
            "figures": {"score": 3.4217, "linear": 4.38},
        },
        {
            "gate": "parity(borough)",
            "passed": True,
            "message": "worst group Queens 1.18 times the best, Manhattan; 1.25 is allowed",
            "figures": {"ratio": 1.18},
        },
    ]
    run.step("promote:duration", seconds=0.05, inputs={}, detail={"decision": "promoted", "gates": gates})
    ledger.add(
        decisions,
        {
            "product": PRODUCT,
            "model": "duration",
            "version": 1,
            "decision": "promoted",
            "gates": gates,
            "who": "ana",
            "at": run.now,
            "run_id": run.run_id,
        },
    )
    run.step(
        "predict:duration_predictions",
        seconds=2.6,
        rows_read=65_912,
        rows_written=65_912,
        output_version=0,
        inputs={"trip_features": 0},
        detail={"model_version": 1, "input_version": 0, "rows": 65_912},
    )
    run.end("succeeded")


def partly(ledger: Ledger) -> None:
    """One more month: the zones and their file are as before, and the new model is refused."""
    run = Recorder(ledger, "20230301T100000-cc22dd", BEGAN + 28 * 86400)
    run.begin(code="beef" * 10)
    more = run.file("trips_raw", "/data/green_tripdata_2023-02.parquet", 1_533_740, "99aa77bb")
    waiting = {"path": "/data/green_tripdata_2023-03.parquet.part", "bytes": 204_800, "sha256": None, "state": "waiting"}
    run.step("land:trips_raw", seconds=0.2, detail={"files": [more, waiting]})
    run.step(
        "read:trips_raw",
        seconds=5.1,
        rows_read=64_809,
        rows_written=64_809,
        rows_quarantined=0,
        partitions=["2023-02-01", "2023-02-02"],
        output_version=1,
        detail={"reasons": {}},
    )
    run.step("land:zones", "skipped", seconds=0.01, detail={"why": "no new file", "files": []})
    run.step("read:zones", "skipped", seconds=0.01, output_version=0, detail={"why": "up to date"})
    _trips(run, version=1, seconds=5.2)
    run.step(
        "table:pickups_hour",
        seconds=1.9,
        rows_read=2_400,
        rows_written=1_330,
        rows_quarantined=0,
        partitions=["2023-02-01"],
        output_version=1,
        inputs={"trips": 1},
        detail={"reasons": {}},
    )
    run.step(
        "features:trip_features",
        seconds=2.2,
        rows_read=2_400,
        rows_written=2_400,
        rows_quarantined=0,
        partitions=["2023-02-01"],
        output_version=1,
        inputs={"trips": 1},
    )
    _trained(run, 2, "forest", (3.61, 0.12))
    gates = [
        {
            "gate": "beats_baseline",
            "passed": True,
            "message": "mae 3.61 against 6.71 of the baseline: 46 % better",
            "figures": {},
        },
        {
            "gate": "beats_champion",
            "passed": False,
            "message": "mae 3.61 on the newest stretch, the champion has 3.44",
            "figures": {},
        },
    ]
    run.step("promote:duration", seconds=0.04, detail={"decision": "refused", "gates": gates})
    ledger.add(
        decisions,
        {
            "product": PRODUCT,
            "model": "duration",
            "version": 2,
            "decision": "refused",
            "gates": gates,
            "who": "ana",
            "at": run.now,
            "run_id": run.run_id,
        },
    )
    run.step(
        "predict:duration_predictions",
        "skipped",
        seconds=0.02,
        output_version=0,
        detail={"why": "champion and features are as before"},
    )
    run.end("succeeded")


def failed(ledger: Ledger) -> None:
    """A stop expectation is broken; what hangs on the table does not start."""
    run = Recorder(ledger, "20230302T100000-ee33ff", BEGAN + 29 * 86400)
    run.begin()
    run.step("land:trips_raw", "skipped", seconds=0.02, detail={"why": "no new file", "files": []})
    run.step("read:trips_raw", "skipped", seconds=0.01, output_version=1, detail={"why": "up to date"})
    run.step("land:zones", seconds=0.02, detail={"files": [run.file("zones", "/data/taxi_zone_lookup.csv", 11_980, "77665544")]})
    run.step(
        "read:zones", seconds=1.2, rows_read=259, rows_written=259, rows_quarantined=0, output_version=1, detail={"reasons": {}}
    )
    error = {
        "error": "ExpectationStopped",
        "what": "Table 'trips' breaks references(pickup_zone_id, zones.zone_id): 1,204 of 68,211 rows have no match.",
        "where": "products/taxi/product.py:48",
        "nearest": None,
        "fix": "Look at the rows with: caudal quarantine show trips",
        "step": "table:trips",
        "rows": 68_211,
        "broken": 1204,
    }
    run.step("table:trips", "failed", seconds=4.4, error=error)
    for step in (
        "table:pickups_hour",
        "features:trip_features",
        "train:duration",
        "promote:duration",
        "predict:duration_predictions",
    ):
        run.step(step, "waiting", detail={"why": "a step before it failed"})
    run.end("failed", error=error)


def cut_off(ledger: Ledger) -> None:
    """The process was killed while it read."""
    run = Recorder(ledger, "20230303T100000-0044aa", BEGAN + 30 * 86400)
    run.begin()
    run.step("land:trips_raw", seconds=0.3, detail={"files": []})
    ledger.change(runs, {"run_id": run.run_id}, state="abandoned", finished_at=run.now + 90_000)


def hostile(ledger: Ledger) -> None:
    """Every text that a user or a file can choose tries to be markup."""
    run = Recorder(ledger, "20230304T100000-556677", BEGAN + 31 * 86400)
    run.begin(who=HOSTILE, host=HOSTILE, command=HOSTILE)
    odd = {
        "path": f"/data/{HOSTILE}\udcff\x00\x1b[31m.csv",
        "bytes": 1,
        "sha256": None,
        "state": "waiting",
    }  # a name that is not UTF-8
    run.step("land:trips_raw", detail={"files": [run.file("trips_raw", f"/data/{HOSTILE}.csv", 3, "eeeeeeee"), odd]})
    run.step(
        "read:trips_raw",
        rows_read=3,
        rows_written=1,
        rows_quarantined=2,
        output_version=2,
        detail={"reasons": {HOSTILE: 2}, "note": HOSTILE},
    )
    run.check("trips_raw", HOSTILE, "quarantine", 3, 2, False, HOSTILE)
    run.profile("trips_raw", 2, 1, {HOSTILE: {"nulls": 0, "min": HOSTILE, "max": float("nan"), "mean": None}})
    run.step("land:zones", "skipped", detail={"why": HOSTILE})
    _trained(run, 3, HOSTILE, (float("nan"), None))
    ledger.add(
        candidates,
        {
            "run_id": run.run_id,
            "product": PRODUCT,
            "model": "duration",
            "candidate": "broken",
            "metric": "mae",
            "chosen": False,
            "baseline": False,
            "error": HOSTILE,
        },
    )
    run.step(
        "table:trips",
        "failed",
        error={"error": HOSTILE, "what": HOSTILE, "where": HOSTILE, "nearest": HOSTILE, "fix": HOSTILE, HOSTILE: HOSTILE},
    )
    run.end(
        "failed",
        error={"error": HOSTILE, "what": HOSTILE, "where": HOSTILE, "nearest": HOSTILE, "fix": HOSTILE, HOSTILE: HOSTILE},
    )


def _trips(run: Recorder, version: int, seconds: float) -> None:
    reasons = {
        "between(fare_usd, 0, 500)": 181,
        "positive(distance_miles)": 2043,
        "positive(duration_s)": 61,
        "between(duration_s, 0, 10800)": 264,
    }
    run.step(
        "table:trips",
        seconds=seconds,
        rows_read=68_209,
        rows_written=65_912,
        rows_quarantined=2_297,
        partitions=DAYS,
        output_version=version,
        fingerprint="ab" * 20,
        inputs={"trips_raw": version, "zones": 0},
        detail={"reasons": reasons, "note": "whole table", "read_days": None},
    )
    for expectation, action, broken, passed, message in (
        ("unique(trip_id)", "stop", 0, True, None),
        ("between(fare_usd, 0, 500)", "quarantine", 181, False, None),
        ("positive(distance_miles)", "quarantine", 2043, False, None),
        ("positive(duration_s)", "quarantine", 61, False, None),
        ("between(duration_s, 0, 10800)", "quarantine", 264, False, None),
        ("row_count_between(50000, 120000)", "stop", 0, True, "65,912 rows"),
        ("distribution(fare_usd)", "warn", 1, False, "mean 16.12 lies outside 13.9–15.8, the range of the last 5 versions"),
    ):
        run.check("trips", expectation, action, 68_209, broken, passed, message)
    run.profile("trips", version, 65_912 + version, TRIP_COLUMNS)


def _trained(run: Recorder, version: int, chosen: str, best: tuple[float, float | None]) -> None:
    said = {"rule": RULE, "chosen": chosen, "rows": 65_912, "from": "2023-01-01", "until": "2023-01-31"}
    run.step("train:duration", seconds=18.7, inputs={"trip_features": version - 1}, output_version=version, detail=said)
    scored = [("linear", 4.3844, 0.152), ("forest", 3.55, 0.094), ("boosting", 3.47, 0.09), ("baseline", 6.7102, 0.2)]
    scored = [(name, *(best if name == chosen else (score, spread))) for name, score, spread in scored]
    if chosen not in [name for name, *_ in scored]:
        scored.append((chosen, *best))
    for name, score, spread in scored:
        row = {
            "run_id": run.run_id,
            "product": PRODUCT,
            "model": "duration",
            "candidate": name,
            "metric": "mae",
            "score": score,
            "spread": spread,
            "folds": [{"mae": score}],
            "seconds": 4.1,
            "chosen": name == chosen,
            "baseline": name == "baseline",
            "parameters": {},
        }
        run.ledger.add(candidates, row)
    row = {
        "product": PRODUCT,
        "model": "duration",
        "version": version,
        "candidate": chosen,
        "created_at": run.now,
        "run_id": run.run_id,
        "fingerprint": "ad" * 20,
        "code": "c0de" * 10,
        "training_table": "trip_features",
        "training_version": version - 1,
        "training_rows": 65_912,
        "training_from": "2023-01-01",
        "training_until": "2023-01-31",
        "parameters": {"learning_rate": 0.1},
        "metrics": {"mae": best[0]},
        "signature": {"inputs": [], "output": {"name": "duration_min", "type": "double", "unit": "minutes", "classes": None}},
        "environment": {},
        "artifact": "models/taxi/duration/1",
        "artifact_sha256": "ef" * 32,
        "format": "skops",
    }
    run.ledger.add(model_versions, row)


SCENES = {
    "success": ("20230201T100000-aa11bb", first),
    "partly": ("20230301T100000-cc22dd", partly),
    "failure": ("20230302T100000-ee33ff", failed),
    "cut_off": ("20230303T100000-0044aa", cut_off),
    "hostile": ("20230304T100000-556677", hostile),
}


def recorded(url: str) -> Ledger:
    """Return a ledger at a database URL with every scene written into it."""
    ledger = open_ledger(url)
    for _, write in SCENES.values():
        write(ledger)
    return ledger


def taxi_graph() -> Graph:
    """Return the graph of the product that the scenes are of."""
    where = "products/taxi/product.py:"
    nodes = [
        GraphNode("trips_raw", "source", (), "Green taxi trips as the city publishes them.", where + "21"),
        GraphNode("zones", "source", (), "Taxi zones with their boroughs.", where + "27"),
        GraphNode("trips", "table", ("trips_raw", "zones"), "One row per plausible trip.", where + "48"),
        GraphNode("pickups_hour", "table", ("trips",), None, where + "66"),
        GraphNode("trip_features", "features", ("trips",), "What is known when a trip begins.", where + "80"),
        GraphNode("duration", "model", ("trip_features",), None, where + "95"),
        GraphNode("duration_predictions", "prediction", ("duration", "trip_features"), None, where + "110"),
        GraphNode("serve:duration", "serving", ("duration",), None, where + "112"),
    ]
    return Graph({node.name: node for node in nodes})


@pytest.fixture(scope="session")
def ledger(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ledger]:
    made = recorded(f"sqlite:///{tmp_path_factory.mktemp('ledger') / 'ledger.db'}")
    yield made
    made.close()


@pytest.fixture(scope="session")
def graph() -> Graph:
    return taxi_graph()


@pytest.fixture(scope="session", params=list(SCENES))
def scene(request: pytest.FixtureRequest) -> str:
    """The run of each scene in turn."""
    return SCENES[request.param][0]


@pytest.fixture(scope="session")
def run_of() -> dict[str, str]:
    """Run ids by scene."""
    return {name: run_id for name, (run_id, _) in SCENES.items()}


@pytest.fixture
def page(tmp_path: Path) -> Path:
    return tmp_path / "run.html"
