"""Faults, each made to happen while a stream is at work: how soon it goes on, and whether its tables are those of one that nothing happened to.

The truth is twofold: a second stream reads the same messages undisturbed, and its tables are compared row for row; and a run over
the captured samples (``caudal parity``) gives the same statistics.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from confluent_kafka import Consumer, TopicPartition

from benchmarks.stream.streaming import NAME, PRODUCT, SOURCE, Streaming, differences, parity, same_messages, send, tables
from caudal.engine.cluster import Cluster
from caudal.messaging.broker import Broker
from caudal.tables.home import Home

_CLUSTER_PATIENCE_S = 600.0  # a master, two workers and their Python share two cores, with whatever else runs there: only whether it comes says something
_ALL = ("--once", "--end", "--publish", "0.2")


@dataclass
class Outcome:
    """How a fault went.

    Parameters
    ----------
    recovery : seconds to the first micro-batch done after, by what they are counted from
    wrong : in what the tables differ from the truth
    facts : what else is worth telling
    """

    fault: str
    recovery: dict[str, float] = field(default_factory=dict)
    wrong: list[str] = field(default_factory=list)
    facts: dict[str, Any] = field(default_factory=dict)


def undisturbed(home: Path, place: Path, environment: Mapping[str, str] | None = None) -> dict[str, Any]:
    """Stream the messages of ``home``, or of a topic, to a home of its own and return its document."""
    if Home(home).stream(NAME, SOURCE).is_dir() and "STREAM_TOPIC" not in (environment or {}):
        same_messages(home, place)
    with Streaming(place, *_ALL, environment=environment) as stream:
        return stream.ended()


def driver_killed(place: Path, times: int = 5, on: str = "here") -> Outcome:
    """Kill the stream's process with -9 over a backlog, again and again."""
    home, told = place / "driver", Outcome(f"driver killed, on {on}")
    send(home, "--rate", "0", "--seconds", "120", "--devices", "2")
    undisturbed(home, place / "driver-truth")
    for _ in range(times):
        with Streaming(home, *_ALL, "--on", on, batch_bytes=64 << 10) as stream:
            first = stream.wait_for()
            if stream.before:
                _slower(told, "the process started again", first["at"] - stream.began)
            stream.wait_for(3)
            stream.kill()
    with Streaming(home, *_ALL, "--on", on) as stream:
        stream.ended()
    told.wrong = differences(tables(home), tables(place / "driver-truth")) + parity(home)
    told.facts["killed"] = times
    return told


def worker_killed(place: Path, seconds: float = 75, batch_bytes: int = 512 << 10, *, with_a_run: bool = True) -> Outcome:
    """Kill a worker of two, start it again, then both at once; ``with_a_run`` compares with a run over the captured samples too."""
    home, told = place / "worker", Outcome("worker of two killed")
    send(home, "--rate", "0", "--seconds", str(seconds), "--devices", "4")
    undisturbed(home, place / "worker-truth")
    with Cluster(place / "cluster") as cluster:
        (place / "caudal.toml").write_text(_toml(cluster))
        with Streaming(home, *_ALL, "--on", "spark", batch_bytes=batch_bytes, cwd=place) as stream:
            stream.wait_for(2, patience_s=_CLUSTER_PATIENCE_S)
            died = _in_a_task(lambda: cluster.kill_worker(0))
            _slower(told, "the worker's death", stream.wait_for(since=died, patience_s=_CLUSTER_PATIENCE_S)["at"] - died)
            cluster.start_worker(0)
            stream.wait_for(2, since=time.time(), patience_s=_CLUSTER_PATIENCE_S)
            _in_a_task(lambda: [cluster.kill_worker(number) for number in (0, 1)])
            began = time.time()
            cluster.start()
            _slower(told, "both workers started again", stream.wait_for(since=began, patience_s=_CLUSTER_PATIENCE_S)["at"] - began)
            document = stream.ended()
    told.facts["micro_batches"] = document["sources"][SOURCE]["batches"]
    told.wrong = differences(tables(home), tables(place / "worker-truth")) + (parity(home) if with_a_run else [])
    return told


def broker_restarted(place: Path, seconds: float = 12, away_s: float = 3) -> Outcome:
    """Kill the broker with -9 while a replay sends and a stream reads; start it again and send more."""
    home, told = place / "broker", Outcome("broker restarted, stream and sender running")
    with Broker(place / "kafka-running") as broker:
        environment = kafka(broker)
        _topic(home, environment)
        with Streaming(home, "--publish", "0.5", environment=environment) as stream:
            sending = _sending(home, seconds, environment)
            stream.wait_for(10)
            broker.kill()
            time.sleep(away_s)
            _started_again(broker, stream, told)
            sent = _told(sending)
            more = send(home, "--seconds", "2", environment=environment)
            acknowledged = 1 + sent["payloads"] + more["payloads"]
            _quiet(stream)
            stream.stop()
        with Streaming(home, *_ALL, environment=environment) as stream:
            counts = stream.ended()["sources"][SOURCE]
        undisturbed(home, place / "broker-truth", environment)
        told.facts |= {"acknowledged": acknowledged, "in_topic": _held(broker), "counted": counts["messages"]}
        told.wrong = differences(tables(home), tables(place / "broker-truth")) + parity(home, environment)
    if not acknowledged == counts["messages"] == told.facts["in_topic"]:
        told.wrong.append(f"messages: {told.facts}")
    return told


def broker_restarted_once(place: Path, away_s: float = 4, on: str = "here") -> Outcome:
    """Kill the broker with -9 under ``caudal stream --once``, which must not end before all has been read."""
    home, told = place / "once", Outcome(f"broker restarted under --once, on {on}")
    with Broker(place / "kafka-once") as broker:
        environment = kafka(broker)
        sent = send(home, "--rate", "0", "--seconds", "240", "--devices", "2", environment=environment)
        with Streaming(
            home, *_ALL, "--on", on, batch_bytes=(64 if on == "here" else 1024) << 10, environment=environment
        ) as stream:
            stream.wait_for(5 if on == "here" else 2)
            broker.kill()
            time.sleep(away_s)
            told.facts["waits"] = stream.process.poll() is None
            _started_again(broker, stream, told)
            counts = stream.ended()["sources"][SOURCE]
        undisturbed(home, place / "once-truth", environment)
        told.wrong = differences(tables(home), tables(place / "once-truth"))
    told.facts |= {"acknowledged": sent["payloads"], "counted": counts["messages"]}
    if not told.facts["waits"] or sent["payloads"] != counts["messages"]:
        told.wrong.append(f"messages: {told.facts}")
    return told


def state_filled(place: Path, devices: int = 128, seconds: float = 40) -> Outcome:
    """Keep every window open, by a long wait for late samples, and kill the process with -9 in the middle."""
    home, told = place / "state", Outcome("state filled, driver killed")
    environment = {"STREAM_LATE": "10 minutes"}
    send(home, "--rate", "0", "--seconds", str(seconds), "--devices", str(devices))
    undisturbed(home, place / "state-truth", environment)
    with Streaming(home, *_ALL, batch_bytes=2 << 20, environment=environment) as stream:
        stream.wait_for(4)
        stream.kill()
    with Streaming(home, *_ALL, batch_bytes=2 << 20, environment=environment) as stream:
        _slower(told, "the process started again", stream.wait_for()["at"] - stream.began)
        stream.ended()
        most = max((update["state"] for update in stream.updates()), key=lambda one: one["bytes"])
    told.facts |= {"state_bytes": most["bytes"], "open_panes": most["windows"]}
    told.wrong = differences(tables(home), tables(place / "state-truth"))
    return told


def disk_full(place: Path, devices: int = 64, seconds: float = 60, file_bytes: int = 6 << 20) -> Outcome:
    """Let the disk take no memory above a size, while the state grows; then give it room."""
    home, told = place / "full", Outcome("no room for the stream's memory, then room")
    environment = {"STREAM_LATE": "10 minutes"}
    send(home, "--rate", "0", "--seconds", str(seconds), "--devices", str(devices))
    undisturbed(home, place / "full-truth", environment)
    with Streaming(home, *_ALL, batch_bytes=512 << 10, environment=environment, limit=file_bytes) as stream:
        stream.process.wait(300)
        told.facts |= {"code": stream.process.returncode, "said": stream.said().strip(), "micro_batches": len(stream.updates())}
    with Streaming(home, *_ALL, batch_bytes=2 << 20, environment=environment) as stream:
        _slower(told, "the process started again", stream.wait_for()["at"] - stream.began)
        stream.ended()
    told.wrong = differences(tables(home), tables(place / "full-truth"))
    if not told.facts["code"] or "goes on from there" not in told.facts["said"]:
        told.wrong.append(f"the stream did not say that it had no room: {told.facts}")
    return told


FAULTS: tuple[Callable[[Path], Outcome], ...] = (
    driver_killed, worker_killed, broker_restarted, broker_restarted_once, state_filled, disk_full,
)  # fmt: skip


def main() -> int:
    """Print the table of faults; return 1 where a stream went wrong."""
    print(f"{'fault':44} {'counted from':28} {'recovery, s':>11}  equal to the truth")
    failed = 0
    for one in FAULTS:
        with tempfile.TemporaryDirectory(prefix="caudal-faults-") as place:
            told = one(Path(place))
        for since, seconds in told.recovery.items():
            print(f"{told.fault:44} {since:28} {seconds:11.2f}  {'no' if told.wrong else 'yes'}", flush=True)
        print(
            *(f"    {key}: {value}" for key, value in told.facts.items()),
            *(f"  ! {one}" for one in told.wrong),
            sep="\n",
            flush=True,
        )
        failed += bool(told.wrong)
    return int(failed > 0)


def _toml(cluster: Cluster) -> str:
    said = "\n".join(f'"{name}" = "{value}"' for name, value in cluster.settings.items())
    return f'master = "{cluster.address}"\nmemory = "1g"\n[spark]\n{said}\n'


def _started_again(broker: Broker, stream: Streaming, told: Outcome) -> None:
    """Start a killed broker, and note how long the first micro-batch after it takes."""
    began = time.time()
    broker.start()
    answers = time.time()
    again = stream.wait_for(since=began)["at"]
    _slower(told, "the broker's start command", again - began)
    _slower(told, "the broker's first answer", max(0.0, again - answers))


def _slower(told: Outcome, since: str, seconds: float) -> None:
    told.recovery[since] = max(told.recovery.get(since, 0.0), round(seconds, 2))


def _in_a_task(act: Callable[[], Any]) -> float:
    """Do something a little after a micro-batch is done, when the tasks of the next one are at work; return when it was done."""
    time.sleep(0.15)
    act()
    return time.time()


def kafka(broker: Broker) -> dict[str, str]:
    """Return the environment in which the product reads from a broker."""
    return {"CAUDAL_KAFKA": broker.address, "STREAM_FROM": "kafka", "STREAM_TOPIC": "readings"}


def _topic(home: Path, environment: Mapping[str, str]) -> None:
    """Have the topic made, by a first message: a stream begins at one that is there."""
    send(home, "--seconds", "0.0625", environment=environment)


def _sending(home: Path, seconds: float, environment: Mapping[str, str]) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "caudal", "replay", str(PRODUCT), "--home", str(home), "--seconds", str(seconds), "--json"]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env={**os.environ, **environment})


def _told(sending: subprocess.Popen[str]) -> dict[str, Any]:
    said, _ = sending.communicate(timeout=120)
    if sending.returncode:
        raise RuntimeError(f"the replay ended with {sending.returncode}: {said}")
    return dict(json.loads(said))


def _quiet(stream: Streaming, patience_s: float = 60.0) -> None:
    """Wait until a stream has had nothing to do for a while."""
    until, seen, since = time.monotonic() + patience_s, -1, time.monotonic()
    while time.monotonic() < until and time.monotonic() - since < 1.5:
        if (now := len(stream.updates())) != seen:
            seen, since = now, time.monotonic()
        time.sleep(0.1)


def _held(broker: Broker) -> int:
    """Return how many messages the topic holds."""
    consumer = Consumer({"bootstrap.servers": broker.address, "group.id": "counting", "log_level": 0})
    topic = consumer.list_topics("readings", timeout=10).topics["readings"]
    bounds = [consumer.get_watermark_offsets(TopicPartition("readings", one), timeout=10) for one in topic.partitions]
    consumer.close()
    return sum(high - low for low, high in bounds)
