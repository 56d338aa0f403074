"""A byte that changed on the disk: no reader gives other rows for it, and a check finds every one of them."""

from __future__ import annotations

import datetime as dt
import hashlib
import random
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tests import lakes

from caudal.errors import SourceProblem, StorageDamaged
from caudal.runtime.faults import translate_machine_error
from caudal.runtime.storage import check_raw_files
from caudal.storage import delta, delta_log
from caudal.storage.damage import of_text
from caudal.storage.sweep import sweep
from caudal.tables.frames import arrow, version_frame
from caudal.tables.home import Home
from caudal.tables.intact import fault_of, missing_files
from caudal.tables.rows import write_rows

ROWS = pa.table({"n": list(range(500)), "x": [n / 7 for n in range(500)], "word": [f"word {n % 13}" for n in range(500)]})


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "rows.parquet"
    write_rows(ROWS, path)
    return path


def flipped(file: Path, at: int) -> None:
    content = bytearray(file.read_bytes())
    content[at] ^= 0xFF
    file.write_bytes(bytes(content))


def pages(file: Path) -> list[range]:
    """Return where the values of the columns lie."""
    group = pq.ParquetFile(file).metadata.row_group(0)
    starts = [(group.column(n).dictionary_page_offset or group.column(n).data_page_offset, group.column(n)) for n in range(3)]
    return [range(start + 60, start + column.total_compressed_size) for start, column in starts]


def test_every_flipped_byte_of_values_is_refused_by_arrow(file):
    from caudal.storage.parquet import dataset, read_parquet

    sound, chance, refused, tried, told = file.read_bytes(), random.Random(5), 0, 0, set[str]()
    for column in pages(file):
        for at in chance.sample(column, min(40, len(column))):
            tried += 1
            file.write_bytes(sound)
            flipped(file, at)
            try:  # the header of the page after a dictionary lies in between; what it says of the values is not asked for
                assert read_parquet(file).equals(ROWS)
                assert dataset([str(file)], ROWS.schema).to_table().equals(ROWS)
            except StorageDamaged as problem:
                refused += 1
                told.add(problem.what.partition(":")[0])
                with pytest.raises(OSError, match=r"\w"):
                    dataset([str(file)], ROWS.schema).to_table()
    assert refused > 0.8 * tried
    assert told == {f"'{file}' is not as it was written"}
    file.write_bytes(sound)
    assert read_parquet(file).equals(ROWS)


def test_every_flipped_byte_wherever_it_is_is_found_by_its_hash_or_gives_the_same_rows(file):
    from caudal.storage.parquet import read_parquet

    sound, chance = file.read_bytes(), random.Random(6)
    sha256, unread = hashlib.sha256(sound).hexdigest(), 0
    for at in chance.sample(range(len(sound)), 300):
        file.write_bytes(sound)
        flipped(file, at)
        assert "is not as it was written" in str(fault_of(file, bytes=len(sound), sha256=sha256, deep=False))
        try:
            unread += not read_parquet(file).equals(ROWS)
        except StorageDamaged:
            continue
    # Headers of pages and the footer are under no checksum: what a reader makes of them is nearly always nonsense to it.
    assert unread <= 3
    file.write_bytes(sound)
    assert fault_of(file, bytes=len(sound), sha256=sha256) is None


@pytest.fixture
def anew():
    """Let each look be the first of its process."""
    from caudal.tables import intact

    yield lambda: (intact._whole.clear(), intact._written.clear())
    intact._whole.clear()


def test_every_flipped_byte_of_a_small_file_of_a_table_is_refused_footer_and_headers_too(tmp_path, anew, spark):
    folder = Home(tmp_path).table("p", "t")
    lakes.write(folder, ROWS)
    lakes.write(folder, ROWS.slice(0, 5), replace="none")
    version = delta.read_version(folder)
    assert arrow(version).num_rows == 505
    for path in map(Path, version.paths()):
        sound, chance = path.read_bytes(), random.Random(7)
        for at in chance.sample(range(len(sound)), 60):
            flipped(path, at)
            anew()
            with pytest.raises(StorageDamaged, match=r"Table 't' is damaged: '.*' is not as it was written") as raised:
                arrow(version, ["n"])
            assert raised.value.exit_code == 6
            path.write_bytes(sound)
        flipped(path, len(sound) - 20)
        anew()
        with pytest.raises(StorageDamaged, match="is not as it was written"):
            version_frame(spark, version)
        path.write_bytes(sound)
    anew()
    assert arrow(version).num_rows == 505
    delta.commit(folder, [], version.schema, partitioned=False, replace="none", identity={})
    assert arrow(delta.read_version(folder)).num_rows == 505  # what is known of the log is taken up


def test_a_column_s_name_that_changed_in_a_footer_gives_no_nulls(tmp_path, anew):
    folder = Home(tmp_path).table("p", "t")
    lakes.write(folder, pa.table({"n": [1, 2], "visitors": [3, 4]}))
    version = delta.read_version(folder)
    path = Path(version.paths()[0])
    content = path.read_bytes()
    flipped(path, content.rindex(b"visitors", 0, content.rindex(b"ARROW:schema")) + 3)
    anew()
    with pytest.raises(StorageDamaged):
        arrow(version)


def test_spark_refuses_a_page_whose_bytes_have_changed(tmp_path, spark):
    folder = Home(tmp_path).table("p", "t")
    (folder / "part-1").mkdir(parents=True)
    write_rows(ROWS, folder / "part-1" / "rows.parquet")  # with checksums, as caudal's own writers do
    schema = lakes.write(Home(tmp_path).table("p", "of the same columns"), ROWS).schema
    delta.commit(folder, delta.staged(folder, folder / "part-1"), schema, partitioned=False, replace="all", identity={})
    version = delta.read_version(folder)
    (path,) = version.paths()
    assert version_frame(spark, version).count() == 500
    flipped(Path(path), pages(Path(path))[1][40])
    with pytest.raises(Exception, match=r"checksum|CRC") as raised:
        version_frame(spark, version).collect()
    problem = translate_machine_error(raised.value, "table:t")
    assert isinstance(problem, StorageDamaged)
    assert problem.exit_code == 6
    assert path in problem.what


def test_what_spark_itself_writes_has_checksums(tmp_path, spark):
    spark.createDataFrame([(n, float(n)) for n in range(100)], "n long, x double").coalesce(1).write.parquet(str(tmp_path / "out"))
    (file,) = (tmp_path / "out").glob("*.parquet")
    column = pq.ParquetFile(file).metadata.row_group(0).column(1)
    flipped(file, column.data_page_offset + column.total_compressed_size - 4)
    assert "CRC" in str(fault_of(file))


def test_a_published_file_s_hash_lies_in_the_log(tmp_path):
    version = lakes.write(tmp_path / "t", ROWS)
    (path,) = version.paths()
    (entry,) = delta_log.commits(tmp_path / "t")
    assert delta_log.sums_of(delta_log.actions(entry)) == {
        version.files[0].path: hashlib.sha256(Path(path).read_bytes()).hexdigest()
    }


def test_an_entry_that_was_cut_after_a_line_is_no_smaller_commit(tmp_path):
    folder = tmp_path / "t"
    lakes.write(folder, pa.table({"at": [dt.datetime(2024, 3, day) for day in range(1, 6)]}), "at")
    (entry,) = delta_log.commits(folder)
    lines = entry.read_bytes().splitlines(keepends=True)
    entry.write_bytes(b"".join(lines[:-2]))
    for look in (delta.read_version, sweep):
        with pytest.raises(StorageDamaged, match="it names 3 files, and 5 were published"):
            look(folder)


@pytest.mark.parametrize("content", [b"", b"{", b"[1]\n", b'{"add":', b"\xff\xfe"])
def test_an_entry_of_a_log_that_is_no_entry_is_damage_for_everybody(tmp_path, content):
    folder = tmp_path / "t"
    for _ in range(2):
        lakes.write(folder, ROWS, replace="none")
    delta_log.commits(folder)[-1].write_bytes(content)
    for look in (
        delta.read_version,
        sweep,
        lambda folder: delta.identity(folder, 1) or delta_log.actions(delta_log.commits(folder)[-1]),
    ):
        with pytest.raises(StorageDamaged, match="The log of table 't' is damaged"):
            look(folder)


def test_missing_and_cut_files_are_told_without_opening_any(tmp_path):
    version = lakes.write(tmp_path / "t", ROWS)
    (path,) = version.paths()
    assert missing_files(version) == []
    Path(path).write_bytes(Path(path).read_bytes()[:-1])
    assert "bytes, and" in missing_files(version)[0]
    Path(path).unlink()
    assert missing_files(version) == [f"'{path}' is gone"]
    with pytest.raises(StorageDamaged, match="is gone"):
        arrow(version)


def test_raw_is_compared_with_its_hash_once_a_run(tmp_path):
    from caudal.tables.landing import LandedFile

    stored = tmp_path / "raw.csv"
    stored.write_text("id\n1\n")
    landed = LandedFile("in/raw.csv", stored, hashlib.sha256(b"id\n1\n").hexdigest(), 5, False)
    check_raw_files(set(), "s", [landed])
    stored.write_text("id\n2\n")
    with pytest.raises(StorageDamaged, match=r"is not as it landed: its bytes have changed on the disk. It came from 'in/raw.csv'"):
        check_raw_files(set(), "s", [landed])
    stored.unlink()
    with pytest.raises(StorageDamaged, match="is gone"):
        check_raw_files(set(), "s", [landed])


def test_errors_of_the_machine_are_told_with_and_without_a_step():
    for error, words in (
        (OSError(28, "No space left on device"), "The disk is full"),
        (OSError(122, "Quota"), "The disk is full"),
        (OSError(24, "Too many open files"), "Too many files are open"),
        (OSError(30, "Read-only file system", "/home/x"), "read-only"),
        (PermissionError(13, "Permission denied", "/home/x"), "may not write or read"),
        (FileNotFoundError("/h/lake/p/t/part-1/rows.parquet"), "'/h/lake/p/t/part-1/rows.parquet' is gone"),
    ):
        for step in (None, "read:s"):
            problem = translate_machine_error(error, step)
            assert problem is not None
            assert (problem.exit_code, words in problem.sentence()) == (6, True), problem.sentence()
    assert of_text("FAILED_READ_FILE.PARQUET_COLUMN_DATA_TYPE_MISMATCH file:/h/lake/p/t/a.parquet") is None
    assert translate_machine_error(SourceProblem("x"), "y") is None
