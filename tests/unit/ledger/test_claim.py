"""The claim in the ledger: one holder at a time, over machines, pauses and kills."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import threading
import time

import pytest

from caudal.errors import LeaseHeld
from caudal.ledger import claim as claims_of
from caudal.ledger.claim import HolderWatch, claim, held_by_another, process_is_dead, this_process
from caudal.ledger.ledger import open_ledger
from caudal.ledger.records import claims

HOLD = """
import os, random, sys, time
from caudal.ledger import claim
from caudal.ledger.claim import claim as held
from caudal.ledger.ledger import open_ledger
claim.TTL_S, claim.BEAT_S, claim._LOOK_S = 2.0, 0.2, 0.01
if sys.argv[3] == "elsewhere":  # nothing of another machine is seen but its beat
    claim.process_is_dead = lambda holder: False
ledger, out, chance = open_ledger(sys.argv[1]), sys.argv[2], random.Random(os.getpid())
end = time.monotonic() + float(sys.argv[4])
def say(word):
    with open(out, "a") as log:
        log.write(f"{time.monotonic_ns()} {os.getpid()} {word}\\n")
while time.monotonic() < end:
    with held(ledger, "p", 60):
        say("begin")
        time.sleep(chance.uniform(0, 0.03))
        say("end")
"""


@pytest.fixture
def url(tmp_path):
    made = f"sqlite:///{tmp_path}/l.db"
    open_ledger(made).close()
    return made


def test_a_second_holder_is_refused_and_told_who_holds_it(url):
    ledger, other = open_ledger(url), open_ledger(url)
    with claim(ledger, "p") as mine:
        mine.check()
        assert held_by_another(other, "p", HolderWatch())
        with pytest.raises(LeaseHeld, match=f"process {os.getpid()}"), claim(other, "p"):
            pass
        with claim(other, "q"):
            pass
    with claim(other, "p"):
        pass
    assert ledger.find(claims) == []


def elsewhere():
    """Return a holder on another machine."""
    return json.dumps({**json.loads(this_process()), "host": "another"})


def test_a_holder_elsewhere_is_dead_when_its_beat_stands_still(url, monkeypatch):
    monkeypatch.setattr(claims_of, "TTL_S", 0.5)
    ledger = open_ledger(url)
    ledger.add(claims, {"name": "p", "holder": elsewhere(), "beat": 7, "at": time.time()})
    with pytest.raises(LeaseHeld), claim(ledger, "p", 0.3):
        pass
    with claim(ledger, "p", 5):
        pass


@pytest.mark.parametrize("off_s", [-86_400, 86_400])
def test_a_clock_that_was_set_takes_nothing_from_who_lives_and_keeps_nothing_for_the_dead(url, monkeypatch, off_s):
    monkeypatch.setattr(claims_of, "TTL_S", 1.0)
    monkeypatch.setattr(claims_of, "BEAT_S", 0.1)
    ledger, other = open_ledger(url), open_ledger(url)
    clock = time.time
    monkeypatch.setattr(claims_of, "process_is_dead", lambda holder: False)  # as on another machine
    with claim(ledger, "p") as mine:
        monkeypatch.setattr(claims_of.time, "time", lambda: clock() + off_s)
        with pytest.raises(LeaseHeld), claim(other, "p"):
            pass
        mine.check()
    ledger.add(claims, {"name": "p", "holder": elsewhere(), "beat": 7, "at": clock()})
    with claim(other, "p"):  # watched for as long as it takes to tell, without having been asked to wait
        pass


def test_a_holder_of_before_the_machine_was_started_anew_is_watched(url, monkeypatch):
    monkeypatch.setattr(claims_of, "TTL_S", 0.5)
    ledger = open_ledger(url)
    before = json.dumps({**json.loads(this_process()), "boot": "another"})  # a process of the same number may live now
    assert not process_is_dead(before)
    ledger.add(claims, {"name": "p", "holder": before, "beat": 7, "at": time.time()})
    with claim(ledger, "p"):
        pass


def test_a_holder_elsewhere_that_beats_is_waited_for(url, monkeypatch):
    monkeypatch.setattr(claims_of, "TTL_S", 0.5)
    ledger = open_ledger(url)
    ledger.add(claims, {"name": "p", "holder": elsewhere(), "beat": 0, "at": time.time()})
    ended = threading.Event()

    def beat():
        beating, count = open_ledger(url), 0
        while not ended.wait(0.1):
            count += 1
            beating.change(claims, {"name": "p"}, beat=count)
        beating.close()

    thread = threading.Thread(target=beat)
    thread.start()
    with pytest.raises(LeaseHeld), claim(ledger, "p", 1.5):
        pass
    ended.set()
    thread.join()


def test_who_slept_and_was_taken_over_is_told_before_it_publishes(url):
    ledger = open_ledger(url)
    with claim(ledger, "p") as mine:
        ledger.change(claims, {"name": "p"}, holder=elsewhere(), beat=0)
        with pytest.raises(LeaseHeld, match="taken over"):
            mine.check()
    assert ledger.find(claims, name="p")  # the other's, left alone


def test_a_dead_process_of_this_machine_is_known_at_once():
    child = subprocess.Popen([sys.executable, "-c", "from caudal.ledger.claim import this_process; print(this_process(), flush=True); input()"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)  # fmt: skip
    assert child.stdout is not None
    holder = child.stdout.readline().strip()
    assert not process_is_dead(holder)
    child.send_signal(signal.SIGKILL)
    time.sleep(0.2)
    assert process_is_dead(holder)  # not waited for yet: a zombie
    child.wait()
    assert process_is_dead(holder)
    assert not process_is_dead(this_process())
    assert process_is_dead(json.dumps({**json.loads(this_process()), "began": "0"}))  # another process of the same number


@pytest.mark.slow
@pytest.mark.faults
@pytest.mark.parametrize("where", ["here", "elsewhere"])
def test_never_two_at_once_while_holders_are_killed(url, tmp_path, where):
    """Five contenders for eight seconds; every moment one is killed and another comes."""
    out, chance = tmp_path / "log", random.Random(3)

    def contender():
        return subprocess.Popen([sys.executable, "-c", HOLD, url, str(out), where, "8"], stderr=subprocess.PIPE)

    running = [contender() for _ in range(5)]
    killed: set[int] = set()
    end = time.monotonic() + 7
    while time.monotonic() < end:
        time.sleep(0.4)
        place = chance.randrange(5)
        if running[place].poll() is None:
            running[place].kill()
            killed.add(running[place].pid)
            running[place].wait()
        running[place] = contender()
    for one in running:
        one.communicate(timeout=60)
    holder, turns = None, 0
    for _, pid, word in sorted((line.split() for line in out.read_text().splitlines()), key=lambda line: int(line[0])):
        if word == "begin":
            assert holder is None or int(holder) in killed, "two at once"
            holder, turns = pid, turns + 1
        else:
            assert holder == pid
            holder = None
    assert turns > 20
    assert killed
