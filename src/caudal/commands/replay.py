"""``caudal replay``: a simulator or a recording, played into a stream at a chosen rate by the clock on the wall."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

from caudal.commands.sinks import Sink, sink
from caudal.declarations.connection import Kafka
from caudal.declarations.product import Product
from caudal.declarations.settings import Settings
from caudal.errors import DeclarationProblem, NotThere
from caudal.graph.load import load
from caudal.messaging.wire import Block, codec, packed
from caudal.stages.ingest.streams.kafka_client import properties
from caudal.stages.simulate import Played, simulator, simulators
from caudal.streaming.task import AHEAD_US
from caudal.tables.home import Home

# One block leaves this often where blocks are paced: small enough to be fresh, large enough to be cheap.
BLOCK_S = 1 / 16
# Samples of a block that is not paced.
_FAST = 256
# More messages a second than this would cost more than they save; a payload then holds blocks of many devices.
_PAYLOAD_BYTES = 64 << 10
_SLACK_S = 0.002
_LABELS = 32  # labels leave in groups of this many


@dataclass(frozen=True)
class Pace:
    """How fast a replay goes.

    Parameters
    ----------
    devices : int, all of them play the same stretch
    rate_hz : samples of a device in a second of event time
    speed : seconds of event time in a second on the wall; 0 is as fast as it goes
    samples : int, of a block
    """

    devices: int
    rate_hz: float
    speed: float
    samples: int


def pace(what: Played, rate: float, devices: int | None = None, speed: float = 1.0) -> Pace:
    """Return how to play ``what`` so that ``rate`` readings leave in a second; 0 is as fast as it goes.

    There are as many devices as it takes, and their samples lie a little closer or further apart than by nature, so that event time
    goes with the clock (times ``speed``) and the rate is exact.

    Examples
    --------
    >>> from caudal.stages.simulate import simulator
    >>> pace(simulator("eeg"), 4096)
    Pace(devices=1, rate_hz=256.0, speed=1.0, samples=16)
    >>> pace(simulator("eeg"), 1_000_000).devices
    245
    """
    if rate < 0 or speed <= 0 or (devices is not None and devices < 1):
        raise DeclarationProblem("Rate, speed and devices cannot be negative, and there is at least one device.")
    natural = what.natural_hz * len(what.channels) * speed
    if rate == 0:
        return Pace(devices or 1, what.natural_hz, 0.0, _FAST)
    count = devices or max(1, math.ceil(rate / natural - 1e-9))
    rate_hz = rate / (count * len(what.channels) * speed)
    return Pace(count, rate_hz, speed, max(1, round(rate_hz * speed * BLOCK_S)))


@dataclass
class Told:
    """What a replay has done."""

    readings: int = 0
    samples: int = 0
    payloads: int = 0
    labels: int = 0
    positions: int = 0
    seconds: float = 0.0
    late_s: float = 0.0
    stopped: bool = False

    def document(self, what: Played, chosen: Pace) -> dict[str, object]:
        """Return it as a JSON-ready document, with the disturbances that lie in what was played."""
        facts = what.facts(0, self.positions)
        return {
            "readings": self.readings,
            "samples": self.samples,
            "payloads": self.payloads,
            "labels": self.labels,
            "seconds": round(self.seconds, 3),
            "readings_per_s": round(self.readings / self.seconds) if self.seconds else 0,
            "most_behind_s": round(self.late_s, 3),
            "devices": chosen.devices,
            "rate_hz": chosen.rate_hz,
            "start_us": what.start_us,
            "facts_per_device": facts,
            "stopped": self.stopped,
        }


def replay(
    what: Played,
    to: Sink,
    *,
    wire: str,
    chosen: Pace,
    seconds: float,
    labels: Sink | None = None,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
    told: Callable[[Told], None] = lambda _: None,
) -> Told:
    """Play ``seconds`` of event time into ``to`` (and labels into ``labels``), and return what was sent; Ctrl-C ends it early."""
    stop = round(seconds * chosen.rate_hz)
    done, began, shown = Told(), clock(), 0.0
    waiting = _labels(what, stop) if labels is not None else iter(())
    label = next(waiting, None)
    try:
        for block in cut(what, stop, chosen.samples):
            ahead = int(block.seq.max()) + 1
            if chosen.speed:
                # It leaves when its last sample has been taken.
                due = began + ahead / chosen.rate_hz / chosen.speed
                done.late_s = max(done.late_s, clock() - due)
                if (rest := due - clock()) > _SLACK_S:
                    sleep(rest)
            while label is not None and labels is not None and _known(what, label) <= ahead:
                _send(label, labels, wire, chosen.devices)
                done.labels += len(label) * chosen.devices
                label = next(waiting, None)
            done.payloads += _send(block, to, wire, chosen.devices)
            done.samples += len(block) * chosen.devices
            done.readings += len(block) * block.channels * chosen.devices
            done.positions = max(done.positions, ahead)
            if clock() - began > shown + 1:
                shown = done.seconds = clock() - began
                told(done)
        done.positions = stop
        while label is not None and labels is not None:
            _send(label, labels, wire, chosen.devices)
            done.labels += len(label) * chosen.devices
            label = next(waiting, None)
    except KeyboardInterrupt:
        done.stopped = True
    for one in (to, labels):
        if one is not None:
            one.close()
    done.seconds = clock() - began
    return done


def command(
    what: str,
    settings: Settings,
    *,
    into: str | None,
    to: str | None,
    rate: float,
    seconds: float,
    speed: float,
    devices: int | None,
    wire: str | None,
    labels: bool,
    source_name: str | None,
    seed: int,
    at: str | None = None,
    client_config: Path | None = None,
    say: Callable[[str], None],
) -> dict[str, Any]:
    """Do what the command says and return its document.

    Parameters
    ----------
    client_config : Path, optional, properties of Kafka's client, such as those of a login; they go before a declared source's own
    """
    target, named = _target(what, settings, source_name)
    played = source(named, seed=seed, data=settings.data if named == "recording" else None)
    chosen = pace(played, len(played.channels) * played.natural_hz * speed if rate == -1 else rate, devices, speed)
    now_us = time.time_ns() // 1000
    played = ending_by_now(played, chosen, seconds, now_us) if at is None else beginning_at(played, chosen, seconds, at, now_us)
    kind, place = (
        into or target.kind,
        to or (target.place if into in (None, target.kind) else _default(into or "", named, settings)),
    )
    wire = wire or target.wire
    login = {**target.options, **_client_config(client_config, kind)}
    servers = login.pop("kafka.bootstrap.servers", None) or target.servers or settings.kafka
    options: dict[str, Any] = {"lanes": target.lanes, "lines": wire == "json", "servers": servers, "options": login}
    out = sink(kind, place, **options)
    beside = sink(kind, target.labels or f"{place}_labels", **options) if labels and kind != "socket" else None
    say(f"{named}: {chosen.devices:,} × {len(played.channels)} channels at {chosen.rate_hz:g} Hz into {kind} {place}")
    done = replay(
        played,
        out,
        wire=wire,
        chosen=chosen,
        seconds=seconds,
        labels=beside,
        told=lambda now: say(f"{now.seconds:7.1f} s  {now.readings:14,} readings  {now.readings / now.seconds:12,.0f} a second"),
    )
    return {"what": named, "into": kind, "to": place, "wire": wire, **done.document(played, chosen)}


@dataclass(frozen=True)
class _Target:
    """Where a replay goes when the command does not say."""

    kind: str
    place: str
    wire: str = "packed"
    lanes: int = 2
    servers: str | None = None
    labels: str | None = None
    options: Mapping[str, Any] = field(default_factory=dict)  # of Kafka's client


def _target(what: str, settings: Settings, name: str | None) -> tuple[_Target, str]:
    path = Path(what)
    if len(path.parts) == 1 and not path.is_dir() and path.suffix != ".py":
        return _Target("log", _default("log", what, settings)), what
    product, chosen, simulator = declared(path, name)
    connection = chosen.connection
    label_channels = simulators()[simulator].label_channels
    beside = [stream for stream in _streams(product) if stream.connection.channels == label_channels and label_channels]
    place = partial(_place, settings, product.name)
    return (
        _Target(
            "log" if connection.kind == "stream" else connection.kind,
            place(chosen),
            connection.wire,
            getattr(connection, "partitions", 2),
            getattr(connection, "servers", None),
            place(beside[0]) if beside and beside[0].connection.kind == connection.kind else None,
            connection.options if isinstance(connection, Kafka) else {},
        ),
        simulator,
    )


def _client_config(file: Path | None, kind: str) -> dict[str, object]:
    if file is not None and kind != "kafka":
        raise DeclarationProblem(
            f"--client-config is of Kafka's client, and this replay goes into {kind}.", fix="Add --into kafka."
        )
    return properties(file) if file is not None else {}


def _place(settings: Settings, product: str, one: Any) -> str:
    """Return where a stream source is fed."""
    connection = one.connection
    if connection.kind == "kafka":
        return str(connection.topic)
    if connection.kind == "folder":
        return str(((settings.data or Path.cwd()) / connection.pattern).parent)
    if connection.kind == "socket":
        return f"{connection.host}:{connection.port}"
    return str(Home(settings.home).stream(product, one.name))


def _default(kind: str, name: str, settings: Settings) -> str:
    named = {"kafka": name, "folder": str(settings.home / "dropped" / name), "socket": "127.0.0.1:9999"}
    return named.get(kind) or str(Home(settings.home).stream(name, "samples"))


def cut(what: Played, stop: int, samples: int) -> Iterator[Block]:
    """Yield what is sent of positions 0 to before ``stop`` in blocks of at most ``samples``."""
    for block in what.blocks(0, stop):
        for start in range(0, len(block), samples):
            yield block.cut(start, start + samples)


def source(name: str, **parameters: object) -> Played:
    """Return the simulator or recording of that name.

    Raises
    ------
    NotThere : there is none
    """
    return simulator(name, **{key: value for key, value in parameters.items() if value is not None})


def declared(folder: Path, name: str | None) -> tuple[Any, Any, str]:
    """Return the product, the stream source of it to play into, and the simulator that has the source's channels.

    Raises
    ------
    NotThere : the product has no stream source, none of that name, or one with channels that no simulator gives
    """
    product = load(folder)
    sources = {stream.name: stream for stream in _streams(product)}
    # A label stream is played along with the samples that it belongs to.
    plays = {
        source.name: simulator
        for source in sources.values()
        for simulator, made in simulators().items()
        if made.channels == source.connection.channels
    }
    if name is None and plays:
        name = next(iter(plays))
    if name not in plays:
        raise NotThere(
            f"Product '{product.name}' has no stream source{f' {name!r}' if name else ''} that a simulator can feed.",
            fix=f"A source is fed whose channels are those of a simulator: {', '.join(sorted(simulators()))}.",
        )
    return product, sources[name], plays[name]


def _streams(product: Product) -> list[Any]:
    return [source for source in product.sources.values() if hasattr(getattr(source, "connection", None), "channels")]


def ending_by_now(what: Played, chosen: Pace, seconds: float, now_us: int) -> Played:
    """Return ``what`` with event times that go with the clock; played faster they begin in the past, for no reading is of the future."""
    wall = seconds / chosen.speed if chosen.speed else 0.0
    return replace(what, rate_hz=chosen.rate_hz, start_us=now_us - round(max(0.0, seconds - wall) * 1e6))


def beginning_at(what: Played, chosen: Pace, seconds: float, at: str, now_us: int) -> Played:
    """Return ``what`` with the event time of its first sample fixed, so that every play of it gives the same samples.

    Raises
    ------
    DeclarationProblem : ``at`` is no time, or samples would be of the future, which a stream sets aside
    """
    try:
        begins = datetime.fromisoformat(at)
        start_us = (begins if begins.tzinfo else begins.replace(tzinfo=UTC)) - datetime.fromtimestamp(0, UTC)
    except (ValueError, OverflowError):
        raise DeclarationProblem(
            f"--at {at!r} is no time.", fix="Write it as 2026-01-05T08:00:00Z; without an offset it is UTC."
        ) from None
    begin_us = start_us // timedelta(microseconds=1)
    wall = seconds / chosen.speed if chosen.speed else 0.0
    if begin_us < 0 or begin_us + round(seconds * 1e6) > now_us + round(wall * 1e6) + AHEAD_US:
        raise DeclarationProblem(
            f"--at {at}: {seconds:g} s from there on are not between 1970 and now, and a stream sets samples of the future aside.",
            fix="Choose an earlier time, or fewer --seconds.",
        )
    return replace(what, rate_hz=chosen.rate_hz, start_us=begin_us)


def _send(block: Block, to: Sink, wire: str, devices: int) -> int:
    """Send a block of each device, spread over the lanes; returns the number of payloads."""
    messages = codec(wire).encode(block)
    if devices == 1:
        to.send(block.device % to.lanes, messages)
        return len(messages)
    count = 0
    for lane in range(min(to.lanes, devices)):
        of_lane = range(block.device + lane, block.device + devices, to.lanes)
        if wire == "packed":
            at_once = max(1, _PAYLOAD_BYTES // len(messages[0]))
            each = [packed.with_device(messages[0], device) for device in of_lane]
            payloads = [b"".join(each[start : start + at_once]) for start in range(0, len(each), at_once)]
        else:
            payloads = [one for device in of_lane for one in codec(wire).encode(replace(block, device=device))]
        to.send(lane, payloads)
        count += len(payloads)
    return count


def _labels(what: Played, stop: int) -> Iterator[Block]:
    for block in what.labels(0, stop):
        for start in range(0, len(block), _LABELS):
            yield block.cut(start, start + _LABELS)


def _known(what: Played, label: Block) -> float:
    """Return the position up to which samples are taken when a label becomes known."""
    return int(label.seq[-1]) + 1 + what.label_delay_s * what.rate_hz
