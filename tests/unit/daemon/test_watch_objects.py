"""Objects that arrive in a real S3: each once, again when it changes, and a server that is away for a while."""

from __future__ import annotations

import pytest

import caudal as cd
from caudal.daemon.daemon import watchers_of
from caudal.daemon.events import record_events
from caudal.daemon.watchers.objects import ObjectWatcher
from caudal.tables.home import Home

pytest.importorskip("s3fs")


@pytest.mark.slow
def test_new_and_changed_objects_are_events_once(s3, tmp_path, monkeypatch):
    bucket = s3.bucket()
    product = cd.Product("p")
    product.source("s", cd.files(f"s3://{bucket}/in/*.csv", required=False), trigger=cd.on_arrival())
    home = Home(tmp_path / "home")
    ledger = home.ledger()
    (watcher,) = watchers_of(product, home, tmp_path, 2.0)
    assert isinstance(watcher, ObjectWatcher)

    def look():
        seen = watcher.look(ledger)
        new = record_events(ledger, seen.events)
        watcher.recorded(seen.events)
        return seen.trouble or [event.subject.rpartition("/")[2] for event in new]

    assert look() == []
    s3.put(bucket, "in/a.csv", b"n\n1\n")
    assert look() == ["a.csv"]
    assert look() == []
    s3.put(bucket, "in/a.csv", b"n\n2\n")  # of the same size, in the same second
    s3.put(bucket, "in/b.csv", b"n\n1\n")
    assert look() == ["a.csv", "b.csv"]
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    assert "could not be read in 1 attempt" in look()
    monkeypatch.undo()
    ledger.close()
