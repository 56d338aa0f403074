"""A small product that services are sent, and ``caudal compare`` of it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from tests.flow.commands import caudal

SHOP = """
import caudal as cd
from caudal import expect as ex
from pyspark.sql import functions as F

product = cd.Product("shop")
orders_raw = product.source("orders_raw", cd.files("orders_*.csv"), schema=cd.schema(id="long", customer="string", eur="double", at="timestamp_utc"), event_time="at")

@product.table(expect=[ex.between("eur", 0, 900).quarantine(max_share=0.5)])
def orders(orders_raw):
    return orders_raw.withColumn("cents", F.round(F.col("eur") * 100).cast("long")).withColumn("day", F.col("at").cast("string"))

@product.table
def customers(orders):
    return orders.groupBy("customer").agg(F.count("*").alias("orders"), F.sum("eur").alias("eur"), F.max("at").alias("newest"))
"""
ONCE = ("--repeat", "1", "--warm-up", "0", "--no-report")


@pytest.fixture
def sent_shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "shop"
    folder.mkdir()
    (folder / "product.py").write_text(SHOP)
    rows = pd.DataFrame({"id": range(500)})
    rows["customer"], rows["eur"] = [f"c{number % 7}" for number in rows["id"]], [number * 1.1 for number in rows["id"]]
    rows["at"] = [f"2026-01-{1 + number % 28:02d}T08:00:00Z" for number in rows["id"]]
    rows.to_csv(tmp_path / "orders_0.csv", index=False)
    monkeypatch.chdir(tmp_path)
    return folder


def compare(folder: Path, on: str, *options: object, code: int = 0) -> dict[str, Any]:
    return caudal("compare", folder, "--home", "home", "--data", ".", "--on", on, *ONCE, *options, code=code)


def interrupted(folder: Path, on: str, is_submitted: Callable[[], bool]) -> dict[str, Any]:
    """Send Ctrl-C to a comparison once work was submitted to a service, and return what it has written in the current folder."""
    command = [sys.executable, "-m", "caudal", "compare", str(folder), "--home", "home", "--data", ".", "--on", on, *ONCE]
    with Path("output").open("w") as output:
        process = subprocess.Popen(command, stdout=output, stderr=output)
    try:
        until = time.monotonic() + 240
        while not is_submitted():
            assert process.poll() is None, Path("output").read_text()
            assert time.monotonic() < until
            time.sleep(0.1)
        os.kill(process.pid, signal.SIGINT)
        assert process.wait(60) == 1, Path("output").read_text()
    finally:
        process.kill()
    (file,) = Path().glob("home/comparisons/*/comparison.json")
    document: dict[str, Any] = json.loads(file.read_text())
    return document
