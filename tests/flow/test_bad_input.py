"""What arrives wrong: one clear message with the file, the line or the step, an exit code, and nothing lost."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tests.flow.copies import copy_place

from caudal.batch.batch import run
from caudal.commands.new import create_product
from caudal.declarations.settings import Settings
from caudal.errors import DeclarationProblem, EnvironmentProblem, ExpectationStopped, SourceProblem, StepFailed
from caudal.storage import delta
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
'''
GOOD = "at,shop,visitors\n2024-03-01 09:00:00,north,3\n2024-03-01 10:00:00,north,400\n2024-03-02 09:00:00,south,5\n"


@pytest.fixture(scope="module")
def made(tmp_path_factory, spark):
    """A product with one good file, run once; each test takes a copy."""
    place = tmp_path_factory.mktemp("made")
    folder = place / "p"
    (folder / "in").mkdir(parents=True)
    (folder / "product.py").write_text(PRODUCT)
    (folder / "in" / "good.csv").write_text(GOOD)
    result = run(folder, Settings(home=place / "home"))
    assert result.error is None
    return place


@pytest.fixture
def place(made, tmp_path):
    copy_place(made, tmp_path)
    return tmp_path / "p"


def again(folder):
    return run(folder, Settings(home=folder.parent / "home"))


def rows(folder, table="clean"):
    return delta.read_version(Home(folder.parent / "home").table("p", table)).rows


def refused(folder, kind, *words):
    """The run fails with one message that holds the words, and readers still see what they saw."""
    before = rows(folder, "raw"), rows(folder)
    result = again(folder)
    assert isinstance(result.error, kind), result.error
    assert result.exit_code == kind.exit_code != 0
    said = result.error.sentence()
    for word in words:
        assert word in said, said
    assert "Traceback" not in said
    assert (rows(folder, "raw"), rows(folder)) == before
    assert result.document["state"] == "failed"
    return result


def old(path):
    """Make a file look as if nobody had written to it for a while."""
    past = time.time() - 60
    os.utime(path, (past, past))
    return path


def test_a_truncated_parquet_file(place):
    table = pa.table({"at": pa.array([0], pa.timestamp("us")), "shop": ["x"], "visitors": [1]})
    pq.write_table(table, place / "in" / "cut.parquet")
    whole = (place / "in" / "cut.parquet").read_bytes()
    (place / "in" / "cut.parquet").write_bytes(whole[: len(whole) // 2])
    old(place / "in" / "cut.parquet")
    refused(place, SourceProblem, "cut.parquet")
    (place / "in" / "cut.parquet").unlink()
    assert again(place).error is None


def test_a_wrong_separator(place):
    old_file = place / "in" / "semicolon.csv"
    old_file.write_text(GOOD.replace(",", ";"))
    old(old_file)
    refused(place, SourceProblem, "semicolon.csv", ";")
    old_file.unlink()
    assert again(place).error is None  # a file that was refused and taken away is not asked for again


def test_a_wrong_encoding(place):
    path = place / "in" / "latin.csv"
    path.write_bytes(GOOD.replace("north", "nörth").encode("latin-1"))
    old(path)
    refused(place, SourceProblem, "latin.csv")


def test_an_empty_file(place):
    path = place / "in" / "empty.csv"
    path.touch()
    old(path)
    refused(place, SourceProblem, "empty.csv")


def test_a_missing_and_a_renamed_column(place):
    path = place / "in" / "short.csv"
    path.write_text("at,shop\n2024-03-03 09:00:00,x\n")
    old(path)
    refused(place, SourceProblem, "short.csv", "visitors")
    path.write_text("at,shop,visitor\n2024-03-03 09:00:00,x,1\n")
    old(path)
    refused(place, SourceProblem, "short.csv", "visitors", "visitor")
    path.write_text("at,shop,visitors\n2024-03-03 09:00:00,x,1\n")  # mended under the same name
    old(path)
    assert again(place).error is None
    assert rows(place) == 3


def test_a_file_that_is_still_being_written_waits(place):
    path = place / "in" / "growing.csv"
    code = (
        "import sys, time\nwith open(sys.argv[1], 'w') as file:\n    file.write('at,shop,visitors\\n')\n"
        "    while True:\n        file.write('2024-03-04 09:00:00,x,1\\n'); file.flush(); time.sleep(0.005)\n"
    )
    writer = subprocess.Popen([sys.executable, "-c", code, str(path)])
    try:
        while not path.exists() or path.stat().st_size < 100:
            time.sleep(0.01)
        result = again(place)
    finally:
        writer.terminate()
        writer.wait()
    with path.open("rb+") as file:  # it may have been ended in the middle of a line
        file.truncate(path.read_bytes().rfind(b"\n") + 1)
    assert result.error is None
    assert rows(place) == 2  # nothing of it yet
    lines = path.read_text().count("\n") - 1
    old(path)
    assert again(place).error is None
    assert rows(place) == 2 + lines


@pytest.mark.skipif(os.geteuid() == 0 and shutil.which("setpriv") is None, reason="root reads everything, and setpriv is not there")
def test_an_unreadable_folder(place, tmp_path):
    if os.geteuid() == 0:
        code = f"import os; os.chdir('/'); os.setgid(65534); os.setuid(65534); os.scandir({str(place / 'in')!r})"
        (place / "in").chmod(0o700)
        assert subprocess.run([sys.executable, "-c", code], capture_output=True, check=False).returncode != 0
        pytest.skip("root reads everything; the reader's own test covers it")
    (place / "in").chmod(0)
    try:
        refused(place, SourceProblem, "in")
    finally:
        (place / "in").chmod(0o755)


def test_a_function_that_raises_names_step_and_line(place):
    (place / "product.py").write_text(PRODUCT.replace("return raw", "raise ValueError('no such luck')"))
    result = refused(place, StepFailed, "clean", "no such luck")
    assert "product.py:12" in result.error.sentence()
    (place / "product.py").write_text(PRODUCT)
    assert again(place).error is None


def test_a_function_that_fails_only_while_spark_computes(place):
    (place / "product.py").write_text(
        PRODUCT.replace("return raw", "return raw.selectExpr('at', 'shop', \"visitors div (visitors - 3) AS visitors\")")
    )
    refused(place, StepFailed, "clean", "zero")


def test_a_function_that_forgets_to_return(place):
    (place / "product.py").write_text(PRODUCT.replace("return raw", "raw.count()"))
    refused(place, StepFailed, "clean", "return")


def test_an_unknown_column_is_named(place):
    (place / "product.py").write_text(PRODUCT.replace("return raw", "return raw.select('at', 'shops', 'visitors')"))
    refused(place, StepFailed, "clean", "shops")


def test_a_syntax_error(place):
    (place / "product.py").write_text(PRODUCT + "\ndef broken(:\n")
    with pytest.raises(DeclarationProblem, match=r"syntax error") as caught:
        again(place)
    assert "product.py:14" in str(caught.value)


def test_an_expectation_that_stops_leaves_the_old_version(place):
    (place / "product.py").write_text(PRODUCT.replace("0, 100).quarantine()", "0, 100).stop()"))
    refused(place, ExpectationStopped, "between(visitors, 0, 100)", "clean")


def test_too_large_a_share_stops(place):
    (place / "product.py").write_text(PRODUCT.replace("quarantine()", "quarantine(max_share=0.1)"))
    refused(place, ExpectationStopped, "between(visitors, 0, 100)")


def test_a_full_disk(place, tmp_path):
    """A home on a tmpfs too small for the data: one message, and after making room the same command finishes."""
    small = tmp_path / "small"
    small.mkdir()
    if (
        os.geteuid() != 0
        or subprocess.run(
            ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(small)], check=False, capture_output=True
        ).returncode
    ):
        pytest.skip("a tmpfs cannot be mounted here")
    try:
        (place / "in" / "big.csv").write_text(
            "at,shop,visitors\n" + "".join(f"2024-03-0{1 + n % 9} 09:00:00,{n:040d},1\n" for n in range(60_000))
        )
        old(place / "in" / "big.csv")
        result = run(place, Settings(home=small / "home"))
        assert isinstance(result.error, EnvironmentProblem)
        assert "disk is full" in result.error.sentence()
        subprocess.run(["mount", "-o", "remount,size=64m", str(small)], check=True)
        result = run(place, Settings(home=small / "home"))
        assert result.error is None
        assert delta.read_version(Home(small / "home").table("p", "clean")).rows == 60_002
    finally:
        subprocess.run(["umount", "-l", str(small)], check=True)


def test_the_command_line_says_it_in_one_sentence(tmp_path):
    folder = create_product("shop", tmp_path)
    (folder / "product.py").write_text("import caudal as cd\nproduct = cd.Product('shop'\n")
    done = subprocess.run(
        [sys.executable, "-m", "caudal", "run", str(folder), "--home", str(tmp_path / "home")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == DeclarationProblem.exit_code
    assert done.stderr.count("\n") == 1
    assert "syntax error" in done.stderr
    assert "product.py:2" in done.stderr
