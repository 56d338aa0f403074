"""Text sources through whole runs: what came file by file is what a fresh run makes, and one source's trouble is not another's."""

from __future__ import annotations

import os
import time

import pytest
from typer.testing import CliRunner

from caudal.batch.batch import run
from caudal.cli import app as _commands  # noqa: F401 - all commands, not only those of one module
from caudal.cli.app import app
from caudal.declarations.settings import Settings
from caudal.storage import delta
from caudal.tables.home import Home

PRODUCT = """
import caudal as cd
product = cd.Product("p")
product.source("raw", cd.files("in/*.csv"))
product.source("other", cd.files("other.csv"))
"""


@pytest.fixture
def folder(tmp_path, spark):
    product = tmp_path / "p"
    (product / "in").mkdir(parents=True)
    (product / "product.py").write_text(PRODUCT)
    arrive(product / "other.csv", "a\n1\n")
    return product


def arrive(path, text):
    path.write_text(text)
    past = time.time() - 60
    os.utime(path, (past, past))


def table(home, name="raw"):
    import pyarrow.parquet as pq

    version = delta.read_version(Home(home).table("p", name))
    content = [pq.ParquetFile(version.folder / file.path).read().to_pylist() for file in version.files]
    return sorted(({key: value for key, value in row.items() if value is not None} for part in content for row in part), key=str)


def test_names_and_types_grow_as_a_fresh_run_tells_them(folder, tmp_path):
    bodies = ["_id,n,code\n1,1,1\n", "n,id,_id,code\n2.5,9,2,1E5\n", "code,_id,N\n7,3,4\n"]
    for number, body in enumerate(bodies):
        arrive(folder / "in" / f"{9 - number}.csv", body)
        result = run(folder, Settings(home=tmp_path / "home"))
        assert result.error is None
        if number:  # the first is a fresh run itself
            fresh = run(folder, Settings(home=tmp_path / f"fresh{number}"))
            assert fresh.error is None
            assert table(tmp_path / "home") == table(tmp_path / f"fresh{number}"), number
    assert {row["id_2"] for row in table(tmp_path / "home")} == {1, 2, 3}
    assert {row["code"] for row in table(tmp_path / "home")} == {"1", "1E5", "7"}
    arrive(folder / "in" / "8.csv", "n,_id,code\n2,2,1\n")  # what widened the types, and split the names, is gone
    assert run(folder, Settings(home=tmp_path / "home")).error is None
    assert run(folder, Settings(home=tmp_path / "last")).error is None
    assert table(tmp_path / "home") == table(tmp_path / "last")
    assert {row["code"] for row in table(tmp_path / "home")} == {1, 7}


def test_what_was_made_of_a_header_is_told_on_the_terminal(folder, tmp_path):
    arrive(folder / "in" / "indexed.csv", "fee,zone\na,1,north\nb,2,south\n")
    result = CliRunner().invoke(app, ["run", str(folder), "--home", str(tmp_path / "home")])
    assert result.exit_code == 0
    told = " ".join((result.stdout + result.stderr).split())
    assert "raw: 'in/indexed.csv': the header has one name too few; the first column is taken for a row index, 'row_index'." in told


def test_far_days_are_rows_and_later_years_are_quarantined(folder, tmp_path):
    (folder / "product.py").write_text(
        PRODUCT.replace(
            'cd.files("in/*.csv")',
            'cd.files("in/*.csv"), schema=cd.schema(id="long", at="timestamp"), event_time="at", partition="day"',
        )
        + """
@product.table(event_time="at", partition="day")
def daily(raw):
    from caudal import lag
    return raw
"""
    )
    arrive(folder / "in" / "far.csv", "id,at\n1,2024-01-02\n2,9999-12-31\n3,\n4,12024-01-01\n5,0001-01-01\n")
    result = run(folder, Settings(home=tmp_path / "home"))
    assert result.error is None
    assert sorted(row["id"] for row in table(tmp_path / "home", "daily")) == [1, 2, 3, 5]
    assert result.document["tables"]["raw"]["reasons"] == {"at is not a time": 1}
    arrive(folder / "in" / "more.csv", "id,at\n6,9999-12-31\n")
    assert run(folder, Settings(home=tmp_path / "home")).error is None
    assert sorted(row["id"] for row in table(tmp_path / "home", "daily")) == [1, 2, 3, 5, 6]


def test_a_refused_file_holds_up_no_other_source_and_may_be_taken_away(folder, tmp_path, monkeypatch):
    monkeypatch.setenv("CAUDAL_MAX_LINE_MB", "1")
    arrive(folder / "in" / "ok.csv", "a\n1\n")
    arrive(folder / "in" / "long.csv", "a\n" + "0" * (2 << 20))
    (folder / "in" / "link.csv").symlink_to("/etc/passwd")
    result = run(folder, Settings(home=tmp_path / "home"))
    assert result.exit_code == 3
    assert "long.csv" in result.error.sentence()
    assert table(tmp_path / "home", "other") == [
        {"a": 1, **{key: row[key] for row in table(tmp_path / "home", "other") for key in row if key != "a"}}
    ]
    (folder / "in" / "long.csv").unlink()
    result = run(folder, Settings(home=tmp_path / "home"))
    assert result.error is None
    assert [row["a"] for row in table(tmp_path / "home")] == [1]
