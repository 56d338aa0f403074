"""The daemon's rounds with runs that are played: what is started, settled, tried again, stopped, and by whom."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
import types
from collections import Counter
from pathlib import Path

import pytest
from tests import zygote

from caudal.commands.status import home_status
from caudal.daemon import worker as worker_of
from caudal.daemon.daemon import load_products, load_triggered_product, up
from caudal.daemon.events import Event, record_events, take_events
from caudal.daemon.rounds import DaemonPace
from caudal.declarations.settings import Settings
from caudal.errors import DeclarationProblem
from caudal.ledger.records import claims, events, runs
from caudal.report.terminal.up import up_line
from caudal.tables.home import Home

pytestmark = pytest.mark.slow
PRODUCT = """
import caudal as cd
product = cd.Product("p", tz="Europe/Berlin")
product.source("s", cd.files("in/*.csv", required=False), trigger=cd.on_arrival())
product.schedule(cd.cron("0 0 1 1 *"))
"""
# Plays a run: says that it began and how it ended, as the file `play` beside it tells.
CHILD = """
import json, os, signal, sys, time
from pathlib import Path
from caudal.errors import EnvironmentProblem, SourceProblem, StepFailed, TimeLimitPassed
from caudal.ledger.claim import claim
from caudal.tables.home import Home
from caudal.ledger.records import runs
order = json.loads(sys.argv[1])
here = Path(order["folder"])
stopped = []
signal.signal(signal.SIGTERM, lambda *_: stopped.append(1))
ledger = Home(Path(order["home"])).ledger()
plays = (here / "play").read_text().split() if (here / "play").exists() else ["succeed"]
done = (here / "log").read_text().count("begin:") if (here / "log").exists() else 0
play = plays[min(done, len(plays) - 1)]
def say(word):
    with (here / "log").open("a") as log:
        log.write(f"{word}:{order['run_id']} ")
with claim(ledger, "p", 60):
    say("begin")
    ledger.add(runs, {"run_id": order["run_id"], "product": "p", "command": "run", "state": "running", "started_at": time.time()})
    error, state, code = None, "succeeded", 0
    if play == "slow":
        end = time.monotonic() + 60
        while not stopped and time.monotonic() < end:
            time.sleep(0.05)
        state, code = ("stopped", 75) if stopped else ("succeeded", 0)
    elif play == "hang":
        while True:
            time.sleep(1)
    elif play == "die":
        os.kill(os.getpid(), signal.SIGKILL)
    elif play != "succeed":
        error = {"disk": EnvironmentProblem("no disk"), "mistake": StepFailed("a mistake"), "away": SourceProblem("away", passing=True),
                 "hung": TimeLimitPassed("too long", hung=True, retry=1)}[play]
        state, code = "failed", error.exit_code
    ledger.change(runs, {"run_id": order["run_id"]}, state=state, finished_at=time.time(), error=error.as_dict() if error else None)
    say("end")
sys.exit(code)
"""


@pytest.fixture
def place(tmp_path, monkeypatch):
    """A product's folder, whose runs are played."""
    folder = tmp_path / "p"
    (folder / "in").mkdir(parents=True)
    (folder / "product.py").write_text(PRODUCT)
    (tmp_path / "child.py").write_text(CHILD)
    monkeypatch.setattr(worker_of, "COMMAND", (sys.executable, str(tmp_path / "child.py")))
    monkeypatch.setattr(worker_of, "FIRST_WAIT_S", 0.05)
    monkeypatch.setattr(worker_of, "subprocess", types.SimpleNamespace(**{**vars(subprocess), "Popen": zygote.start}))
    return folder


def daemon(folder, said=None, **pace):
    """Let the daemon run until nothing happens any more; what it says is returned."""
    said = [] if said is None else said
    settings = Settings(home=folder.parent / "home", settle=0.3)
    up([folder], settings, said.append, DaemonPace(**{"scan_s": 0.5, "idle_s": 3.0, "seconds": 60.0, **pace}))
    return said


def drop(folder, *names):
    for name in names:
        (folder / "in" / name).write_text("a\n1\n")


def rows(folder):
    ledger = Home(folder.parent / "home").ledger()
    found = ledger.find(events)
    ledger.close()
    return found


def endings(said):
    return [one["state"] for one in said if one["what"] == "ended"]


def test_files_that_are_there_make_one_run_and_one_that_comes_later_another(place):
    drop(place, "a.csv", "b.csv")
    said: list[dict] = []
    thread = threading.Thread(target=daemon, args=(place, said))
    thread.start()
    until = time.monotonic() + 30
    while not endings(said) and time.monotonic() < until:
        time.sleep(0.05)
    drop(place, "c.csv")
    thread.join(60)
    assert [one["events"] for one in said if one["what"] == "run"] == [2, 1]
    assert endings(said) == ["succeeded", "succeeded"]
    assert {row["state"] for row in rows(place)} == {"done"}
    assert [row["run_id"] for row in rows(place)] == [
        one["run_id"] for one in said if one["what"] == "run" for _ in range(one["events"])
    ]
    assert all(up_line(one) for one in said)
    told = home_status(Settings(home=place.parent / "home"))["products"][0]["up"]
    assert told["events"] == {"new": 0, "taken": 0, "done": 3, "failed": 0}
    assert told["schedules"][0]["next_at"] > time.time()


@pytest.mark.parametrize(
    ("plays", "ended", "state"),
    [
        ("mistake", ["failed"], "failed"),
        ("disk away succeed", ["failed", "failed", "succeeded"], "done"),
        ("die succeed", ["failed", "succeeded"], "done"),
        ("hung hung succeed", ["failed", "failed"], "failed"),  # its step is to be tried again once
        ("disk", ["failed"] * worker_of.ATTEMPTS, "failed"),
    ],
)
def test_runs_that_fail_are_tried_again_where_that_may_help(place, plays, ended, state):
    (place / "play").write_text(plays)
    drop(place, "a.csv")
    assert endings(daemon(place)) == ended
    assert [row["state"] for row in rows(place)] == [state]


def test_a_daemon_is_not_idle_while_something_waits_to_be_tried_again(place, monkeypatch):
    monkeypatch.setattr(worker_of, "pause_s", lambda *_: 4.0)
    (place / "play").write_text("away succeed")
    drop(place, "a.csv")
    assert endings(daemon(place, idle_s=1.0)) == ["failed", "succeeded"]
    assert [row["state"] for row in rows(place)] == ["done"]


def test_a_daemon_that_begins_tries_what_failed_once_more(place):
    (place / "play").write_text("mistake succeed")
    drop(place, "a.csv")
    assert endings(daemon(place)) == ["failed"]
    said = daemon(place)
    assert {"what": "again", "product": "p", "events": 1} in said
    assert endings(said) == ["succeeded"]


@pytest.mark.parametrize("mended", ["file taken away", "code changed", "another file comes"])
def test_what_failed_is_tried_again_when_something_has_been_mended(place, mended):
    (place / "play").write_text("mistake succeed")
    drop(place, "good.csv", "broken.csv")
    said: list[dict] = []
    thread = threading.Thread(target=daemon, args=(place, said), kwargs={"idle_s": 8.0})
    thread.start()
    until = time.monotonic() + 30
    while endings(said) != ["failed"] and time.monotonic() < until:
        time.sleep(0.05)
    time.sleep(1.5)
    assert endings(said) == ["failed"]
    if mended == "file taken away":
        (place / "in" / "broken.csv").unlink()
    elif mended == "code changed":
        (place / "product.py").write_text(PRODUCT + "\n# mended\n")
    else:
        drop(place, "third.csv")
    thread.join(60)
    assert endings(said) == ["failed", "succeeded"]
    assert {row["state"] for row in rows(place)} == {"done"}


def started(folder, *more, kill=None):
    """A daemon as a process of its own, with played runs; ``kill`` has it die before or after an act, such as ``("before", "take_events")``."""
    armed = KILL.format(moment=kill[0], act=kill[1]) if kill else ""
    code = (
        "import sys, json\nfrom pathlib import Path\nfrom caudal.daemon import worker\nfrom caudal.daemon.daemon import up\nfrom caudal.daemon.rounds import DaemonPace\n"
        "from caudal.declarations.settings import Settings\n"
        f"worker.COMMAND = {worker_of.COMMAND!r}\n{armed}"
        f"up([Path({str(folder)!r})], Settings(home=Path({str(folder.parent / 'home')!r}), settle=0.3), lambda one: print(json.dumps(one), flush=True),"
        f" DaemonPace(scan_s=0.3, seconds=60, {', '.join(more)}))"
    )
    return zygote.start([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)


KILL = """
import os, signal
from caudal.daemon import rounds
place = rounds if "{act}" in ("record_events", "settle_stopped_runs") else worker
real = getattr(place, "{act}")
def armed(*args, **more):
    happens = "{act}" != "record_events" or args[1]
    if "{moment}" == "before" and happens:
        os.kill(os.getpid(), signal.SIGKILL)
    result = real(*args, **more)
    if "{moment}" == "after" and (happens and result):
        os.kill(os.getpid(), signal.SIGKILL)
    return result
setattr(place, "{act}", armed)
"""


def until_said(process, what):
    for line in process.stdout:
        if f'"what": "{what}"' in line:
            return line
    raise AssertionError(f"never said {what}")


@pytest.mark.parametrize(("play", "grace", "asleep"), [("slow", 30, True), ("hang", 1, True), ("slow", 30, False)])
def test_asked_to_stop_it_lets_the_step_end_or_abandons_it_and_what_was_to_be_done_is_done_later(place, play, grace, asleep):
    (place / "play").write_text(f"{play} succeed")
    drop(place, "a.csv")
    process = started(place, f"grace_s={grace}")
    until_said(process, "run")
    until = time.monotonic() + 30
    while asleep and not (place / "log").exists() and time.monotonic() < until:
        time.sleep(0.1)
    time.sleep(0.1)
    process.send_signal(signal.SIGTERM)
    rest, _ = process.communicate(timeout=40)
    assert process.returncode == 0
    assert '"state": "stopped"' in rest
    assert [(row["state"], row["attempts"]) for row in rows(place)] == [("new", 0)]
    if not asleep:  # it was asked before its run could hear it
        (place / "play").write_text("succeed")
    assert endings(daemon(place)) == ["succeeded"]


def test_killed_and_started_again_it_takes_up_what_was_taken(place):
    (place / "play").write_text("succeed")
    drop(place, "a.csv")
    home = Home(place.parent / "home")
    ledger, dead = home.ledger(), []
    for _ in range(2):
        process = started(place)
        until_said(process, "up")
        process.kill()
        process.wait()
        dead += [row["holder"] for row in ledger.find(claims) if row["name"].startswith("up ")][-1:]
    for holder, state in zip(dead, ("succeeded", "running"), strict=True):  # the run had ended, or died with its daemon
        record_events(ledger, [Event("p", "t", "file", state, state, 1.0)])
        assert take_events(ledger, "p", holder, f"run-{state}", time.time())
        ledger.add(runs, {"run_id": f"run-{state}", "product": "p", "command": "run", "state": state, "started_at": 1.0})
    ledger.close()
    said = daemon(place)
    assert {one["run_id"]: one["ending"] for one in said if one["what"] == "taken up"}["run-succeeded"] == "done"
    assert {one["run_id"]: one["ending"] for one in said if one["what"] == "taken up"}["run-running"] == "new"
    assert {row["state"] for row in rows(place)} == {"done"}


def test_killed_at_every_act_nothing_is_lost_and_nothing_is_two_events(place):
    (place / "play").write_text("succeed")
    acts = [
        (moment, act) for act in ("record_events", "take_events", "settle", "settle_stopped_runs") for moment in ("before", "after")
    ]
    for number, kill in enumerate(acts):
        drop(place, f"{number}.csv")
        process = started(place, "idle_s=6.0", kill=kill)
        process.communicate(timeout=60)
        assert process.returncode in (-9, 0), kill
        if kill[1] != "settle_stopped_runs":
            assert process.returncode == -9, kill
    daemon(place, idle_s=6.0)
    found = rows(place)
    assert sorted(Path(row["subject"]).name for row in found) == sorted(f"{number}.csv" for number in range(len(acts)))
    assert {row["state"] for row in found} == {"done"}
    ledger = Home(place.parent / "home").ledger()
    assert ledger.find(claims) == []
    ledger.close()


def test_the_run_of_a_killed_daemon_ends_with_it(tmp_path):
    """The real child: it blocks in a step of the user's, and its daemon is killed."""
    folder = tmp_path / "p"
    folder.mkdir()
    (folder / "product.py").write_text(
        "import os, time\nfrom pathlib import Path\nimport caudal as cd\nproduct = cd.Product('p')\n"
        "def write(folder, seed):\n    Path(__file__).with_name('pid').write_text(str(os.getpid()))\n    time.sleep(600)\n"
        "product.source('s', cd.simulated(write), trigger=cd.every('1 second'))\n"
    )
    code = (
        "from pathlib import Path\nfrom caudal.daemon.daemon import up\nfrom caudal.daemon.rounds import DaemonPace\nfrom caudal.declarations.settings import Settings\n"
        f"up([Path({str(folder)!r})], Settings(home=Path({str(tmp_path / 'home')!r})), print, DaemonPace(seconds=120))"
    )
    process = zygote.start([sys.executable, "-c", code], stdout=subprocess.DEVNULL)
    until = time.monotonic() + 60
    while not (folder / "pid").exists() and time.monotonic() < until:
        time.sleep(0.1)
    time.sleep(0.2)
    child = int((folder / "pid").read_text())
    process.kill()
    process.wait()
    until = time.monotonic() + 10
    while time.monotonic() < until and Path(f"/proc/{child}").exists():
        time.sleep(0.1)
    with pytest.raises(ProcessLookupError):
        os.kill(child, 0)


def test_two_daemons_never_run_a_product_at_once_and_do_everything_once(place):
    processes = [started(place, "idle_s=5.0") for _ in range(2)]
    for number in range(20):
        drop(place, f"{number}.csv")
        time.sleep(0.15)
    said = [one.communicate(timeout=90)[0] for one in processes]
    found = rows(place)
    assert len(found) == 20
    assert {row["state"] for row in found} == {"done"}
    log = (place / "log").read_text().split()
    assert log[::2] == [one.replace("end", "begin") for one in log[1::2]], "two at once"
    assert Counter(one.split(":")[1] for one in log).most_common(1)[0][1] == 2
    assert all('"what": "up"' in one for one in said)


def test_what_nothing_triggers_is_told_at_once(place):
    (place / "product.py").write_text("import caudal as cd\nproduct = cd.Product('p')\nproduct.source('s', cd.files('*.csv'))\n")
    with pytest.raises(DeclarationProblem, match=r"Nothing triggers product 'p'.*on_arrival"):
        load_triggered_product(place)


def test_one_product_given_twice_is_told_at_once(place):
    with pytest.raises(DeclarationProblem, match="'p' is given twice"):
        load_products([place, place])
