"""A home with ids of every kind whose neighbours are nearly they: each erasure takes its subject's rows from every place, and nobody else's."""

from __future__ import annotations

import gzip
import json
import sqlite3
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from caudal.errors import StepFailed
from caudal.lake import delta
from caudal.lake.frames import arrow
from caudal.lake.home import Home
from caudal.run.governance.erase import erase
from caudal.run.run import run
from caudal.spec.settings import Settings

pytestmark = [pytest.mark.slow]
NUMBERS = [1234567890123456789, 1234567890123456788, 1234567890123456700, 7, 70]
NAMES = ['Jo "Ace"', 'Jo "Ace', "Jo", "jo", "Jo ", "007", "7", "1e3", "back\\slash", "Ä-umlaut", "two\nlines"]
PRODUCT = """
import caudal as cd
from caudal import expect as ex

product = cd.Product("persons")
product.source("orders", cd.files("orders.csv"), schema=cd.schema(user="long", n="long"), expect=[ex.positive("n", or_zero=True).quarantine()])
product.source("names", cd.files("names.csv"), schema=cd.schema(name="string", n="long"))
product.source("packed", cd.files("packed.json.gz"), schema=cd.schema(name="string", n="long"))
product.source("cats", cd.files("cats.parquet"), schema=cd.schema(name="string", n="long"))
product.subject("user")
product.subject("name")


@product.table
def all_names(names, cats):
    return names.select("name", "n").unionByName(cats.select("name", "n"))
"""


@pytest.fixture(scope="module")
def home(tmp_path_factory, spark):
    place = tmp_path_factory.mktemp("persons")
    (place / "p").mkdir()
    (place / "p" / "product.py").write_text(PRODUCT)
    data = place / "data"
    data.mkdir()
    (data / "orders.csv").write_text("user,n\n" + "".join(f"{user},{n}\n{user},-{n + 1}\n" for n, user in enumerate(NUMBERS)))
    quoted = [name.replace('"', '""') for name in NAMES]
    (data / "names.csv").write_text("name,n\n" + "".join(f'"{name}",{n}\n' for n, name in enumerate(quoted)), newline="")
    with gzip.open(data / "packed.json.gz", "wt") as out:
        out.writelines(json.dumps({"name": name, "n": n}) + "\n" for n, name in enumerate(NAMES))
    pq.write_table(pa.table({"name": pa.array(NAMES).dictionary_encode(), "n": range(len(NAMES))}), data / "cats.parquet")
    settings = Settings(home=place / "home", data=data, cores=2, memory="1g")
    assert run(place / "p", settings).error is None
    return place / "p", settings


def rows(settings, table, column):
    home = Home(settings.home)
    places = [home.table("persons", table), home.quarantine("persons", table)]
    return sorted(
        value
        for place in places
        if delta.version_of(place) is not None
        for value in arrow(delta.read(place)).column(column).to_pylist()
    )


def everything(folder: Path) -> bytes:
    """Return every byte below a folder, unpacked, Parquet as its values."""
    content = []
    for file in sorted(folder.rglob("*")):
        if file.is_file():
            octets = file.read_bytes()
            if octets[:4] == b"PAR1":
                octets = repr(pq.ParquetFile(file).read().to_pylist()).encode()
            elif octets[:2] == b"\x1f\x8b":
                octets = gzip.decompress(octets)
            elif octets.startswith(b"SQLite format 3"):
                octets = "\n".join(sqlite3.connect(file).iterdump()).encode()
            content.append(octets)
    return b"\n".join(content)


def test_each_is_erased_alone(home):
    folder, settings = home
    numbers, names = list(NUMBERS), list(NAMES)
    for column, value in (("user", 1234567890123456789), ("name", 'Jo "Ace"')):
        assert erase(folder, settings, f"{column}={value}", yes=True)["done"]
        (numbers if column == "user" else names).remove(value)
        assert rows(settings, "orders", "user") == sorted(numbers * 2)
        for table in ("names", "cats", "packed"):
            assert rows(settings, table, "name") == sorted(names), table
        assert rows(settings, "all_names", "name") == sorted(names * 2)
    left = everything(settings.home)
    assert b"1234567890123456789" not in left
    assert b"1234567890123456788" in left
    for text in ('Jo "Ace"', 'Jo ""Ace""', json.dumps('Jo "Ace"')):
        assert text.encode() not in left
    assert run(folder, settings).error is None
    assert rows(settings, "orders", "user") == sorted(numbers * 2)
    found = {value: erase(folder, settings, f"name={value}")["rows"]["raw"] for value in NAMES}
    assert found == {value: 3 * (value in names) for value in NAMES}


def test_what_cannot_be_searched_is_said_by_place_and_is_a_failure(home):
    folder, settings = home
    raw = next((settings.home / "raw" / "persons" / "cats").rglob("*.parquet"))
    raw.chmod(0o644)
    raw.write_bytes(b"PAR1 not one")
    with pytest.raises(StepFailed, match=r"raw file .* of cats") as failed:
        erase(folder, settings, "name=back\\slash", yes=True)
    assert "cats" in failed.value.facts["not_searched"][0]
