"""A remote path is used as a local one is; what is wrong with the place is one sentence, in seconds."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from caudal.errors import DeclarationProblem, EnvironmentProblem
from caudal.storage import delta
from caudal.storage.place import Remote, move, place, put, readable, relative_path, remove, spark_path, writable
from caudal.storage.remote import storage


def write(path, said):
    path.parent.mkdir(parents=True, exist_ok=True)
    with writable(path) as to:
        if isinstance(path, Remote):
            to.write(said)
        else:
            to.write_bytes(said)


@pytest.mark.slow
def test_files_are_written_listed_read_moved_and_taken_away(lake):
    for name in ("a.json", "x=1/b.json", "x=1/y=ü 2/c.csv"):
        write(lake / "t" / name, name.encode())
    assert sorted(relative_path(one, lake).as_posix() for one in lake.rglob("*.json")) == ["t/a.json", "t/x=1/b.json"]
    assert sorted(one.name for one in (lake / "t").iterdir()) == ["a.json", "x=1"]
    assert [one.name for one in (lake / "t").glob("x=*")] == ["x=1"]
    assert (lake / "t" / "x=1" / "y=ü 2" / "c.csv").read_text() == "x=1/y=ü 2/c.csv"
    assert (lake / "t" / "a.json").stat().st_size == 6
    assert time.time() - (lake / "t" / "a.json").stat().st_mtime < 600
    assert ((lake / "t").is_dir(), (lake / "t").is_file(), (lake / "t/a.json").is_file()) == (True, False, True)
    assert not (lake / "t" / "nothing").exists()
    move(lake / "t" / "x=1", lake / "u" / "x=2")
    assert sorted(relative_path(one, lake).as_posix() for one in lake.rglob("*.*")) == [
        "t/a.json",
        "u/x=2/b.json",
        "u/x=2/y=ü 2/c.csv",
    ]
    remove(lake / "u")
    remove(lake / "never there")
    assert not (lake / "u").is_dir()
    (lake / "t" / "a.json").unlink()
    (lake / "t" / "a.json").unlink(missing_ok=True)
    with pytest.raises(FileNotFoundError):
        (lake / "t" / "a.json").read_bytes()


def test_a_file_that_is_put_is_whole_and_what_is_read_again_is_what_was_written_last(lake, tmp_path):
    at = lake / "raw" / "ab" / "abc.csv"
    for said in (b"one", b"two and more"):
        made = tmp_path / "made"
        made.write_bytes(said)
        put(made, at)
        assert at.read_bytes() == said
        opened = readable(at)
        assert (opened.read() if isinstance(at, Remote) else opened.read_bytes()) == said
    assert [one.name for one in (lake / "raw" / "ab").iterdir()] == ["abc.csv"]


def test_a_remote_path_travels_to_other_processes():
    path = place("s3://lake/a/b.parquet")
    assert pickle.loads(pickle.dumps(path)) == path
    assert (str(path.parent / "c"), path.suffix, spark_path(path)) == ("s3://lake/a/c", ".parquet", "s3a://lake/a/b.parquet")


@pytest.mark.parametrize(
    ("said", "why"),
    [
        ("s3://key:secret@lake/a", "must not hold a user, password or key"),
        ("s3://lake/a?secret=x", "must not hold a user, password or key"),
        ("s3n://lake/a", "cannot lie on 's3n://'. Did you mean 's3'"),
        ("ftp://lake/a", "cannot lie on 'ftp://'"),
        ("s3:///a", "names no bucket"),
        ("hdfs:///a", "names no host"),
    ],
)
def test_addresses_that_cannot_be_a_lake_are_refused_without_their_secret(said, why):
    with pytest.raises(DeclarationProblem) as caught:
        place(said)
    assert why in str(caught.value)
    assert "secret" not in str(caught.value).replace("password or key", "")


def test_a_bucket_that_is_not_there_is_named(s3, tmp_path):
    made = tmp_path / "made"
    made.write_bytes(b"x")
    nowhere = place("s3://nowhere-at-all/lake")
    for ask in (
        lambda: delta.version_of(nowhere / "t"),
        lambda: put(made, nowhere / "raw"),
        lambda: delta.read_version(nowhere / "t", 0),
    ):
        with pytest.raises(EnvironmentProblem, match="There is no bucket 'nowhere-at-all'"):
            ask()


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["s3", "hdfs"])
def test_a_server_that_is_away_is_told_of_in_seconds(kind, request, monkeypatch, tmp_path):
    from caudal.engine.loopback import free_port

    if kind == "s3":
        request.getfixturevalue("s3")
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{free_port()}")
    else:
        pytest.importorskip("hdfs_native")
    there = place("s3://lake/one") if kind == "s3" else place(f"hdfs://127.0.0.1:{free_port()}/lake")
    made = tmp_path / "made"
    made.write_bytes(b"x")
    for ask in (
        lambda: delta.version_of(there / "t"),
        lambda: delta.read_version(there / "t", 0),
        lambda: put(made, there / "raw"),
    ):
        began = time.monotonic()
        with pytest.raises(EnvironmentProblem, match="does not answer") as caught:
            ask()
        assert time.monotonic() - began < 15
        assert caught.value.facts["transient"]
    if kind == "hdfs":  # who does not answer has not said that a folder is none
        from caudal.storage.hdfs import Hdfs

        with pytest.raises(OSError, match="onnect"):
            Hdfs("127.0.0.1", free_port(), **storage("hdfs://")).isdir("/lake")


class Refusing(BaseHTTPRequestHandler):
    """An S3 that takes no key."""

    def answer(self):
        if "chunked" in self.headers.get("Transfer-Encoding", ""):
            while self.rfile.readline().strip() not in (b"0", b""):  # whoever is cut off while it sends hears of no refusal
                self.rfile.readline()
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        said = b"<?xml version='1.0'?><Error><Code>SignatureDoesNotMatch</Code><Message>no</Message></Error>"
        self.send_response(403)
        self.send_header("Content-Length", str(len(said)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(said)

    def log_message(self, *_):
        """Say nothing."""

    do_GET = do_HEAD = do_PUT = do_POST = answer  # noqa: N815


def test_keys_that_are_refused_are_told_of(monkeypatch, tmp_path):
    server = ThreadingHTTPServer(("127.0.0.1", 0), Refusing)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    for name, value in {
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{server.server_port}", "AWS_REGION": "us-east-1", "AWS_ACCESS_KEY_ID": "known",
        "AWS_SECRET_ACCESS_KEY": "wrong", "AWS_CA_BUNDLE": "",
    }.items():  # fmt: skip
        monkeypatch.setenv(name, value)
    made = tmp_path / "made"
    made.write_bytes(b"x")
    at = place("s3://lake/one")
    for ask in (
        lambda: delta.version_of(at / "t"),
        lambda: delta.read_version(at / "t", 0),
        lambda: (at / "a").exists(),
        lambda: put(made, at / "a"),
    ):
        with pytest.raises(EnvironmentProblem, match="S3 refuses the credentials for bucket 'lake'") as caught:
            ask()
        assert not caught.value.facts["transient"]
        assert "wrong" not in str(caught.value)
    server.shutdown()
    server.server_close()


def test_keys_of_a_profile_are_found_by_all_but_none_is_looked_at(s3, monkeypatch, tmp_path):
    bucket = s3.bucket()
    (tmp_path / "credentials").write_text("[lake]\naws_access_key_id = testing\naws_secret_access_key = testing\n")
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))
    monkeypatch.setenv("AWS_PROFILE", "lake")
    monkeypatch.setenv("AWS_REGION", "eu-central-1")  # so that the clients are made anew
    at = place(f"s3://{bucket}/lake")
    write(at / "a", b"x")
    assert (at / "a").read_bytes() == b"x"
    schema = {"type": "struct", "fields": [{"name": "n", "type": "long", "nullable": True, "metadata": {}}]}
    assert delta.commit(at / "t", [], schema, partitioned=False, replace="all", identity={"run_id": "a"}) == 0
    assert "testing" not in repr(at) + os.environ["AWS_PROFILE"]


def test_a_process_forked_beside_a_client_of_hdfs_begins(tmp_path):
    """Nobody holds the client any more but fsspec, which would let go of it in the child and wait for threads that are not there."""
    pytest.importorskip("hdfs_native")
    code = 'import os\nfrom caudal.storage.hdfs import Hdfs\nHdfs("127.0.0.1", 1)\nchild = os.fork()\nchild or os._exit(0)\nprint(os.waitpid(child, 0)[1])'
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout == "0\n"
