"""Feed the console with a made-up headset, as a stream would: ``python feeder.py --home DIR [--product eeg] [--seconds 60]``."""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from caudal.messaging.feed import Feed

SENSORS = ["AF3", "F7", "F3", "FC5", "T7", "P7", "O1", "O2", "P8", "T8", "FC6", "F4", "F8", "AF4", "Cz", "Pz"]
HZ = 256
BACK_OF_THE_HEAD = np.array([name[0] in "OP" for name in SENSORS])
EDGES = [4150.0, 4170.0, 4185.0, 4195.0, 4205.0, 4215.0, 4230.0, 4250.0]
BANDS = {"delta": (1, 4), "theta": (4, 8), "alpha": (8, 13), "beta": (13, 30), "gamma": (30, 45)}
PLATFORMS = [
    {"platform": "caudal (packed)", "readings_per_s": 6_200_000, "p95_s": 0.47},
    {"platform": "caudal (Avro blocks)", "readings_per_s": 4_700_000, "p95_s": 0.49},
    {"platform": "Bytewax (JSON)", "readings_per_s": 1_400_000, "p95_s": 0.9},
    {"platform": "Quix Streams (JSON)", "readings_per_s": 25_000, "p95_s": None},
]


def updates(rate: float = 10.0, start: float = 1_672_531_200.0, devices: int = 2, seed: int = 7) -> Iterator[dict[str, Any]]:
    """Yield updates of a headset whose wearer closes the eyes for ten of twenty seconds; ``at`` is left to the feeder."""
    random = np.random.default_rng(seed)
    per_update = round(HZ / rate)
    points = min(32, per_update)
    window: list[np.ndarray] = []
    total = late = duplicates = 0
    for batch in range(10**9):
        at = start + (batch * per_update + np.arange(per_update)) / HZ
        closed = bool(at[0] % 20 > 10)
        values = _signal(at, closed, random)
        spike = batch % 37 == 36
        if spike:
            values[per_update // 2 : per_update // 2 + 3, batch % 16] += 55
        window.append(values)
        window = window[-max(1, round(rate)) :]
        parts = np.array_split(np.arange(per_update), points)
        read = per_update * len(SENSORS) * devices
        total, late, duplicates = total + read, late + (batch % 50 == 3) * 12, duplicates + (batch % 31 == 5) * 4
        second, now = np.floor(at[-1]), float(at[-1])
        yield {
            "batch": batch,
            "source": "samples",
            "read": read,
            "rate": HZ * len(SENSORS) * devices * float(random.normal(1, 0.01)),
            "latency_s": {"p50": abs(float(random.normal(0.3, 0.01))), "p95": abs(float(random.normal(0.45, 0.02)))},
            "watermark": now - 2.0,
            "state": {"windows": 32 * devices, "bytes": 65536 + int(random.integers(4096))},
            "late": late,
            "total": total,
            "duplicates": duplicates,
            "unreadable": batch // 400,
            "sensors": SENSORS,
            "signal": {
                "at": [float(at[part[0]]) for part in parts],
                "low": [values[part].min(axis=0).round(2) for part in parts],
                "high": [values[part].max(axis=0).round(2) for part in parts],
                "mean": [values[part].mean(axis=0).round(2) for part in parts],
            },
            "statistics": _statistics(np.concatenate(window), second, devices),
            "edges": EDGES,
            "anomalies": [{"at": now, "device": 0, "sensor": batch % 16, "score": 0.99, "detector": "robust_z"}] * spike
            + [{"at": now, "device": 0, "sensor": None, "score": 0.93, "detector": "denstream"}] * (batch % 140 == 139),
            "classes": [
                {
                    "at": now,
                    "device": device,
                    "label": "closed" if closed else "open",
                    "probability": round(float(np.clip(random.normal(0.88, 0.04), 0.5, 1)), 3),
                    "model": "eyes",
                    "version": 3 if batch < 100 else 4,
                    "actual": ("closed" if closed != (batch % 23 == 0) else "open") if batch % 2 else None,
                }
                for device in range(devices)
            ],
            "seconds": {"read": 0.011, "partials": 0.052, "merge": 0.012, "commit": 0.021 + float(random.random()) * 0.005},
        }


def feed(folder: Path, seconds: float, rate: float = 10.0, **more: Any) -> int:
    """Append ``rate`` updates a second, each with its time, and return how many."""
    live, begun, number = Feed(folder), time.monotonic(), 0
    for number, update in enumerate(updates(rate, **more), 1):
        live.append({**update, "at": time.time()})
        if number >= seconds * rate:
            break
        time.sleep(max(0.0, begun + number / rate - time.monotonic()))
    return number


def _signal(at: np.ndarray, closed: bool, random: np.random.Generator) -> np.ndarray:
    alpha = np.where(BACK_OF_THE_HEAD, 14.0, 4.0) * (1.0 if closed else 0.2)
    waves = alpha * np.sin(2 * np.pi * 10 * at)[:, None] + 3 * np.sin(2 * np.pi * (20 * at[:, None] + np.arange(16) / 5))
    drift = 6 * np.sin(2 * np.pi * (0.15 * at[:, None] + np.arange(16) / 16))
    return np.asarray(4200 + waves + drift + random.normal(0, 3, (len(at), 16)))


def _statistics(values: np.ndarray, second: float, devices: int) -> list[dict[str, Any]]:
    spectrum = np.abs(np.fft.rfft(values - values.mean(axis=0), axis=0)) ** 2 / len(values)
    frequencies = np.fft.rfftfreq(len(values), 1 / HZ)
    return [
        {
            "device": device,
            "sensor": sensor,
            "window_start": second,
            "window_end": second + 1.0,
            "count": len(values),
            "min": values[:, sensor].min(),
            "max": values[:, sensor].max(),
            "mean": values[:, sensor].mean(),
            "std": values[:, sensor].std(),
            "quantiles": dict(zip(("0.05", "0.5", "0.95"), np.quantile(values[:, sensor], (0.05, 0.5, 0.95)), strict=True)),
            "ranges": np.bincount(np.searchsorted(EDGES, values[:, sensor], side="right"), minlength=len(EDGES) + 1),
            "bands": {
                name: spectrum[(frequencies >= low) & (frequencies < high), sensor].sum() for name, (low, high) in BANDS.items()
            },
        }
        for device in range(devices)
        for sensor in range(len(SENSORS))
    ]


def main() -> None:
    """Feed until the time is up."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--home", type=Path, default=Path(".caudal"))
    parser.add_argument("--product", default="eeg")
    parser.add_argument("--seconds", type=float, default=600)
    parser.add_argument("--rate", type=float, default=10)
    parser.add_argument("--platforms", action="store_true", help="write made-up figures of platforms too")
    asked = parser.parse_args()
    folder = asked.home / "live" / asked.product
    if asked.platforms:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "platforms.json").write_text(json.dumps(PLATFORMS))
    feed(folder, asked.seconds, asked.rate)


if __name__ == "__main__":
    main()
