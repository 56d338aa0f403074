"""``caudal compare`` on real work: what is measured, equal tables, faults that lose no row, and what cannot be done in one sentence."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import psutil
import pytest
from tests.flow.commands import caudal

EEG = Path(__file__).parents[2] / "products" / "eeg"
SHOP = """
import caudal as cd
from caudal import expect as ex
from pyspark.sql import functions as F

product = cd.Product("shop")
orders_raw = product.source("orders_raw", cd.files("orders_*.csv"), schema=cd.schema(id="long", customer="string", eur="double", at="timestamp_utc"), event_time="at")

@product.table(expect=[ex.between("eur", 0, 900).quarantine(max_share=0.5), ex.unique("id").quarantine()])
def orders(orders_raw):
    return orders_raw.withColumn("cents", F.round(F.col("eur") * 100).cast("long"))

@product.table
def customers(orders):
    return orders.groupBy("customer").agg(F.count("*").alias("orders"), F.sum("eur").alias("eur"), F.max("at").alias("newest"))
"""


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    folder = tmp_path / "shop"
    folder.mkdir()
    (folder / "product.py").write_text(SHOP)
    for part in range(2):
        rows = pd.DataFrame({"id": range(part * 480, part * 480 + 500)})  # twenty come twice
        rows["customer"], rows["eur"] = [f"c{number % 7}" for number in rows["id"]], [number * 1.1 for number in rows["id"]]
        rows["at"] = [f"2026-01-{1 + number % 28:02d}T08:00:00Z" for number in rows["id"]]
        rows.to_csv(tmp_path / f"orders_{part}.csv", index=False)
    return folder


def compare(folder: Path, home: Path, *options: object, code: int = 0, **environment: str) -> dict[str, object]:
    data = () if "--data" in options else ("--data", home)
    return caudal("compare", folder, "--home", home, *data, *options, code=code, **environment)


def test_a_run_on_sail_and_on_a_cluster_of_spark(shop: Path, tmp_path: Path) -> None:
    told = compare(shop, tmp_path, "--on", "sail,cluster:1,here,spark://127.0.0.1:1", "--repeat", "1", "--warm-up", "0", code=1)
    states = {platform["platform"]: (platform["state"], platform["why"]) for platform in told["platforms"]}
    assert states["sail"] == states["cluster:1"] == ("measured", None)
    assert states["here"] == ("refused", "Caudal's own process does streams only.")
    assert states["spark://127.0.0.1:1"][0] == "unreachable"
    assert "No Spark master answers at 127.0.0.1:1" in states["spark://127.0.0.1:1"][1]
    assert {table["table"]: table["equal"] for table in told["tables"]} == {"customers": True, "orders": True, "orders_raw": True}
    sail, spark = told["platforms"][:2]
    for platform in (sail, spark):
        (repetition,) = platform["repetitions"]
        assert repetition["rows"] == 1000
        assert 0 < repetition["work_s"] < repetition["total_s"]
        assert repetition["start_s"] + repetition["work_s"] < repetition["total_s"]
        assert repetition["cpu_s"] > 0
        assert repetition["peak_memory_bytes"] > 50 << 20
        assert {step["step"] for step in repetition["steps"]} >= {"read:orders_raw", "table:orders", "table:customers"}
    assert sail["repetitions"][0]["totals"] is None
    assert "Sail" not in str(sail["missing"])
    check = spark["repetitions"][0]["ui_check"]
    assert check["stages"] == len(spark["stages"])
    assert check["compared"] >= 20
    assert check["differing"] == []
    assert spark["versions"]["Spark"].startswith("4.")
    assert [pair["claim"] for pair in told["pairs"]] == ["too few repetitions"] * 2
    kept = json.loads((Path(told["folder"]) / "comparison.json").read_text())
    assert kept == {**told, "took_s": kept["took_s"]}
    assert (Path(told["folder"]) / "report.en.html").stat().st_size > 10_000


def test_sources_that_change_meanwhile_are_not_the_same_work(shop: Path, tmp_path: Path) -> None:
    code = (shop / "product.py").read_text()
    grows = """
import pathlib, time
another = pathlib.Path(__file__).parents[1] / f"orders_{time.time_ns()}.csv"  # each time that the product is loaded
another.write_text(f"id,customer,eur,at\\n{time.time_ns() % 10**12},c1,1.0,2026-01-01T08:00:00Z\\n")
"""
    (shop / "product.py").write_text(grows + code)
    told = compare(shop, tmp_path, "--on", "sail", "--repeat", "2", "--warm-up", "0", "--no-report", code=1)
    (platform,) = told["platforms"]
    assert platform["state"] == "failed"
    assert "the sources have changed meanwhile" in platform["why"]


def test_a_stream_whose_process_dies(tmp_path: Path) -> None:
    told = compare(
        EEG,
        tmp_path,
        "--on",
        "here",
        "--repeat",
        "2",
        "--warm-up",
        "0",
        "--seconds",
        "200",
        "--fault",
        "kill-driver",
        "--fault",
        "kill-worker",
    )
    died, refused = told["faults"]
    assert (died["state"], died["rows_lost"], died["rows_doubled"]) == ("recovered", 0, 0)
    assert died["commands"] == 2
    assert [event["kind"] for event in died["timeline"]] == ["attempt", "fault", "process_ended", "attempt", "end"]
    assert refused["state"] == "not applicable"
    (platform,) = told["platforms"]
    rows = {each["rows"] for each in platform["repetitions"]}
    assert len(rows) == 1
    assert rows.pop() == pytest.approx(200 * 256 * 16 * 8, rel=0.01)  # a headset loses some samples, and repeats some
    assert platform["missing"]
    assert len(list(Path(told["folder"]).glob("*/*/home"))) == 1


def test_messages_of_a_home_are_read_from_the_first_one_whatever_its_stream_has_read(tmp_path: Path) -> None:
    caudal("replay", EEG, "--home", tmp_path, "--rate", "0", "--seconds", "60", "--devices", "2")
    before = caudal("stream", EEG, "--home", tmp_path, "--once")
    told = compare(EEG, tmp_path, "--on", "here", "--repeat", "1", "--warm-up", "0", "--no-report")
    (repetition,) = told["platforms"][0]["repetitions"]
    assert repetition["rows"] == before["sources"]["samples"]["samples"] * 16 > 0
    assert (
        caudal("stream", EEG, "--home", tmp_path, "--once")["sources"] == before["sources"]
    )  # and the stream's own state is as it was


def test_nothing_outside_of_the_comparison_is_touched(shop: Path, tmp_path: Path) -> None:
    real = {"CAUDAL_LEDGER": f"sqlite:///{tmp_path}/real_ledger.db", "CAUDAL_LAKE": str(tmp_path / "real_lake"), "CAUDAL_WAREHOUSE": "postgresql://127.0.0.1:1/real"}  # fmt: skip
    caudal("run", shop, "--home", tmp_path / "home", "--data", tmp_path, **real)
    places = [tmp_path / "real_ledger.db", *(tmp_path / "real_lake").rglob("*")]
    assert len(places) > 10
    files = {place: place.stat().st_mtime_ns for place in places}
    options = ("--data", tmp_path, "--on", "sail", "--repeat", "1", "--warm-up", "0", "--no-report")
    told = compare(shop, tmp_path / "home", *options, **real)
    assert told["platforms"][0]["repetitions"][0]["rows"] == 1000
    assert {file: file.stat().st_mtime_ns for file in files} == files
    assert {table["table"] for table in told["tables"]} == {"customers", "orders", "orders_raw"}


@pytest.mark.parametrize(
    ("line", "acts"),
    [
        ("product.alert(cd.webhook('http://127.0.0.1:1/'))", "alerts somebody"),
        ("product.publish(customers, to=cd.warehouse('postgresql://127.0.0.1:1/real'), key='customer')", "publishes 'customers' to a warehouse of its own"),
    ],
)  # fmt: skip
def test_a_product_that_acts_outside_is_compared_only_where_it_may(shop: Path, tmp_path: Path, line: str, acts: str) -> None:
    (shop / "product.py").write_text(f"{(shop / 'product.py').read_text()}\n{line}\n")
    refused = compare(shop, tmp_path, "--on", "sail", code=2)
    assert acts in refused["what"]
    assert "--send" in refused["fix"]


def test_what_is_published_to_the_warehouse_of_the_settings_is_compared_without_it(shop: Path, tmp_path: Path) -> None:
    line = "product.publish(customers, to=cd.warehouse(), key='customer')"
    (shop / "product.py").write_text(f"{(shop / 'product.py').read_text()}\n{line}\n")
    once = ("--on", "sail", "--repeat", "1", "--warm-up", "0", "--no-report")
    told = compare(shop, tmp_path, *once, CAUDAL_WAREHOUSE="postgresql://127.0.0.1:1/real")
    assert told["platforms"][0]["state"] == "measured"


def test_work_that_does_not_end_is_stopped_and_the_rest_is_kept(tmp_path: Path) -> None:
    told = compare(EEG, tmp_path, "--on", "here", "--repeat", "1", "--warm-up", "0", "--seconds", "1000", "--limit", "1", code=1)
    (platform,) = told["platforms"]
    assert (platform["state"], platform["why"]) == ("failed", "It did not end within 1 s.")
    assert platform["repetitions"][0]["state"] == "stopped"


def test_a_signal_ends_what_was_started_and_keeps_what_was_measured(tmp_path: Path) -> None:
    options = ("--home", str(tmp_path), "--on", "here", "--repeat", "2", "--warm-up", "0", "--seconds", "600")
    with (tmp_path / "output").open("w") as output:
        process = subprocess.Popen([sys.executable, "-m", "caudal", "compare", str(EEG), *options], stdout=output, stderr=output)
    try:
        until = time.monotonic() + 240
        while not list(tmp_path.glob("comparisons/*/here/002/work/moments.jsonl")):
            assert process.poll() is None, (tmp_path / "output").read_text()
            assert time.monotonic() < until
            time.sleep(0.1)
        process.terminate()
        assert process.wait(60) == 1
    finally:
        process.kill()
    (file,) = tmp_path.glob("comparisons/*/comparison.json")
    told = json.loads(file.read_text())
    assert (told["complete"], told["stopped_by"]) == (False, "a signal")
    assert [each["state"] for each in told["platforms"][0]["repetitions"]] == ["done"]
    assert not [each for each in psutil.process_iter(["cmdline"]) if str(tmp_path) in " ".join(each.info["cmdline"] or ())]


@pytest.mark.parametrize(
    ("options", "what"),
    [
        (("--on", "locl[2]"), "There is no platform 'locl[2]'"),
        (("--on", "here,here"), "A platform stands twice"),
        (("--on", "here", "--fault", "kill-woker"), "There is no fault 'kill-woker'"),
        (("--on", "here", "--share", "2"), "--share is '2'"),
        (("--on", "here", "--language", "fr"), "not written in 'fr'"),
        ((), "No platform is named"),
    ],
)
def test_what_cannot_be_compared(options: tuple[str, ...], what: str, tmp_path: Path) -> None:
    assert what in compare(EEG, tmp_path, *options, code=2)["what"]


@pytest.mark.slow(minutes=2)
@pytest.mark.faults
@pytest.mark.timeout(1200)
def test_a_worker_falls(tmp_path: Path) -> None:
    once = ("--repeat", "1", "--warm-up", "0", "--seconds", "60", "--no-report")
    java = {"CAUDAL_JAVA": "bundled"}  # the one with an archive of classes
    told = compare(EEG, tmp_path, "--on", "here,cluster:2", *once, "--fault", "kill-worker", **java)
    assert all(table["equal"] for table in told["tables"])
    fell = next(fault for fault in told["faults"] if fault["platform"] == "cluster:2")
    assert (fell["state"], fell["rows_lost"], fell["rows_doubled"], fell["commands"]) == ("recovered", 0, 0, 1)
    assert fell["executors_lost"] >= 1
    kinds = [event["kind"] for event in fell["timeline"]]
    assert kinds.index("fault") < kinds.index("executor_lost") < kinds.index("process_started") or "executor_lost" in kinds
    cluster = next(platform for platform in told["platforms"] if platform["platform"] == "cluster:2")
    assert sum(node["kind"] == "executor" for node in cluster["diagram"]["nodes"]) == 2
