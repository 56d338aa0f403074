"""Events: noted once, taken once, settled by how their run ended."""

from __future__ import annotations

import threading
from collections import Counter

import pytest

from caudal.daemon.events import Event, record_events, settle, settle_stopped_runs, take_events, taken_events, try_failed_again
from caudal.ledger.ledger import open_ledger
from caudal.ledger.records import events, runs


@pytest.fixture
def ledger(tmp_path):
    made = open_ledger(f"sqlite:///{tmp_path}/l.db")
    yield made
    made.close()


def event(number, product="p", **more):
    return Event(product, "source:s", "file", f"{number}.csv", f"{number}.csv 10 1", 1.0, **more)


def states(ledger):
    return dict(Counter(row["state"] for row in ledger.find(events)))


def test_what_is_seen_again_is_noted_once(ledger):
    assert len(record_events(ledger, [event(1), event(2)])) == 2
    assert [one.subject for one in record_events(ledger, [event(2), event(3)])] == ["3.csv"]
    assert record_events(ledger, [event(1, product="other")])
    assert states(ledger) == {"new": 4}


def test_a_name_that_is_no_text_is_noted(ledger):
    strange = Event("p", "source:s", "file", "\udcff.csv", "\udcff.csv", 1.0)
    assert record_events(ledger, [strange])
    assert record_events(ledger, [strange]) == []
    assert ledger.find(events)[0]["subject"] == "\\xff.csv"


def test_what_waits_is_taken_together_and_settled_together(ledger):
    record_events(ledger, [event(1), event(2)])
    assert [row["subject"] for row in take_events(ledger, "p", "me", "r1", 1.0)] == ["1.csv", "2.csv"]
    record_events(ledger, [event(3)])
    assert take_events(ledger, "p", "me", "r1b", 1.0)[0]["subject"] == "3.csv"
    assert take_events(ledger, "p", "me", "r2", 1.0) == []
    assert settle(ledger, "r1", "done") == 2
    assert settle(ledger, "r1", "done") == 0
    assert states(ledger) == {"done": 2, "taken": 1}


def test_what_is_to_be_alone_is_taken_alone_in_its_turn(ledger):
    record_events(ledger, [event(1, alone=True), event(2), event(3, alone=True), event(4)])
    taken = [[row["subject"] for row in take_events(ledger, "p", "me", f"r{place}", 1.0)] for place in range(4)]
    assert taken == [["1.csv"], ["2.csv", "4.csv"], ["3.csv"], []]


def test_what_failed_by_what_may_pass_waits_and_comes_again(ledger):
    record_events(ledger, [event(1)])
    take_events(ledger, "p", "me", "r1", 1.0)
    settle(ledger, "r1", "new", not_before=50.0, again=True, why="no disk")
    assert take_events(ledger, "p", "me", "r2", 49.0) == []
    row = take_events(ledger, "p", "me", "r2", 50.0)[0]
    assert (row["attempts"], row["detail"]["why"]) == (1, "no disk")
    settle(ledger, "r2", "failed", why="a mistake")
    assert take_events(ledger, "p", "me", "r3", 99.0) == []
    assert try_failed_again(ledger, "p") == 1
    assert take_events(ledger, "p", "me", "r3", 99.0)[0]["attempts"] == 0


@pytest.mark.parametrize(("state", "ending"), [("succeeded", "done"), ("failed", "new"), ("running", "new"), ("stopped", "new"), ("abandoned", "new"), (None, "new")])  # fmt: skip
def test_events_of_a_dead_daemon_are_settled_by_their_run(ledger, state, ending):
    record_events(ledger, [event(1)])
    take_events(ledger, "p", "dead", "r1", 1.0)
    if state:
        ledger.add(runs, {"run_id": "r1", "product": "p", "command": "run", "state": state, "started_at": 1.0})
    assert settle_stopped_runs(ledger, taken_events(ledger)["dead"]) == {"r1": ending}
    assert states(ledger) == {ending: 1}
    assert taken_events(ledger) == {}


def test_many_daemons_take_each_event_once(tmp_path):
    url = f"sqlite:///{tmp_path}/l.db"
    taken, at_once = [], threading.Barrier(4)

    def daemon(name):
        ledger = open_ledger(url)
        at_once.wait()
        for number in range(25):
            record_events(ledger, [event(number)])
            taken.extend((row["id"], name) for row in take_events(ledger, "p", name, f"{name}-{number}", 1.0))
        ledger.close()

    open_ledger(url).close()
    threads = [threading.Thread(target=daemon, args=(f"d{place}",)) for place in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(taken) == len({number for number, _ in taken}) == 25
