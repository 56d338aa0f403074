"""Files at an address, from real servers on loopback that are stopped, cut and started again."""

from __future__ import annotations

import gzip
import hashlib
import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import caudal as cd
import caudal.stages.ingest.remote as remote
from caudal.declarations.connection import Files
from caudal.errors import SourceProblem
from caudal.stages.ingest import Arrival, KnownFile, arrivals

pytest.importorskip("s3fs")
pytest.importorskip("sshfs")

BODY = os.urandom(3 << 20)


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remote, "BACKOFF_S", 0.02)
    monkeypatch.setattr(remote, "LOOK_AGAIN_S", 0.3)


def fetched(connection: Files, scratch: Path, seen: dict[str, KnownFile] | None = None) -> list[Arrival]:
    return arrivals(connection, data=None, scratch=scratch, landed=seen or {})


def remembered(*arrived: Arrival) -> dict[str, KnownFile]:
    return {
        one.path: KnownFile(one.etag, one.modified_ns, one.bytes, hashlib.sha256(one.local.read_bytes()).hexdigest())
        for one in arrived
    }


# S3


def test_only_new_and_changed_objects_are_fetched(s3: Any, tmp_path: Path) -> None:
    bucket = s3.bucket()
    for name in ("a", "b"):
        s3.put(bucket, f"in/{name}.csv.gz", gzip.compress(f"id\n{name}\n".encode(), mtime=0))
    s3.put(bucket, "in/deep/c.csv.gz", gzip.compress(b"id\nc\n"))
    s3.put(bucket, "in/d.csv.gz.tmp", b"")
    source = cd.files(f"s3://{bucket}/in/*.csv.gz")
    first = fetched(source, tmp_path / "1")
    assert [one.path for one in first] == [f"s3://{bucket}/in/a.csv.gz", f"s3://{bucket}/in/b.csv.gz"]
    assert gzip.decompress(first[0].local.read_bytes()) == b"id\na\n"
    assert fetched(source, tmp_path / "2", remembered(*first)) == []
    s3.put(bucket, "in/b.csv.gz", gzip.compress(b"id\nB\n", mtime=0))  # of the same size, in the same second
    (changed,) = fetched(source, tmp_path / "3", remembered(*first))
    assert gzip.decompress(changed.local.read_bytes()) == b"id\nB\n"
    assert changed.modified_ns != first[1].modified_ns
    assert len(fetched(cd.files(f"s3://{bucket}/**/*.csv.gz"), tmp_path / "4")) == 3


def test_what_is_wrong_with_an_address_is_told_with_what_is_near(s3: Any, tmp_path: Path) -> None:
    bucket = s3.bucket("caudal-orders")
    s3.put(bucket, "in/a.csv", b"id\n1\n")
    s3.put(bucket, "in/empty.json", b"")
    for pattern, said in (
        ("s3://caudal-order/in/*.csv", r"The bucket 'caudal-order' does not exist. Did you mean 'caudal-orders'\?"),
        ("s3://caudal-orders/inn/*.csv", r"'inn' of '.*' does not exist in 'caudal-orders'. Did you mean 'in'\?"),
        ("s3://caudal-orders/in/b.csv", r"No file matches 'b.csv' of '.*'; there is 'a.csv', 'empty.json'. Did you mean 'a.csv'\?"),
        ("s3://caudal-orders/in/*.json", r"'s3://caudal-orders/in/empty.json' is empty"),
        ("s4://caudal-orders/in/*.csv", "has an unknown protocol"),
    ):
        with pytest.raises(SourceProblem, match=said):
            fetched(cd.files(pattern), tmp_path)
    assert fetched(cd.files("s3://caudal-orders/none/*.csv", required=False), tmp_path) == []


def test_who_may_not_read_is_told_so(s3: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bucket = s3.bucket()
    s3.put(bucket, "a.csv", b"id\n1\n")
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    with pytest.raises(SourceProblem, match=r"may not be read: NoCredentialsError.*AWS_PROFILE"):
        fetched(cd.files(f"s3://{bucket}/*.csv"), tmp_path)
    monkeypatch.setenv("KEY", "caudal")
    (one,) = fetched(cd.files(f"s3://{bucket}/*.csv", storage={"key": cd.env("KEY"), "secret": "caudal-secret"}), tmp_path)
    assert one.bytes == 5


@pytest.mark.slow
def test_nobody_there_is_told_after_some_attempts(s3: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remote, "ATTEMPTS", 2)
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    with pytest.raises(
        SourceProblem, match="could not be read in 2 attempts; the last one ended with: EndpointConnectionError"
    ) as raised:
        fetched(cd.files("s3://bucket/*.csv"), tmp_path)
    assert raised.value.facts["transient"]


@pytest.mark.slow
def test_a_fetch_whose_server_stops_in_the_middle_finishes_once_it_is_there_again(
    s3: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(remote, "ATTEMPTS", 2)
    monkeypatch.setattr(remote, "_READ_AHEAD", 1 << 18)
    contents, bucket = {f"in/{i}.csv": os.urandom(1 << 20) for i in range(6)}, s3.bucket()
    for key, content in contents.items():
        s3.put(bucket, key, content)
    impatient = {"config_kwargs": {"connect_timeout": 2, "retries": {"max_attempts": 0}}}
    source = cd.files(f"s3://{bucket}/in/*.csv", storage=impatient)

    def kill() -> None:
        for _ in range(2000):
            if sum(path.stat().st_size for path in tmp_path.rglob("download.part")) > 1 << 19:
                break
            time.sleep(0.002)
        s3.stop()

    killer = threading.Thread(target=kill)
    killer.start()
    try:
        with pytest.raises(SourceProblem, match="in 2 attempts"):
            fetched(source, tmp_path)
    finally:
        killer.join()
        s3.start()
    kept = sum(path.stat().st_size for path in tmp_path.rglob("*") if path.name != "download.tag" and path.is_file())
    assert 1 << 19 < kept < 6 << 20
    offsets = _offsets(monkeypatch)
    arrived = fetched(source, tmp_path)
    assert {one.path: one.local.read_bytes() for one in arrived} == {
        f"s3://{bucket}/{key}": content for key, content in contents.items()
    }
    assert max(offsets) > 0  # some object was taken up within
    assert not list(tmp_path.rglob("*.part"))


def _offsets(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Note where each object is read from."""
    found: list[int] = []
    usual = remote._append

    def noted(place: Any, one: Any, part: Path) -> None:
        found.append(part.stat().st_size if part.exists() else 0)
        usual(place, one, part)

    monkeypatch.setattr(remote, "_append", noted)
    return found


# SFTP


@pytest.fixture
def sftp(tmp_path: Path) -> Iterator[Any]:
    from tests.servers.sftp import SftpServer

    root = tmp_path / "served"
    root.mkdir()
    server = SftpServer(root)
    server.start()
    yield server
    server.close()


def over_sftp(server: Any, pattern: str, tmp_path: Path, **more: Any) -> Files:
    hosts = server.known_hosts(tmp_path / "known_hosts")
    return cd.files(
        f"sftp://ann:secret@127.0.0.1:{server.port}/{pattern}", storage={"known_hosts": str(hosts), "client_keys": None}, **more
    )


def aged(path: Path, content: bytes, seconds: float = 3600) -> None:
    path.write_bytes(content)
    os.utime(path, (time.time() - seconds,) * 2)


def test_files_over_sftp_come_once_and_no_password_is_shown(sftp: Any, tmp_path: Path) -> None:
    aged(sftp.root / "a.csv", BODY)
    aged(sftp.root / "b.csv.part", b"x")
    source = over_sftp(sftp, "*.csv", tmp_path)
    (one,) = fetched(source, tmp_path / "1")
    assert one.path == f"sftp://127.0.0.1:{sftp.port}/a.csv"
    assert one.local.read_bytes() == BODY
    assert fetched(source, tmp_path / "2", remembered(one)) == []
    aged(sftp.root / "a.csv", BODY[::-1], 1800)
    assert fetched(source, tmp_path / "3", remembered(one))[0].local.read_bytes() == BODY[::-1]


def test_a_connection_that_is_cut_is_made_again_and_the_file_taken_up(sftp: Any, tmp_path: Path) -> None:
    aged(sftp.root / "a.csv", BODY)
    sftp.cut_after = 2 << 20
    source = over_sftp(sftp, "*.csv", tmp_path)
    (one,) = fetched(source, tmp_path / "1")
    assert one.local.read_bytes() == BODY
    assert sftp.cuts == 1
    assert sftp.offsets.count(0) == 1


def test_a_file_that_grows_waits(sftp: Any, tmp_path: Path) -> None:
    path = sftp.root / "a.csv"
    path.write_bytes(b"id\n")
    going = threading.Event()

    def grow() -> None:
        while not going.wait(0.05):
            with path.open("ab") as file:
                file.write(b"1\n")

    thread = threading.Thread(target=grow)
    thread.start()
    (one,) = fetched(over_sftp(sftp, "*.csv", tmp_path), tmp_path / "1")
    going.set()
    thread.join()
    assert not one.settled
    (one,) = fetched(over_sftp(sftp, "*.csv", tmp_path), tmp_path / "2")
    assert one.settled
    assert one.local.read_bytes() == path.read_bytes()
    (one,) = fetched(over_sftp(sftp, "*.csv", tmp_path, settle=60), tmp_path / "3")
    assert not one.settled


def test_a_wrong_password_and_an_unknown_host_are_told(sftp: Any, tmp_path: Path) -> None:
    aged(sftp.root / "a.csv", b"id\n1\n")
    hosts = str(sftp.known_hosts(tmp_path / "known_hosts"))
    with pytest.raises(SourceProblem, match=r"'sftp://127.*/\*.csv' may not be read to 'ann'") as raised:
        fetched(
            cd.files(f"sftp://ann:wrong@127.0.0.1:{sftp.port}/*.csv", storage={"known_hosts": hosts, "client_keys": None}), tmp_path
        )
    assert "wrong" not in str(raised.value)
    (tmp_path / "none").write_text("")
    with pytest.raises(SourceProblem, match="is not known: its key is not among the known hosts"):
        fetched(
            cd.files(f"sftp://ann:secret@127.0.0.1:{sftp.port}/*.csv", storage={"known_hosts": str(tmp_path / "none")}), tmp_path
        )
    with pytest.raises(SourceProblem, match=r"No file matches 'b.csv'.*Did you mean 'a.csv'"):
        fetched(over_sftp(sftp, "b.csv", tmp_path), tmp_path)


# HDFS


@pytest.mark.slow
@pytest.mark.parametrize("by", ["webhdfs", "hdfs"])
def test_files_of_hdfs_come_once_and_when_they_have_changed(
    hdfs: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, by: str
) -> None:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    root = f"webhdfs://{hdfs.address}" if by == "webhdfs" else hdfs.root
    storage = {"user": "caudal"} if by == "webhdfs" else {}
    hdfs.put(f"/{by}/in/a.csv", BODY)
    hdfs.put(f"/{by}/in/b b.csv", b"id\n2\n")
    hdfs.put(f"/{by}/in/c.csv.tmp", b"")
    hdfs.put(f"/{by}/in/deep/d.csv", b"id\n4\n")
    source = cd.files(f"{root}/{by}/in/*.csv", storage=storage)
    arrived = fetched(source, tmp_path / "1")
    assert [(one.path, one.local.read_bytes()) for one in arrived] == [
        (f"{root}/{by}/in/a.csv", BODY),
        (f"{root}/{by}/in/b b.csv", b"id\n2\n"),
    ]
    assert fetched(source, tmp_path / "2", remembered(*arrived)) == []
    hdfs.put(f"/{by}/in/b b.csv", b"id\n3\n")
    assert [one.local.read_bytes() for one in fetched(source, tmp_path / "3", remembered(*arrived))] == [b"id\n3\n"]
    assert len(fetched(cd.files(f"{root}/{by}/**/*.csv", storage=storage), tmp_path / "4")) == 3
    with pytest.raises(SourceProblem, match=r"'inn' of '.*' does not exist in '/.*'. Did you mean 'in'\?"):
        fetched(cd.files(f"{root}/{by}/inn/*.csv", storage=storage), tmp_path)
    with pytest.raises(SourceProblem, match=r"No file matches 'b.csv' of '.*'; there is .* Did you mean 'b b.csv'\?"):
        fetched(cd.files(f"{root}/{by}/in/b.csv", storage=storage), tmp_path)
    assert fetched(cd.files(f"{root}/{by}/none/*.csv", storage=storage, required=False), tmp_path) == []


def test_names_patterns_and_users_of_hdfs(hdfs: Any, tmp_path: Path) -> None:
    for name in ("a1.csv", "a%232.csv"):
        hdfs.put(f"/names/{name}", b"id\n")
    assert [one.name for one in fetched(cd.files(f"{hdfs.root}/names/a?.csv"), tmp_path / "1")] == ["a1.csv"]
    arrived = fetched(cd.files(f"{hdfs.root}/names/a*.csv"), tmp_path / "2")
    assert [one.local.read_bytes() for one in arrived] == [b"id\n"] * 2
    assert [one.name for one in arrived] == ["a#2.csv", "a1.csv"]
    with pytest.raises(SourceProblem, match="HADOOP_USER_NAME=ann"):
        fetched(cd.files("hdfs://ann@namenode/in/*.csv"), tmp_path)


@pytest.mark.slow
@pytest.mark.faults
def test_a_fetch_whose_hdfs_is_killed_in_the_middle_finishes_once_it_is_there_again(
    hdfs: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(remote, "ATTEMPTS", 2)
    contents = {f"{i}.csv": os.urandom(24 << 20) for i in range(2)}
    for name, content in contents.items():
        hdfs.put(f"/killed/{name}", content)
    source = cd.files(f"{hdfs.root}/killed/*.csv")
    usual = remote._append

    def killed(place: Any, one: Any, part: Path) -> None:
        if hdfs.running:  # when some of the first file is there
            with place.fs.open(one.path, "rb") as file:
                part.write_bytes(file.read(1 << 20))
            hdfs.stop()
        usual(place, one, part)

    monkeypatch.setattr(remote, "_append", killed)
    monkeypatch.setattr(remote, "AT_ONCE", 1)
    began = time.monotonic()
    try:
        with pytest.raises(SourceProblem, match=r"'hdfs://.*/killed/0.csv' could not be read in 2 attempts") as raised:
            fetched(source, tmp_path)
    finally:
        monkeypatch.setattr(remote, "_append", usual)
        hdfs.start()
    assert raised.value.facts["transient"]
    assert time.monotonic() - began < 120
    offsets = _offsets(monkeypatch)
    arrived = fetched(source, tmp_path)
    assert {one.name: one.local.read_bytes() for one in arrived} == contents
    assert offsets[0] >= 1 << 20  # it was taken up within
