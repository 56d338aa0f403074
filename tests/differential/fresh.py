"""Runs in this process, as ``caudal run`` does them: a home that is brought up to date again and again, and a fresh one beside it."""

from __future__ import annotations

import contextlib
import functools
import hashlib
import importlib
import json
import os
import shutil
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import count
from pathlib import Path
from typing import Any

import deltalake
from tests.differential import folder as text
from tests.differential.grammar import Product
from tests.differential.histories import Content, History, Kill, Moment, encoded
from tests.differential.reference import Row, Rows
from tests.plans import SMALL

from caudal.batch.batch import run
from caudal.commands.backfill import backfill
from caudal.declarations.settings import Settings
from caudal.errors import NotThere
from caudal.ledger.ledger import Ledger
from caudal.runtime.run_record import RunRecord
from caudal.storage import delta
from caudal.tables.home import Home

BEGAN_S = 1_700_000_000
TRACES = (
    ("caudal.batch.execute", "perform"), ("caudal.batch.execute", "write_step"), ("caudal.tables.landing", "_copy"), ("caudal.storage.delta", "commit"),
    ("caudal.batch.publish", "_move_quarantined"), ("caudal.stages.enforce.judging.write", "write_judged"), ("caudal.batch.flow", "begin"), ("caudal.batch.flow", "end"), ("caudal.batch.flow", "store_manifest"),
)  # fmt: skip


class Killed(BaseException):
    """The process was killed here."""


class Failed(AssertionError):
    """A run failed that should have succeeded."""


@dataclass
class Place:
    """A product's folder, its data and the home of its runs."""

    root: Path
    data: Path
    home: Path

    @property
    def product(self) -> Path:
        """The product's folder."""
        return self.root / "drawn"

    @property
    def settings(self) -> Settings:
        """What a run is given."""
        return Settings(home=self.home, data=self.data, cores=1, spark=SMALL)

    def run(self) -> None:
        """Run the product as a new process would: nothing of its modules is remembered."""
        forget(self.product)
        result = run(self.product, self.settings)
        if result.error is not None:
            raise Failed(result.error.sentence())

    def backfill(self, first: str, last: str) -> None:
        """Make days of the product again, if there are rows of them."""
        forget(self.product)
        with contextlib.suppress(NotThere):
            result = backfill(self.product, self.settings, first, last)
            if result.error is not None:
                raise Failed(result.error.sentence())


def forget(folder: Path) -> None:
    """Take away what this process remembers of the modules of a folder."""
    for name, module in list(sys.modules.items()):
        if (getattr(module, "__file__", None) or "").startswith(f"{folder}{os.sep}"):
            del sys.modules[name]
    importlib.invalidate_caches()
    shutil.rmtree(folder / "__pycache__", ignore_errors=True)


@contextlib.contextmanager
def wrong_by(shift_s: int, after: int = 0) -> Iterator[None]:
    """Have this process's clock be wrong during the block, from the time on that it has been read so often."""
    if not shift_s:
        yield
        return
    right = time.time

    readings = count()

    def shifted() -> float:
        return right() + (shift_s if next(readings) >= after else 0)

    defaults = RunRecord.__init__.__defaults__ or ()
    time.time = shifted
    RunRecord.__init__.__defaults__ = tuple(shifted if value is right else value for value in defaults)
    try:
        yield
    finally:
        time.time = right
        RunRecord.__init__.__defaults__ = defaults


@contextlib.contextmanager
def killed_at(kill: Kill) -> Iterator[None]:
    """Have the block end before or after a trace is left; what is dead leaves no more traces."""
    calls, dead = 0, False
    own = threading.get_ident()
    undo: list[Callable[[], None]] = []

    def moment(name: str) -> None:
        nonlocal calls, dead
        calls += name == kill.trace
        if dead or calls == kill.number:
            dead = True
            raise Killed

    def arm(owner: Any, name: str) -> None:
        original = getattr(owner, name)

        @functools.wraps(original)
        def call(*args: Any, **kwargs: Any) -> Any:
            if threading.get_ident() != own:  # who watches a run dies with it, and in silence
                return None if dead else original(*args, **kwargs)
            moment(name)
            result = original(*args, **kwargs)
            moment(name)
            return result

        setattr(owner, name, call)
        undo.append(lambda: setattr(owner, name, original))

    for module, name in TRACES:
        arm(importlib.import_module(module), name)
    for name in ("add", "change"):
        arm(Ledger, name)
    try:
        yield
    except (Killed, Exception):
        if not dead:
            raise  # else what goes wrong in a dead process goes wrong for nobody
    finally:
        for put_back in undo:
            put_back()


def rows_of(home: Path, product: str, name: str, *, quarantine: bool = False) -> tuple[dict[str, str], Rows] | None:
    """Return a table's columns with their types and its rows, as any reader of Delta has them."""
    place = Home(home)
    folder = place.quarantine(product, name) if quarantine else place.table(product, name)
    if delta.version_of(folder) is None:
        return None
    table = deltalake.DeltaTable(str(folder)).to_pyarrow_table()
    return {column.name: str(column.type) for column in table.schema}, table.to_pylist()


def multiset(rows: Rows, columns: list[str], digits: int = 17) -> Counter[tuple[Any, ...]]:
    """Return rows with their types, counted; numbers with a point to so many digits, and what came as an object whatever its keys' order."""

    def plain(column: str, value: Any) -> tuple[str, Any]:
        kind = type(value).__name__
        if column == "_raw" and value is not None:  # columns that nobody declared stand in the order in which they came
            return kind, json.dumps(json.loads(value), sort_keys=True)
        if isinstance(value, float):
            return kind, float(f"{value:.{digits}g}")
        return kind, tuple(value) if isinstance(value, list) else value

    return Counter(tuple(plain(column, row[column]) for column in columns) for row in rows)


@dataclass
class World:
    """A history as it is played: the incremental home, what has landed, and a fresh home at each moment.

    Parameters
    ----------
    compared : how many tables were compared, with a fresh run and with the reference
    """

    history: History
    root: Path
    write: Callable[[Product, Path], None] = text.write
    landed: dict[str, tuple[str, Content, bytes]] = field(default_factory=dict)
    counts: Counter[str] = field(default_factory=Counter)
    product: Product = field(init=False)
    files: int = 0

    def __post_init__(self) -> None:
        self.product = self.history.product
        self.steadily = Place(self.root, self.root / "data", self.root / "home")
        self.steadily.data.mkdir(parents=True)

    def play(self, moment: Moment) -> None:
        """Let a moment happen, and run the product."""
        formats = {source.name: source for source in self.product.sources}
        for name in moment.gone:
            (self.steadily.data / name).unlink()
        for put in moment.puts:
            file = self.steadily.data / put.name
            file.write_bytes(encoded(put.content, formats[put.source]))
            self.files += 1
            os.utime(file, (BEGAN_S + self.files, BEGAN_S + self.files))
            self.landed[put.name] = (put.source, put.content, file.read_bytes())
        self.product = replace(self.product, numbers={**self.product.numbers, **moment.numbers})
        self.write(self.product, self.steadily.product)
        with wrong_by(moment.shift_s, moment.shift_after):
            if moment.kill is not None:
                with killed_at(moment.kill):
                    self.steadily.run()
            self.steadily.run()
            if moment.backfill is not None:
                if moment.kill is not None:
                    with killed_at(moment.kill):
                        self.steadily.backfill(*moment.backfill)
                    self.steadily.run()
                self.steadily.backfill(*moment.backfill)
        self.counts["runs"] += 1

    def fresh(self) -> Place:
        """Return a home made by one run over everything that has landed, as it was last."""
        place = Place(self.root, self.root / "all", self.root / "fresh")
        for folder in (place.data, place.home):
            shutil.rmtree(folder, ignore_errors=True)
        place.data.mkdir()
        for name, (_, _, body) in self.landed.items():
            (place.data / name).write_bytes(body)
            os.utime(place.data / name, (BEGAN_S, BEGAN_S))
        place.run()
        self.counts["runs"] += 1
        return place

    def source_rows(self) -> Mapping[str, Rows]:
        """Return the rows of each source: of every name the newest content, each content once."""
        rows: dict[str, list[Row]] = {source.name: [] for source in self.product.sources}
        seen: set[tuple[str, str]] = set()
        for source, content, body in self.landed.values():
            sha256 = hashlib.sha256(body).hexdigest()
            if (source, sha256) not in seen:
                seen.add((source, sha256))
                rows[source] += [{**{column: row.get(column) for column in COLUMNS}, "_file": sha256[:16]} for row in content.rows]
        return rows


COLUMNS = ("id", "k", "at", "until", "v", "n")
