"""``caudal new``: a product's folder with a sample that runs, its data, its tests and a README."""

from __future__ import annotations

import csv
import datetime as dt
import math
import random
from importlib.resources import files
from pathlib import Path
from string import Template

from caudal.errors import DeclarationProblem

FILES = ("product.py", "README.md", "notebook.ipynb", "tests/test_product.py")


def create_product(name: str, into: Path) -> Path:
    """Create the folder ``into/name`` with a sample product and return it.

    Raises
    ------
    DeclarationProblem : the name is not valid for a product, or the folder exists and is not empty
    """
    if not name.isidentifier():
        fixed = "".join(letter if letter.isalnum() else "_" for letter in name).strip("_") or "my_product"
        raise DeclarationProblem(
            f"'{name}' cannot name a product.",
            nearest=fixed if fixed.isidentifier() else f"p_{fixed}",
            fix="Use letters, digits and _, not starting with a digit.",
        )
    folder = into / name
    if folder.exists() and any(folder.iterdir()):
        raise DeclarationProblem(f"'{folder}' is there already and not empty.", fix="Choose another name, or remove it.")
    for file in FILES:
        text = Template(files("caudal.commands").joinpath("templates", *f"{file}.txt".split("/")).read_text(encoding="utf-8"))
        target = folder / file
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text.safe_substitute(name=name, folder=folder), encoding="utf-8")
    _sample(folder / "landing")
    return folder


def _sample(folder: Path, weeks: int = 6, seed: int = 7) -> None:
    """Write simulated counts, one file a week: a daily shape, weekends, weather, and a few faults for the quarantine to find."""
    random_source = random.Random(seed)
    folder.mkdir(parents=True)
    start = dt.datetime(2024, 3, 4)
    for week in range(weeks):
        rows: list[list[object]] = []
        for hour in range(7 * 24):
            at = start + dt.timedelta(weeks=week, hours=hour)
            celsius = 9 + 6 * math.sin((at.hour - 9) / 24 * 2 * math.pi) + week + random_source.gauss(0, 1)
            for shop, size in (("north", 40), ("south", 25)):
                hour_factor = max(0.0, math.sin((at.hour - 8) / 12 * math.pi)) if 8 <= at.hour <= 20 else 0.0
                expected_visitors = size * hour_factor * (1.5 if at.weekday() >= 5 else 1.0) * (1 + (celsius - 10) / 60)
                rows.append(
                    [
                        at.isoformat(sep=" "),
                        shop,
                        max(0, round(random_source.gauss(expected_visitors, 1 + expected_visitors**0.5 / 2))),
                        round(celsius, 1),
                    ]
                )
        rows.append(rows[12])  # the same row twice
        rows[30] = [*rows[30][:2], 99999, rows[30][3]]  # a value far out of range
        rows[60] = [*rows[60][:2], "", rows[60][3]]  # a missing count
        with (folder / f"counts_{start + dt.timedelta(weeks=week):%Y-%m-%d}.csv").open("w", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(["counted_at", "shop", "visitors", "celsius"])
            writer.writerows(rows)
