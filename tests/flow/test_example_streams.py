"""docs/example-streams.md as a reader follows it: each product from its code on the page, fed by ``caudal replay``, streamed, and asked for what was planted."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from tests import here

import caudal as cd
from caudal.stages.simulate import simulator

PAGE = Path(__file__).parents[2] / "docs" / "example-streams.md"


def sections() -> dict[str, tuple[str, list[list[str]]]]:
    """Return the code and the commands of each product of the page, by the product's name."""
    found = {}
    for section in PAGE.read_text().split("\n## ")[1:]:
        (code,) = re.findall(r"```python\n(.*?)```", section, re.DOTALL)
        commands = [line.partition("#")[0].split()[1:] for line in section.splitlines() if line.startswith("    caudal ")]
        found[re.findall(r'cd\.Product\("(\w+)"', code)[0]] = code, commands
    return found


def streamed(name: str, folder: Path) -> tuple[dict[str, Any], cd.Product | Any]:
    """Write the product, give its commands, and return the stream's document and the home's product."""
    code, commands = sections()[name]
    product = folder / f"{name}-product"
    product.mkdir()
    (product / "product.py").write_text(code)
    stream: dict[str, Any] = {}
    for command in commands:
        arguments = [str(product) if argument == product.name else argument for argument in command]
        done = here.run([sys.executable, "-m", "caudal", *arguments, "--home", str(folder / "home"), "--json"])
        assert done.returncode == 0, done.stderr
        if command[0] == "stream":
            stream = json.loads(done.stdout)
    return stream, cd.open(folder / "home")[name]


def planted_and_told(name: str, mark: str, samples: int, told: pd.DataFrame, start: str, hz: float) -> tuple[int, int, int]:
    """Return how many samples carry a planted mark, how many of them were told as anomalies, and how many others were."""
    marks = simulator(name).marks(np.arange(samples))[mark]
    positions = ((told["at"] - pd.Timestamp(start)).dt.total_seconds() * hz).round().astype(int)
    positions = positions[positions < samples].drop_duplicates()
    return int(marks.sum()), int(marks[positions].sum()), int((~marks[positions]).sum())


def test_the_page_has_a_product_for_each_simulator_of_the_field() -> None:
    assert set(sections()) == {"weather", "robot", "stocks", "traffic"}


def test_a_weather_station(tmp_path: Path) -> None:
    document, product = streamed("weather", tmp_path)
    assert document["sources"]["station"]["samples"] > 14_000
    minutes = product["ten_minutes"].to_pandas()
    assert set(minutes["sensor"]) == {"temperature_c", "humidity_percent", "pressure_hpa", "wind_m_s", "rain_mm_h"}
    temperature = minutes[minutes["sensor"] == "temperature_c"]
    spans = (temperature["window_end"] - temperature["window_start"]).dt.total_seconds()
    assert set(spans) == {600.0}
    stuck = simulator("weather").facts(0, 14_400)["stuck"]
    below = temperature["ranges"].map(lambda counts: counts[0])
    assert (below.sum() > 0) == (stuck > 0)
    assert stuck > 0
    odd = planted_and_told("weather", "stuck", 14_400, product["odd_readings"].to_pandas(), "2026-01-05T06:00:00Z", 1)
    assert odd[0] == odd[1] == 60
    assert odd[2] < 150


def test_a_robot_arm(tmp_path: Path) -> None:
    _, product = streamed("robot", tmp_path)
    movement = product["movement"].to_pandas()
    assert movement["bearing_power"].notna().any()
    currents = movement[movement["sensor"].str.startswith("current")]
    assert currents["ranges"].map(lambda counts: counts[-1]).sum() > 0  # jammed, by a collision
    assert simulator("robot").facts(0, 30_000)["collision"] > 0
    jammed = currents[currents["ranges"].map(lambda counts: counts[-1] > 0)]
    hits = product["collisions"].to_pandas()
    _, hit, other = planted_and_told("robot", "collision", 30_000, hits, "2026-01-05T08:00:00Z", 100)
    assert hit > 10
    assert other == 0
    assert any(hits["at"].between(row.window_start, row.window_end).any() for row in jammed.itertuples())


def test_shares(tmp_path: Path) -> None:
    _, product = streamed("stocks", tmp_path)
    bars = product["bars"].to_pandas()
    assert len(bars) == 8 * 15
    assert ((bars["low"] <= bars[["open", "close"]].min(axis=1)) & (bars["high"] >= bars[["open", "close"]].max(axis=1))).all()
    assert (bars["high"] / bars["low"] < 1.5).all()
    minutes = product["minutes"].to_pandas()
    wild = minutes[minutes["max"] > 5 * minutes["q50"]]
    assert len(wild) > 0  # wrong ticks are in the statistics, and not in the bars
    key = ["sensor", "window_start"]
    beside = wild.merge(bars.rename(columns={"bar_start": "window_start"}), on=key)
    assert len(beside) == len(wild)
    assert (beside["high"] < beside["max"] / 5).all()
    ticks = product["ticks"].to_pandas().drop_duplicates(["device", "seq", "at"]).sort_values("at")
    first = ticks[ticks["at"] < ticks["at"].min().floor("min") + pd.Timedelta("1min")]["share_a_usd"].dropna()
    bar = bars[bars["sensor"] == "share_a_usd"].sort_values("bar_start").iloc[0]
    assert (bar["open"], bar["close"]) == (first.iloc[0], first.iloc[-1])
    odd_ticks = planted_and_told("stocks", "wrong_tick", 9000, product["odd_ticks"].to_pandas(), "2026-01-05T15:00:00Z", 10)
    assert odd_ticks == (15, 15, 0)


def test_the_traffic_of_a_server(tmp_path: Path) -> None:
    _, product = streamed("traffic", tmp_path)
    uptimes = product["uptimes"].to_pandas()
    requests = uptimes[uptimes["sensor"] == "requests"]
    assert len(requests) == 2  # the silence of five minutes divides them
    lengths = (requests["window_end"] - requests["window_start"]).dt.total_seconds()
    assert lengths.between(7200, 7240).all()
    minutes = product["minutes"].to_pandas()
    assert {"q50", "q95", "q99"} <= set(minutes)
    outage = planted_and_told("traffic", "outage", 7200, product["outages"].to_pandas(), "2026-01-05T06:00:00Z", 1)
    assert outage[0] == outage[1] == 90
    assert outage[2] < 200
