"""Kill -9 at every step boundary and at random moments: the same command then finishes with the same tables, row for row."""

from __future__ import annotations

import os
import random
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest
from tests import zygote

from caudal.commands.new import create_product
from caudal.ledger.records import decisions, landed, model_versions, runs
from caudal.storage import delta
from caudal.storage.sweep import sweep
from caudal.tables.frames import arrow
from caudal.tables.home import Home

pytestmark = [pytest.mark.slow(minutes=2), pytest.mark.faults, pytest.mark.timeout(2400)]
KILLER = Path(__file__).parent / "killed.py"
# The sample product, made quicker: it is run some fifty times.
SMALLER = {
    "RandomForestRegressor(n_estimators=50, min_samples_leaf=3)": "RandomForestRegressor(n_estimators=5)",
    "HistGradientBoostingRegressor(max_iter=80)": "HistGradientBoostingRegressor(max_iter=5)",
    'cd.temporal(test="4 days", folds=3)': 'cd.temporal(test="3 days", folds=1)',
}
HELD = "counts_2024-04-08.csv"  # the week more
# Landed and built as another file and another table of the product: one of a kind is killed at each boundary.
ALIKE = ("counts_2024-04-01.csv", "visitors_hour")
VOLATILE = ("model_version", "input_version")


def caudal(when, folder, home, log, *options, fresh=False):
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
        *options,
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
    table = arrow(delta.read_version(folder))
    kept = [name for name in table.column_names if name not in VOLATILE]
    return sorted(map(repr, table.select(kept).to_pylist()))


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    """A product, its home after an undisturbed run, the snapshots of it and of one week more, the run's events and its length in seconds."""
    place = tmp_path_factory.mktemp("undisturbed")
    folder = create_product("shop", place)
    text = (folder / "product.py").read_text()
    for old, new in SMALLER.items():
        assert old in text
        text = text.replace(old, new)
    (folder / "product.py").write_text(text)
    for week in ("2024-03-04", "2024-03-11", "2024-03-18"):
        (folder / "landing" / f"counts_{week}.csv").unlink()
    # First the week more, from nothing: it warms Spark's cache as well, so that the next run is as long as those that are killed.
    assert caudal("count", folder, place / "whole", place / "whole.log", fresh=True) == 0
    whole = snapshot(place / "whole")
    shutil.move(folder / "landing" / HELD, place / HELD)
    began = time.monotonic()
    log = place / "events.log"
    assert caudal("count", folder, place / "home", log) == 0, log.with_suffix(".out").read_text()
    length = time.monotonic() - began
    events = [line.split(" ", 1) for line in log.read_text().splitlines()]
    return folder, place / "home", snapshot(place / "home"), whole, events, length


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
        assert sweep(table) == 0, f"{table.name} holds files that no version names"
    assert not list(home.glob("raw/shop/*/.landing-*"))


def boundaries(events):
    """Return where to kill: before and after each act that leaves a trace, once where nothing is done between two of them."""
    acts = ("commit", "write_step", "_copy", "_move_quarantined", "_enter")
    names = []
    for name, following in zip(events, [*events[1:], ""], strict=True):
        is_told_by_the_next = name.startswith("after ") and following.startswith("before ") and following.split()[1] in acts
        if name.split()[1] in acts and not name.endswith(ALIKE) and not is_told_by_the_next:
            names.append(name)
    return list(dict.fromkeys(names))


def test_every_boundary(undisturbed, tmp_path):
    """One home; the run is killed at each boundary in turn, taking up what the one before it left, and must finish in the end."""
    folder, _, expected, _, events, _ = undisturbed
    names = boundaries([name for _, name in events])
    kills, home = 0, tmp_path / "home"
    for number, name in enumerate(names):
        code = caudal(f"at:{name}", folder, home, tmp_path / f"{number}.log")
        assert code in (-9, 0), (tmp_path / f"{number}.out").read_text()
        kills += code == -9
        half_seen(home, expected)
    finishes(folder, home, tmp_path / "last.log", expected)
    assert kills >= len(names) - 4, f"{kills} of {len(names)}"
    assert len(names) > 8


def test_random_moments(undisturbed, tmp_path):
    """A home is killed up to three times, each at a random moment of what may be left to do, and then finishes."""
    folder, _, expected, _, _, length = undisturbed
    chance, hits = random.Random(11), 0
    for number in range(5):
        home = tmp_path / f"home-{number}"
        for kill in range(3):
            moment, began = chance.uniform(0.3, 0.95) * length * 0.8**kill, time.monotonic()
            code = caudal(f"after:{moment:.2f}", folder, home, tmp_path / f"{number}-{kill}.log")
            assert code in (-9, 0)
            if code == 0:
                if not kill:  # the machine has less to do than when the length was taken
                    length = min(length, time.monotonic() - began)
                break
            hits += 1
            half_seen(home, expected)
        finishes(folder, home, tmp_path / f"{number}-again.log", expected)
        shutil.rmtree(home)
        if hits >= 3:
            break
    assert hits >= 3


def test_the_process_of_sail_is_killed(undisturbed, tmp_path):
    """On ``sail`` the run fails with a sentence and nothing of the step is seen; on ``auto`` the step is done on Spark."""
    pytest.importorskip("pysail", reason="pip install 'caudal[sail]'")
    folder, _, expected, *_ = undisturbed
    home, log = tmp_path / "home", tmp_path / "sail.log"
    assert caudal("server:before judge_and_write counts", folder, home, log, "--engine", "sail") == 5
    assert "--engine auto" in log.with_suffix(".out").read_text()
    half_seen(home, expected)
    log = tmp_path / "auto.log"
    code = caudal("server:before judge_and_write counts", folder, home, log, "--engine", "auto")
    assert code == 0, log.with_suffix(".out").read_text()
    written = [line.split(" ", 1)[1] for line in log.read_text().splitlines() if line.endswith("judge_and_write counts")]
    assert written == ["before judge_and_write counts", "before judge_and_write counts", "after judge_and_write counts"]
    assert snapshot(home) == expected


def test_killed_while_an_increment_is_made(undisturbed, tmp_path):
    """A week more arrives; the run that takes it in is killed; what is there afterwards equals a run from nothing."""
    folder, home, _, whole, *_ = undisturbed
    shutil.copy(folder.parent / HELD, folder / "landing")
    try:
        chance = random.Random(5)
        for number in range(3):
            assert caudal(chance.randint(6, 40), folder, home, tmp_path / f"{number}.log") in (-9, 0)
        assert caudal("count", folder, home, tmp_path / "last.log") == 0
    finally:
        (folder / "landing" / HELD).unlink()
    seen = snapshot(home)
    for name in whole:
        if name.startswith(("table", "quarantine")) and "predictions" not in name:
            assert seen[name] == whole[name], name
