"""Folders of any name: home, product and data, with every character that some library takes for a pattern, an escape or an end."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from deltalake import DeltaTable
from hypothesis import given, strategies as st
from sqlalchemy import create_engine
from sqlalchemy.engine import make_url
from tests import here, lakes

from caudal.storage import delta
from caudal.storage.driver import sqlite_url
from caudal.storage.mirror import delta_address, plain_folder
from caudal.tables.frames import arrow, version_frame
from caudal.tables.home import Home

ODD = "a%20b %?#[1]{x,y}\\g*h'i\"j ü:m~$&+=;@!^`|<>\nk"
NAMES = st.text(st.characters(exclude_characters="/\0", exclude_categories=["Cs"]), min_size=1, max_size=12).filter(
    lambda name: name not in (".", "..")
)

PRODUCT = """
import caudal as cd
product = cd.Product("odd")
TYPES = dict(id="long", v="double")
product.source("text", cd.files("*.csv"), schema=cd.schema(**TYPES))
product.source("lines", cd.files("*.json"), schema=cd.schema(**TYPES))
product.source("columns", cd.files("*.parquet"), schema=cd.schema(**TYPES))

@product.table
def whole(text, lines, columns):
    return text.drop("_file").unionByName(lines.drop("_file")).unionByName(columns.drop("_file"))
"""


def test_one_home_of_every_odd_character_runs_and_nothing_lies_beside_it(tmp_path):
    place = tmp_path / ODD
    data = place / f"data {ODD}"
    (place / "p").mkdir(parents=True)
    data.mkdir()
    (place / "p" / "product.py").write_text(PRODUCT)
    (data / "a.csv").write_text("id,v\n1,1.5\n")
    (data / "a.json").write_text('{"id": 2, "v": 2.5}\n')
    pq.write_table(pa.table({"id": [3], "v": [3.5]}), data / "a.parquet")

    def caudal(*words: str | Path) -> str:
        command = [sys.executable, "-m", "caudal", *map(str, words)]
        done = here.run(command, capture_output=True, text=True, timeout=300, cwd=place, env=dict(os.environ))
        assert done.returncode == 0, done.stdout + done.stderr
        return str(done.stdout)

    before = {entry.name for entry in place.iterdir()}
    caudal("run", place / "p", "--home", place / "home", "--data", data)
    document = json.loads(caudal("status", "--home", place / "home", "--json"))
    assert {table["table"]: table["rows"] for table in document["products"][0]["tables"]} == {
        "text": 1,
        "lines": 1,
        "columns": 1,
        "whole": 3,
    }
    caudal("export", "whole", place / "out.csv", "--home", place / "home")
    assert sorted((place / "out.csv").read_text().splitlines()[1:]) == ["1,1.5", "2,2.5", "3,3.5"]
    caudal("verify", "--deep", "--home", place / "home")
    assert "up to date" in caudal("run", place / "p", "--home", place / "home", "--data", data)
    assert {entry.name for entry in place.iterdir()} == before | {"home", "out.csv"}
    assert [entry.name for entry in tmp_path.iterdir()] == [ODD]


@given(NAMES)
def test_the_ledger_s_url_means_the_file_that_it_is_made_of(name):
    file = Path("/homes") / name / "ledger.db"
    assert make_url(sqlite_url(file)).database == str(file)
    assert Home(Path("/homes") / name).url == sqlite_url(file)


@pytest.mark.parametrize(
    "name", ["p%20c", "q?mark", "hash#", "br[1]", "cur{a,b}", "back\\slash", "st*r", "new\nline", "ü", "a:b", "100%"]
)
def test_tables_and_databases_lie_in_a_folder_of_the_very_name(tmp_path, name, spark):
    folder = tmp_path / name / "t"
    for number in range(2):
        version = lakes.write(folder, pa.table({"x": [number]}), replace="none")
    assert version.number == 1
    assert sorted(arrow(delta.read_version(folder)).column("x").to_pylist()) == [0, 1]
    assert sorted(row.x for row in version_frame(spark, delta.read_version(folder)).collect()) == [0, 1]
    assert (folder / "_delta_log").is_dir()
    assert DeltaTable(delta_address(folder)).version() == 1
    engine = create_engine(sqlite_url(tmp_path / name / "ledger.db"))
    engine.connect().close()
    assert (tmp_path / name / "ledger.db").exists()
    engine.dispose()
    assert plain_folder(tmp_path / name).resolve() == (tmp_path / name).resolve()
    assert [entry.name for entry in tmp_path.iterdir()] == [name]


def test_other_names_of_folders_go_with_their_process(tmp_path):
    folder = tmp_path / "a%20b"
    folder.mkdir()
    told = "import sys; from pathlib import Path; from caudal.storage.mirror import delta_address; print(delta_address(Path(sys.argv[1])))"
    done = subprocess.run([sys.executable, "-c", told, str(folder)], capture_output=True, text=True, check=True)
    assert not Path(done.stdout.strip()).exists()
    assert (folder / "_delta_log").is_dir()
