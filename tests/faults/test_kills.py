"""Kill -9 at every step boundary and at random moments: the same command then finishes with the same tables, row for row."""

from __future__ import annotations

import os
import random
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from tests import zygote

from caudal.lake import delta
from caudal.lake.frames import arrow
from caudal.lake.home import Home
from caudal.lake.records import decisions, landed, model_versions, runs
from caudal.run.new import create

pytestmark = [pytest.mark.slow, pytest.mark.faults, pytest.mark.timeout(2400)]
KILLER = Path(__file__).parent / "killed.py"
# The sample product, made quicker: it is run some fifty times.
SMALLER = {
    "RandomForestRegressor(n_estimators=50, min_samples_leaf=3)": "RandomForestRegressor(n_estimators=5)",
    "HistGradientBoostingRegressor(max_iter=80)": "HistGradientBoostingRegressor(max_iter=5)",
    'cd.temporal(test="4 days", folds=3)': 'cd.temporal(test="3 days", folds=1)',
}
VOLATILE = ("model_version", "input_version")


def caudal(when, folder, home, log, fresh=False):
    """Run the product, to die at ``when``; returns the exit code."""
    command = [
        sys.executable,
        str(KILLER),
        str(when),
        str(log),
        "--",
        "run",
        str(folder),
        "--data",
        str(folder),
        "--home",
        str(home),
        "--json",
    ]
    out = log.with_suffix(".out")
    with out.open("w") as told:
        environment = {**os.environ, "CAUDAL_MEMORY": "1g"}
        return zygote.run(command, stdout=told, stderr=subprocess.STDOUT, env=environment, timeout=300, fresh=fresh).returncode


def snapshot(home):
    """Return everything that a reader can see: tables, quarantine, models, decisions, landed files."""
    place = Home(home)
    seen = {}
    for kind, root in (("table", home / "lake" / "shop"), ("quarantine", home / "lake" / "shop" / "_quarantine")):
        for folder in sorted(root.iterdir()) if root.is_dir() else ():
            if delta.version_of(folder) is not None:
                seen[f"{kind} {folder.name}"] = rows_of(folder)
    ledger = place.ledger()
    seen["landed"] = sorted((row["path"], row["sha256"]) for row in ledger.find(landed))
    seen["versions"] = [(row["version"], row["candidate"], row["metrics"]) for row in ledger.find(model_versions)]
    seen["decisions"] = [(row["version"], row["decision"]) for row in ledger.find(decisions)]
    seen["running"] = len(ledger.find(runs, state="running"))
    ledger.close()
    return seen


def rows_of(folder):
    table = arrow(delta.read(folder))
    kept = [name for name in table.column_names if name not in VOLATILE]
    return sorted(map(repr, table.select(kept).to_pylist()))


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    """A product, the snapshot of its undisturbed run, that of one week more, the events of a run, and its length in seconds."""
    import time

    place = tmp_path_factory.mktemp("undisturbed")
    folder = create("shop", place)
    text = (folder / "product.py").read_text()
    for old, new in SMALLER.items():
        assert old in text
        text = text.replace(old, new)
    (folder / "product.py").write_text(text)
    for week in ("2024-03-04", "2024-03-11", "2024-03-18"):
        (folder / "landing" / f"counts_{week}.csv").unlink()
    held = folder / "landing" / "counts_2024-04-08.csv"
    shutil.move(held, place / held.name)
    assert caudal("count", folder, place / "warm", place / "warm.log") == 0
    began = time.monotonic()
    log = place / "events.log"
    assert caudal("count", folder, place / "home", log) == 0, log.with_suffix(".out").read_text()
    length = time.monotonic() - began
    events = [line.split(" ", 1) for line in log.read_text().splitlines()]
    return folder, snapshot(place / "home"), events, length


def half_seen(home, expected):
    """Whoever reads in between sees nothing, or the whole."""
    for name, rows in snapshot(home).items() if (home / "ledger.db").exists() else ():
        if name.startswith("table"):
            assert rows == expected[name], f"half a {name} was visible"


def finishes(folder, home, log, expected):
    """The same command finishes; readers see what the undisturbed run gave, and nothing else is left."""
    half_seen(home, expected)
    assert caudal("count", folder, home, log) == 0, log.with_suffix(".out").read_text()
    assert snapshot(home) == expected
    for table in (home / "lake" / "shop").iterdir():
        assert delta.sweep(table) == 0, f"{table.name} holds files that no version names"
    assert not list(home.glob("raw/shop/*/.landing-*"))


def test_every_boundary(undisturbed, tmp_path):
    """One home; the run is killed at each boundary in turn, taking up what the one before it left, and must finish in the end."""
    folder, expected, events, _ = undisturbed
    names = list(dict.fromkeys(name for _, name in events if name.split()[1] in ("commit", "_tell", "_copy", "_moved", "_enter")))
    kills, home = 0, tmp_path / "home"
    for number, name in enumerate(names):
        code = caudal(f"at:{name}", folder, home, tmp_path / f"{number}.log")
        assert code in (-9, 0), (tmp_path / f"{number}.out").read_text()
        kills += code == -9
        half_seen(home, expected)
    finishes(folder, home, tmp_path / "last.log", expected)
    assert kills >= 24, f"{kills} of {len(names)}"


def test_random_moments(undisturbed, tmp_path):
    folder, expected, _, length = undisturbed
    chance = random.Random(11)
    for number in range(5):
        home = tmp_path / f"home-{number}"
        code = caudal(f"after:{chance.uniform(0.3, 0.95) * length:.2f}", folder, home, tmp_path / f"{number}.log")
        assert code in (-9, 0)
        finishes(folder, home, tmp_path / f"{number}-again.log", expected)
        shutil.rmtree(home)


def test_killed_while_an_increment_is_made(undisturbed, tmp_path):
    """A week more arrives; the run that takes it in is killed; what is there afterwards equals a run from nothing."""
    folder, *_ = undisturbed
    home, copy = tmp_path / "home", tmp_path / "shop"
    shutil.copytree(folder, copy)
    assert caudal("count", copy, home, tmp_path / "first.log") == 0
    shutil.copy(folder.parent / "counts_2024-04-08.csv", copy / "landing")
    chance = random.Random(5)
    for number in range(3):
        assert caudal(chance.randint(6, 40), copy, home, tmp_path / f"{number}.log") in (-9, 0)
    assert caudal("count", copy, home, tmp_path / "last.log") == 0
    assert caudal("count", copy, tmp_path / "whole", tmp_path / "whole.log") == 0
    seen, whole = snapshot(home), snapshot(tmp_path / "whole")
    for name in whole:
        if name.startswith(("table", "quarantine")) and "predictions" not in name:
            assert seen[name] == whole[name], name
