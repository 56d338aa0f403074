"""What lies in the home is damaged: each command says in one sentence what it is and how it is mended, and what it names mends it."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import sqlite3
import subprocess
from pathlib import Path

import pytest
from tests.flow.copies import copy_place
from typer.testing import CliRunner

from caudal.batch.batch import run
from caudal.cli import app as _commands  # noqa: F401 - all commands, not only those of one module
from caudal.cli.app import app
from caudal.declarations.settings import Settings
from caudal.ledger import ledger as ledgers
from caudal.storage import delta, delta_log
from caudal.tables.frames import arrow
from caudal.tables.home import Home

PRODUCT = '''
import caudal as cd
from caudal import expect as ex

COUNTS = cd.schema(at=cd.column("timestamp", nullable=False), shop="string", visitors="long")
product = cd.Product("p")
product.source("raw", cd.files("in/*"), schema=COUNTS, event_time="at", partition="day")

@product.table(event_time="at", partition="day", expect=[ex.between("visitors", 0, 100).quarantine()])
def clean(raw):
    """Cleaned."""
    return raw

@product.table
def total(clean):
    """Summed."""
    from pyspark.sql import functions as F
    return clean.groupBy("shop").agg(F.sum("visitors").alias("visitors"))
'''
GOOD = "at,shop,visitors\n2024-03-01 09:00:00,north,3\n2024-03-01 10:00:00,north,400\n2024-03-02 09:00:00,south,5\n"
TABLES = ("raw", "clean", "total")


@pytest.fixture(scope="module")
def made(tmp_path_factory, spark):
    """A product that has run, in a home that is copied for each damage."""
    place = tmp_path_factory.mktemp("damage")
    (place / "p" / "in").mkdir(parents=True)
    (place / "p" / "product.py").write_text(PRODUCT)
    (place / "p" / "in" / "good.csv").write_text(GOOD)
    assert run(place / "p", Settings(home=place / "home")).error is None
    return place


@pytest.fixture
def place(made, tmp_path):
    copy_place(made, tmp_path)
    return tmp_path


def command(place: Path, *words: str | Path, code: int):
    """Give a command, and hold its exit code and that it says one sentence of its own."""
    result = CliRunner().invoke(app, [*map(str, words), "--home", str(place / "home")])
    said = result.stdout + result.stderr
    assert result.exit_code == code, said
    assert "Traceback" not in said
    assert "caudal itself failed" not in said
    if code:
        assert "up to date" not in said
    return said


def rows(place: Path, table: str) -> list[dict[str, object]]:
    version = delta.read_version(Home(place / "home").table("p", table))
    names = [name for name in arrow(version).column_names if name != "_file"]
    return sorted(arrow(version, names).to_pylist(), key=str)


def verified(place: Path, code: int, *more: str) -> str:
    return command(place, "verify", *more, code=code)


def mend(place: Path, said: str) -> None:
    """Do what `verify` says, in the order in which it says it."""
    mended = re.findall(r"(?:again|older versions|these versions): ((?:rm|mkdir|caudal) .*)", said)
    assert mended, said
    for line in dict.fromkeys(mended):
        for part in line.split(" && "):
            words = shlex.split(part)
            if words[0] == "caudal":
                result = CliRunner().invoke(app, words[1:])
                assert result.exit_code == 0, result.stdout + result.stderr
            else:
                subprocess.run(words, check=True)


def data_file(place: Path, table: str) -> Path:
    return Path(sorted(delta.read_version(Home(place / "home").table("p", table)).paths())[-1])


def raw_file(place: Path) -> Path:
    return next(file for file in (place / "home" / "raw").rglob("*.csv"))


def log_entry(place: Path, table: str) -> Path:
    return delta_log.commits(Home(place / "home").table("p", table))[-1]


def overwritten(file: Path, content: bytes) -> None:
    file.chmod(0o644)
    file.write_bytes(content)


def flipped(file: Path, at: int | None = None) -> None:
    content = bytearray(file.read_bytes())
    content[len(content) // 3 if at is None else at] ^= 0xFF
    overwritten(file, bytes(content))


def values_flipped(file: Path) -> None:
    """Flip a byte of a column's values, which no header and no footer holds."""
    import pyarrow.parquet as pq

    column = pq.ParquetFile(file).metadata.row_group(0).column(0)
    flipped(file, column.data_page_offset + column.total_compressed_size - 3)


def truncated(file: Path) -> None:
    overwritten(file, file.read_bytes()[: file.stat().st_size // 2])


# what is damaged, the command, what it says
DAMAGES = [
    ("values", lambda place: values_flipped(data_file(place, "clean")), "export", "not as it was written"),
    ("footer", lambda place: flipped(data_file(place, "clean"), data_file(place, "clean").stat().st_size - 2), "export", "not as it was written"),
    ("file cut", lambda place: truncated(data_file(place, "clean")), "export", "not as it was written"),
    ("file cut", lambda place: truncated(data_file(place, "clean")), "run", r"Table 'clean' is damaged: '.*' has .* bytes, and .* were written"),
    ("file gone", lambda place: data_file(place, "clean").unlink(), "run", "Table 'clean' is damaged: '.*' is gone"),
    ("file gone", lambda place: data_file(place, "clean").unlink(), "export", r"'.*\.parquet' is gone"),
    ("quarantine gone", lambda place: data_file(place, "_quarantine/clean").unlink(), "run", "Table 'clean' is damaged: '.*' is gone"),
    ("entry cut", lambda place: truncated(log_entry(place, "clean")), "run", "The log of table 'clean' is damaged"),
    ("entry cut", lambda place: truncated(log_entry(place, "clean")), "export", "The log of table 'clean' is damaged"),
    ("entry cut", lambda place: truncated(log_entry(place, "clean")), "status", "The log of table 'clean' is damaged"),
    ("entry empty", lambda place: overwritten(log_entry(place, "clean"), b""), "run", "The log of table 'clean' is damaged"),
    ("entry empty", lambda place: overwritten(log_entry(place, "clean"), b""), "status", "The log of table 'clean' is damaged"),
    ("entry gone", lambda place: log_entry(place, "clean").unlink(), "export", "The log of table 'clean' is gone"),
    ("log gone", lambda place: shutil.rmtree(log_entry(place, "clean").parent), "export", "The log of table 'clean' is gone"),
    ("raw changed", lambda place: overwritten(raw_file(place), raw_file(place).read_bytes().replace(b",3", b",4")), "backfill", "not as it landed: its bytes have changed"),
    ("raw gone", lambda place: raw_file(place).unlink(), "backfill", "Raw file '.*' of source 'raw' is gone; it came from '.*good.csv'"),
    ("ledger garbage", lambda place: overwritten(place / "home/ledger.db", b"no database" * 999), "status", "The ledger is damaged: file is not a database"),
    ("ledger garbage", lambda place: overwritten(place / "home/ledger.db", b"no database" * 999), "run", "The ledger is damaged: file is not a database"),
    ("ledger empty", lambda place: overwritten(place / "home/ledger.db", b""), "run", "The ledger '.*' is empty, and its home holds tables"),
    ("ledger gone", lambda place: (place / "home/ledger.db").unlink(), "run", "The ledger '.*' is gone, and its home holds tables"),
    ("ledger gone", lambda place: (place / "home/ledger.db").unlink(), "status", "The ledger '.*' is gone, and its home holds tables"),
    ("ledger newer", lambda place: ledger_said(place, "UPDATE ledger_version SET version_num = '9999'"), "run", "The ledger is of version 9999"),
    ("ledger torn", lambda place: ledger_said(place, "DROP TABLE steps"), "status", "The ledger is damaged: no such table: steps"),
    ("ledger torn", lambda place: ledger_said(place, "DROP TABLE landed"), "run", "The ledger is damaged: no such table: landed"),
]  # fmt: skip


def ledger_said(place: Path, statement: str) -> None:
    database = sqlite3.connect(place / "home" / "ledger.db")
    database.execute(statement)
    database.commit()
    database.close()


def given(place: Path, name: str, code: int) -> str:
    match name:
        case "export":
            return command(place, "export", "clean", place / "out.csv", code=code)
        case "run":
            return command(place, "run", place / "p", code=code)
        case "backfill":
            return command(place, "backfill", place / "p", "--table", "raw", code=code)
        case _:
            return command(place, name, code=code)


@pytest.mark.parametrize(("what", "damage", "name", "said"), DAMAGES, ids=[f"{what}-{name}" for what, _, name, _ in DAMAGES])
def test_damage_is_said_in_one_sentence_with_its_exit_code(place, what, damage, name, said):
    damage(place)
    for left in (place / "home").glob("ledger.db-*"):
        left.unlink()
    text = given(place, name, 6)
    assert re.search(said, text), text
    assert not (place / "out.csv").exists()


def test_a_table_whose_log_is_gone_is_made_again_by_a_run(place):
    before = rows(place, "clean")
    shutil.rmtree(log_entry(place, "clean").parent)
    said = " ".join(given(place, "run", 0).split())
    assert "'clean' is made again: the log of its table is gone, and the ledger knows of version 0." in said
    assert "table:clean" in said
    assert rows(place, "clean") == before
    why = " ".join(command(place, "status", "--why", "p/table:clean", code=0).split())
    assert "ran: the log of its table is gone, and the ledger knows of version 0" in why
    assert "is made again" not in given(place, "run", 0)


def test_a_table_that_is_older_than_the_ledger_says_so(place):
    (place / "p" / "in" / "more.csv").write_text("at,shop,visitors\n2024-03-03 09:00:00,east,7\n")
    given(place, "run", 0)
    before = rows(place, "clean")
    log_entry(place, "clean").unlink()
    said = " ".join(given(place, "run", 0).split())
    assert (
        "'clean' is compared with its inputs again: its table has version 0 as its newest, and the ledger knows of version 1."
        in said
    )
    assert rows(place, "clean") == before


# what is damaged, and whether the rows stay readable until it is mended
MENDED = {
    "values": lambda place: values_flipped(data_file(place, "clean")),
    "file gone": lambda place: data_file(place, "clean").unlink(),
    "source's file gone": lambda place: data_file(place, "raw").unlink(),
    "whole table's file cut": lambda place: truncated(data_file(place, "total")),
    "quarantined file gone": lambda place: data_file(place, "_quarantine/clean").unlink(),
    "entry cut": lambda place: truncated(log_entry(place, "clean")),
    "entry gone": lambda place: log_entry(place, "clean").unlink(),
    "quarantine's entry cut": lambda place: truncated(log_entry(place, "_quarantine/clean")),
    "raw changed": lambda place: flipped(raw_file(place)),
    "raw gone": lambda place: raw_file(place).unlink(),
}


@pytest.mark.slow
@pytest.mark.parametrize("what", MENDED)
def test_what_verify_names_mends_it_and_every_table_is_as_before(place, what):
    before = {table: rows(place, table) for table in TABLES}
    verified(place, 0, "--deep")
    MENDED[what](place)
    said = verified(place, 6)
    mend(place, said)
    verified(place, 0, "--deep")
    assert {table: rows(place, table) for table in TABLES} == before
    assert rows(place, "_quarantine/clean")[0]["visitors"] == 400


def test_raw_whose_origin_is_gone_is_named_with_what_is_lost(place):
    raw_file(place).unlink()
    (place / "p" / "in" / "good.csv").unlink()
    said = verified(place, 6)
    assert "Its origin '" in said
    assert "does not hold these bytes any more" in said
    assert "Its 3 rows stand in table 'raw', and are lost when that is made again from raw." in said


def test_the_bytes_of_raw_are_looked_at_though_size_and_time_are_as_they_were(place):
    file = raw_file(place)
    stat = file.stat()
    overwritten(file, file.read_bytes().replace(b"north,3", b"north,9"))
    os.utime(file, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    assert "its bytes have changed" in verified(place, 6)
    assert rows(place, "total") == [{"shop": "north", "visitors": 3}, {"shop": "south", "visitors": 5}]


def test_a_ledger_that_another_process_has_locked_is_told(place, monkeypatch):
    monkeypatch.setattr(ledgers, "BUSY_MS", 100)
    database = sqlite3.connect(place / "home" / "ledger.db", isolation_level=None)
    database.execute("BEGIN EXCLUSIVE")
    (place / "p" / "in" / "more.csv").write_text(GOOD.replace("2024-03-0", "2024-04-0"))
    try:
        assert "The ledger is locked by another process" in given(place, "run", 6)
    finally:
        database.close()


def test_a_ledger_that_is_older_than_the_lake_says_is_found(place):
    ledger_said(place, "UPDATE steps SET output_version = 7 WHERE name = 'clean'")
    assert "The ledger says that table 'clean' is at version 7, and it has only versions up to 0" in verified(place, 6)


def test_a_model_whose_files_changed_is_found(place):
    home = Home(place / "home")
    folder = home.models("p", "m") / "1"
    folder.mkdir(parents=True)
    (folder / "model.skops").write_bytes(b"model")
    from caudal.ledger.records import model_versions
    from caudal.registry.artifact import model_digest

    row = {
        "product": "p", "model": "m", "version": 1, "candidate": "c", "created_at": 1.0, "run_id": "r", "fingerprint": "f", "code": "c",
        "training_table": "t", "training_version": 0, "training_rows": 1, "parameters": {}, "metrics": {}, "signature": {}, "environment": {},
        "artifact": "models/p/m/1", "artifact_sha256": model_digest(folder), "format": "skops",
    }  # fmt: skip
    ledger = home.ledger()
    ledger.add(model_versions, row)
    ledger.close()
    verified(place, 0)
    flipped(folder / "model.skops", 0)
    assert "The files of version 1 of model 'm' are not those that were registered" in verified(place, 6)


def test_what_is_none_of_a_version_is_a_note_and_no_fault(place):
    folder = Home(place / "home").table("p", "clean")
    (folder / "part-dead").mkdir()
    shutil.copy(data_file(place, "clean"), folder / "part-dead" / "left.parquet")
    assert "1 files of table 'clean' of 'p' are named by no version" in verified(place, 0)
