"""Files in a folder: what matches, what waits, what is broken; no engine is needed for any of it."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from caudal.declarations.connection import files
from caudal.errors import SourceProblem
from caudal.stages.ingest import Arrival, KnownFile, arrivals

LONG_AGO_S = 3600


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "landing"
    made.mkdir()
    return made


def put(path: Path, content: bytes = b"a,b\n1,2\n", age_s: float = LONG_AGO_S) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    os.utime(path, (time.time() - age_s,) * 2)
    return path


def parquet(path: Path) -> bytes:
    pq.write_table(pa.table({"a": list(range(500))}), path)
    content = path.read_bytes()
    path.unlink()
    return content


def found(pattern: str, data: Path | None, seen: dict[str, KnownFile] | None = None, **options: object) -> list[Arrival]:
    scratch = (data or Path("unused")) / ".scratch"
    return arrivals(files(pattern, **options), data=data, scratch=scratch, landed=seen or {})  # type: ignore[arg-type]


def names(arrived: list[Arrival]) -> list[str]:
    return [one.name for one in arrived]


def test_matches_are_sorted_and_temporary_names_left_out(folder: Path) -> None:
    for name in (
        "b.csv",
        "a.csv",
        ".hidden.csv",
        "c.csv.part",
        "d.csv.crdownload",
        "e.csv~",
        "f.csv.tmp",
        "sub/g.csv",
        ".git/h.csv",
        "sub/x/i.csv",
    ):
        put(folder / name)
    assert names(found("*.csv", folder)) == ["a.csv", "b.csv"]
    assert names(found("*", folder)) == ["a.csv", "b.csv"]
    assert names(found("**/*.csv", folder)) == ["a.csv", "b.csv", "g.csv", "i.csv"]
    assert names(found("sub/**", folder)) == ["g.csv", "i.csv"]
    assert names(found("s*/[gx].csv", folder)) == ["g.csv"]
    assert names(found(f"{folder}/**/i.csv", None)) == ["i.csv"]
    one = found("a.csv", folder)[0]
    assert (one.path, one.local, one.bytes, one.settled) == ("a.csv", folder / "a.csv", 8, True)


def test_what_has_not_changed_is_left_out(folder: Path) -> None:
    path = put(folder / "a.csv")
    one = found("*.csv", folder)[0]
    seen = {one.path: KnownFile(None, one.modified_ns, one.bytes, "0" * 64)}
    assert found("*.csv", folder, seen) == []
    put(path, b"a,b\n3,4\n", age_s=60)
    assert names(found("*.csv", folder, seen)) == ["a.csv"]


def test_a_file_younger_than_it_must_be_waits(folder: Path) -> None:
    put(folder / "old.csv")
    put(folder / "young.csv", age_s=30)
    assert {one.name: one.settled for one in found("*.csv", folder, settle=60)} == {"old.csv": True, "young.csv": False}


def test_a_file_that_grows_waits(folder: Path) -> None:
    path, stop = folder / "growing.csv", threading.Event()
    path.write_bytes(b"a,b\n")

    def grow() -> None:
        with path.open("ab", buffering=0) as file:
            while not stop.wait(0.005):
                file.write(b"1,2\n")

    writer = threading.Thread(target=grow)
    writer.start()
    try:
        assert [one.settled for one in found("*.csv", folder)] == [False]
    finally:
        stop.set()
        writer.join()
    assert [one.settled for one in found("*.csv", folder)] == [True]  # taken at once when it has stopped


def test_a_parquet_file_without_footer_waits_while_it_is_fresh_and_is_broken_afterwards(folder: Path, tmp_path: Path) -> None:
    whole = parquet(tmp_path / "whole.parquet")
    path = put(folder / "month.parquet", whole[:-100], age_s=0)
    assert [one.settled for one in found("*.parquet", folder)] == [False]
    put(path, whole[:-100], age_s=30)
    with pytest.raises(
        SourceProblem, match=r"month\.parquet' is truncated: it has no Parquet footer at its end, and has not grown for 30 s"
    ):
        found("*.parquet", folder)
    put(path, whole, age_s=0)
    assert [one.settled for one in found("*.parquet", folder)] == [True]


@pytest.mark.parametrize(("content", "said"), [(b"", "is empty"), (b"<html>no such month</html>", "is no Parquet file")])
def test_an_empty_or_foreign_file_is_broken(folder: Path, content: bytes, said: str) -> None:
    put(folder / "month.parquet", content)
    with pytest.raises(SourceProblem, match=said):
        found("*.parquet", folder)


def test_no_match_says_where_it_looked_and_what_is_there(folder: Path) -> None:
    put(folder / "green_tripdata_2023-01.parquet")
    put(folder / "readme.csv")
    with pytest.raises(SourceProblem) as raised:
        found("gren_tripdata_2023-01.parquet", folder)
    message = str(raised.value)
    assert f"in '{folder}'" in message
    assert "Did you mean 'green_tripdata_2023-01.parquet'?" in message
    assert "'readme.csv'" in message
    assert found("yellow_*.parquet", folder, required=False) == []
    with pytest.raises(SourceProblem, match=r"is a folder: write 'landing/\*'"):
        found("landing", folder.parent)


def test_a_missing_folder_is_told_with_the_nearest_one(folder: Path) -> None:
    with pytest.raises(SourceProblem, match="Did you mean 'landing'"):
        found("*.csv", folder.parent / "landings" / "deep")
    with pytest.raises(SourceProblem, match="Pass --data DIR"):
        found("*.csv", None)
    with pytest.raises(SourceProblem, match="does not show its format"):
        found("x.bin", put(folder / "x.bin").parent)


@pytest.mark.skipif(os.name != "posix" or os.getuid() != 0, reason="only root can become a user without rights")
@pytest.mark.parametrize("closed", ["folder", "file"])
def test_an_unreadable_folder_or_file_is_named_and_no_empty_one(folder: Path, closed: str) -> None:
    path = put(folder / "deep" / "a.csv")
    for above in (folder, *folder.parents):
        if above == Path(tempfile.gettempdir()):
            break
        above.chmod(0o755)
    ((folder / "deep") if closed == "folder" else path).chmod(0)
    # A process of its own: giving up root's rights cannot be taken back. Modules are imported first, as the user may not read them.
    code = (
        "import os, sys; from pathlib import Path; from caudal.declarations.connection import files; import caudal.stages.ingest.files as f\n"
        "from caudal.stages.ingest import arrivals\nfrom caudal.errors import SourceProblem\nos.setgid(65534); os.setuid(65534)\n"
        f"try: arrivals(files('**/*.csv'), data=Path({str(folder)!r}), scratch=Path('/nowhere'), landed={{}})\n"
        "except SourceProblem as error: print(error)\nelse: print('nothing was said')\n"
    )
    said = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env={**os.environ, "PYTHONPATH": "src"}, check=False
    )
    assert f"The {closed} '{folder / 'deep' if closed == 'folder' else path}' cannot be read: permission denied" in said.stdout, (
        said.stderr
    )


def test_looking_starts_no_engine(folder: Path) -> None:
    put(folder / "a.csv")
    code = (
        "import sys; from pathlib import Path; from caudal.declarations.connection import files; from caudal.stages.ingest import arrivals\n"
        f"arrivals(files('*.csv'), data=Path({str(folder)!r}), scratch=Path('unused'), landed={{}})\n"
        "print([name for name in ('pyspark', 'pyarrow', 'pandas', 'numpy') if name in sys.modules])"
    )
    env = {**os.environ, "PYTHONPATH": "src"}
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=env, check=True).stdout.strip() == "[]"


@pytest.mark.slow
def test_a_look_at_thousands_of_known_files_is_quick(folder: Path) -> None:
    for number in range(2000):
        put(folder / f"{number}.csv")
    seen = {one.path: KnownFile(None, one.modified_ns, one.bytes, "0" * 64) for one in found("*.csv", folder)}
    began = time.perf_counter()
    assert found("*.csv", folder, seen) == []
    assert time.perf_counter() - began < 20
