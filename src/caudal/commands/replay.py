"""``caudal replay``: play a simulator or a recording into a stream at a chosen rate in real time."""

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

# Interval of paced blocks: short enough for low latency, long enough for few messages.
BLOCK_S = 1 / 16
# Samples of a block in a replay as fast as possible.
_FAST = 256
# Packed blocks of several devices share a payload up to this size, which saves messages.
_PAYLOAD_BYTES = 64 << 10
_SLACK_S = 0.002
_LABELS = 32  # labels are sent in groups of this size


@dataclass(frozen=True)
class ReplayPace:
    """The speed of a replay.

    Parameters
    ----------
    devices : int, all of them send the same signal
    rate_hz : samples of one device per second of event time
    speed : seconds of event time per second of real time; 0 is as fast as possible
    samples : int, samples per block
    """

    devices: int
    rate_hz: float
    speed: float
    samples: int


def pace(signal: Played, rate: float, devices: int | None = None, speed: float = 1.0) -> ReplayPace:
    """Return the pace at which ``signal`` gives ``rate`` readings per second; 0 is as fast as possible.

    The number of devices is chosen to reach the rate. The sample rate is then adjusted slightly, so that event time
    follows the clock (times ``speed``) and the rate is exact.

    Examples
    --------
    >>> from caudal.stages.simulate import simulator
    >>> pace(simulator("eeg"), 4096)
    ReplayPace(devices=1, rate_hz=256.0, speed=1.0, samples=16)
    >>> pace(simulator("eeg"), 1_000_000).devices
    245
    """
    if rate < 0 or speed <= 0 or (devices is not None and devices < 1):
        raise DeclarationProblem("Rate, speed and devices cannot be negative, and there is at least one device.")
    natural = signal.natural_hz * len(signal.channels) * speed
    if rate == 0:
        return ReplayPace(devices or 1, signal.natural_hz, 0.0, _FAST)
    count = devices or max(1, math.ceil(rate / natural - 1e-9))
    rate_hz = rate / (count * len(signal.channels) * speed)
    return ReplayPace(count, rate_hz, speed, max(1, round(rate_hz * speed * BLOCK_S)))


@dataclass
class ReplayCounts:
    """The counts of a replay."""

    readings: int = 0
    samples: int = 0
    payloads: int = 0
    labels: int = 0
    positions: int = 0
    seconds: float = 0.0
    late_s: float = 0.0
    stopped: bool = False

    def document(self, signal: Played, chosen_pace: ReplayPace) -> dict[str, object]:
        """Return the counts as a JSON-ready document, with the disturbances in the signal that was played."""
        facts = signal.facts(0, self.positions)
        return {
            "readings": self.readings,
            "samples": self.samples,
            "payloads": self.payloads,
            "labels": self.labels,
            "seconds": round(self.seconds, 3),
            "readings_per_s": round(self.readings / self.seconds) if self.seconds else 0,
            "most_behind_s": round(self.late_s, 3),
            "devices": chosen_pace.devices,
            "rate_hz": chosen_pace.rate_hz,
            "start_us": signal.start_us,
            "facts_per_device": facts,
            "stopped": self.stopped,
        }


def replay(
    signal: Played,
    to: Sink,
    *,
    wire: str,
    chosen: ReplayPace,
    seconds: float,
    labels: Sink | None = None,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
    on_progress: Callable[[ReplayCounts], None] = lambda _: None,
) -> ReplayCounts:
    """Play ``seconds`` of event time into ``to``, and labels into ``labels``, and return the counts of what was sent; Ctrl-C ends it early."""
    end_position = round(seconds * chosen.rate_hz)
    counts, began_s, reported_s = ReplayCounts(), clock(), 0.0
    label_blocks = _label_blocks(signal, end_position) if labels is not None else iter(())
    label = next(label_blocks, None)
    try:
        for block in blocks_until(signal, end_position, chosen.samples):
            position = int(block.seq.max()) + 1
            if chosen.speed:
                # A block is due when its last sample would have been measured.
                due = began_s + position / chosen.rate_hz / chosen.speed
                counts.late_s = max(counts.late_s, clock() - due)
                if (wait_s := due - clock()) > _SLACK_S:
                    sleep(wait_s)
            while label is not None and labels is not None and _known_position(signal, label) <= position:
                _send(label, labels, wire, chosen.devices)
                counts.labels += len(label) * chosen.devices
                label = next(label_blocks, None)
            counts.payloads += _send(block, to, wire, chosen.devices)
            counts.samples += len(block) * chosen.devices
            counts.readings += len(block) * block.channels * chosen.devices
            counts.positions = max(counts.positions, position)
            if clock() - began_s > reported_s + 1:
                reported_s = counts.seconds = clock() - began_s
                on_progress(counts)
        counts.positions = end_position
        while label is not None and labels is not None:
            _send(label, labels, wire, chosen.devices)
            counts.labels += len(label) * chosen.devices
            label = next(label_blocks, None)
    except KeyboardInterrupt:
        counts.stopped = True
    for target in (to, labels):
        if target is not None:
            target.close()
    counts.seconds = clock() - began_s
    return counts


def run_replay(
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
    """Run ``caudal replay`` with its options and return its document.

    Parameters
    ----------
    client_config : Path, optional, properties of Kafka's client, such as a login; they override those of a declared source
    """
    target, signal_name = _target(what, settings, source_name)
    signal = source(signal_name, seed=seed, data=settings.data if signal_name == "recording" else None)
    chosen = pace(signal, len(signal.channels) * signal.natural_hz * speed if rate == -1 else rate, devices, speed)
    now_us = time.time_ns() // 1000
    signal = (
        with_times_until_now(signal, chosen, seconds, now_us)
        if at is None
        else with_start_time(signal, chosen, seconds, at, now_us)
    )
    kind, place = (
        into or target.kind,
        to or (target.place if into in (None, target.kind) else _default_place(into or "", signal_name, settings)),
    )
    wire = wire or target.wire
    login = {**target.options, **_client_config(client_config, kind)}
    servers = login.pop("kafka.bootstrap.servers", None) or target.servers or settings.kafka
    options: dict[str, Any] = {"lanes": target.lanes, "lines": wire == "json", "servers": servers, "options": login}
    sample_sink = sink(kind, place, **options)
    label_sink = sink(kind, target.labels or f"{place}_labels", **options) if labels and kind != "socket" else None
    say(f"{signal_name}: {chosen.devices:,} × {len(signal.channels)} channels at {chosen.rate_hz:g} Hz into {kind} {place}")
    counts = replay(
        signal,
        sample_sink,
        wire=wire,
        chosen=chosen,
        seconds=seconds,
        labels=label_sink,
        on_progress=lambda now: say(
            f"{now.seconds:7.1f} s  {now.readings:14,} readings  {now.readings / now.seconds:12,.0f} a second"
        ),
    )
    return {"what": signal_name, "into": kind, "to": place, "wire": wire, **counts.document(signal, chosen)}


@dataclass(frozen=True)
class _Target:
    """The default target of a replay, taken from a declared source or from the simulator's name."""

    kind: str
    place: str
    wire: str = "packed"
    lanes: int = 2
    servers: str | None = None
    labels: str | None = None
    options: Mapping[str, Any] = field(default_factory=dict)  # options of Kafka's client


def _target(what: str, settings: Settings, name: str | None) -> tuple[_Target, str]:
    path = Path(what)
    if len(path.parts) == 1 and not path.is_dir() and path.suffix != ".py":
        return _Target("log", _default_place("log", what, settings)), what
    product, chosen, simulator = stream_source_of(path, name)
    connection = chosen.connection
    label_channels = simulators()[simulator].label_channels
    label_streams = [stream for stream in _streams(product) if stream.connection.channels == label_channels and label_channels]
    place = partial(_place, settings, product.name)
    return (
        _Target(
            "log" if connection.kind == "stream" else connection.kind,
            place(chosen),
            connection.wire,
            getattr(connection, "partitions", 2),
            getattr(connection, "servers", None),
            place(label_streams[0]) if label_streams and label_streams[0].connection.kind == connection.kind else None,
            connection.options if isinstance(connection, Kafka) else {},
        ),
        simulator,
    )


def _client_config(file: Path | None, kind: str) -> dict[str, object]:
    if file is not None and kind != "kafka":
        raise DeclarationProblem(
            f"--client-config configures Kafka's client, but this replay goes into {kind}.", fix="Add --into kafka."
        )
    return properties(file) if file is not None else {}


def _place(settings: Settings, product: str, stream: Any) -> str:
    """Return the topic, folder or address that feeds a stream source."""
    connection = stream.connection
    if connection.kind == "kafka":
        return str(connection.topic)
    if connection.kind == "folder":
        return str(((settings.data or Path.cwd()) / connection.pattern).parent)
    if connection.kind == "socket":
        return f"{connection.host}:{connection.port}"
    return str(Home(settings.home).stream(product, stream.name))


def _default_place(kind: str, name: str, settings: Settings) -> str:
    places = {"kafka": name, "folder": str(settings.home / "dropped" / name), "socket": "127.0.0.1:9999"}
    return places.get(kind) or str(Home(settings.home).stream(name, "samples"))


def blocks_until(signal: Played, stop: int, samples: int) -> Iterator[Block]:
    """Yield the signal's blocks up to position ``stop``, cut to at most ``samples`` each."""
    for block in signal.blocks(0, stop):
        for start in range(0, len(block), samples):
            yield block.cut(start, start + samples)


def source(name: str, **parameters: object) -> Played:
    """Return the simulator or recording of that name.

    Raises
    ------
    NotThere : there is no simulator or recording of that name
    """
    return simulator(name, **{key: value for key, value in parameters.items() if value is not None})


def stream_source_of(folder: Path, name: str | None) -> tuple[Any, Any, str]:
    """Return the product, its stream source to play into, and the simulator with the source's channels.

    Raises
    ------
    NotThere : the product has no stream source of that name whose channels a simulator has
    """
    product = load(folder)
    sources = {stream.name: stream for stream in _streams(product)}
    # A label stream is played together with its samples' stream.
    simulator_by_source = {
        source.name: simulator
        for source in sources.values()
        for simulator, signal in simulators().items()
        if signal.channels == source.connection.channels
    }
    if name is None and simulator_by_source:
        name = next(iter(simulator_by_source))
    if name not in simulator_by_source:
        raise NotThere(
            f"Product '{product.name}' has no stream source{f' {name!r}' if name else ''} that a simulator can feed.",
            fix=f"A source is fed whose channels are those of a simulator: {', '.join(sorted(simulators()))}.",
        )
    return product, sources[name], simulator_by_source[name]


def _streams(product: Product) -> list[Any]:
    return [source for source in product.sources.values() if hasattr(getattr(source, "connection", None), "channels")]


def with_times_until_now(signal: Played, chosen: ReplayPace, seconds: float, now_us: int) -> Played:
    """Return the signal with event times that follow the clock; a faster replay begins in the past, so that no reading lies in the future."""
    real_s = seconds / chosen.speed if chosen.speed else 0.0
    return replace(signal, rate_hz=chosen.rate_hz, start_us=now_us - round(max(0.0, seconds - real_s) * 1e6))


def with_start_time(signal: Played, chosen: ReplayPace, seconds: float, at: str, now_us: int) -> Played:
    """Return the signal with a fixed event time of its first sample, so that every replay gives the same samples.

    Raises
    ------
    DeclarationProblem : ``at`` is not a time, or samples would lie in the future, which a stream sets aside
    """
    try:
        begins = datetime.fromisoformat(at)
        start_us = (begins if begins.tzinfo else begins.replace(tzinfo=UTC)) - datetime.fromtimestamp(0, UTC)
    except (ValueError, OverflowError):
        raise DeclarationProblem(
            f"--at {at!r} is no time.", fix="Write it as 2026-01-05T08:00:00Z; without an offset it is UTC."
        ) from None
    begin_us = start_us // timedelta(microseconds=1)
    real_s = seconds / chosen.speed if chosen.speed else 0.0
    if begin_us < 0 or begin_us + round(seconds * 1e6) > now_us + round(real_s * 1e6) + AHEAD_US:
        raise DeclarationProblem(
            f"--at {at}: {seconds:g} s from there on are not between 1970 and now, and a stream sets samples of the future aside.",
            fix="Choose an earlier time, or fewer --seconds.",
        )
    return replace(signal, rate_hz=chosen.rate_hz, start_us=begin_us)


def _send(block: Block, to: Sink, wire: str, devices: int) -> int:
    """Send a block for each device, spread over the lanes, and return the number of payloads."""
    messages = codec(wire).encode(block)
    if devices == 1:
        to.send(block.device % to.lanes, messages)
        return len(messages)
    count = 0
    for lane in range(min(to.lanes, devices)):
        of_lane = range(block.device + lane, block.device + devices, to.lanes)
        if wire == "packed":
            messages_per_payload = max(1, _PAYLOAD_BYTES // len(messages[0]))
            device_messages = [packed.with_device(messages[0], device) for device in of_lane]
            payloads = [
                b"".join(device_messages[start : start + messages_per_payload])
                for start in range(0, len(device_messages), messages_per_payload)
            ]
        else:
            payloads = [payload for device in of_lane for payload in codec(wire).encode(replace(block, device=device))]
        to.send(lane, payloads)
        count += len(payloads)
    return count


def _label_blocks(signal: Played, stop: int) -> Iterator[Block]:
    for block in signal.labels(0, stop):
        for start in range(0, len(block), _LABELS):
            yield block.cut(start, start + _LABELS)


def _known_position(signal: Played, label: Block) -> float:
    """Return the sample position at which a label becomes known."""
    return int(label.seq[-1]) + 1 + signal.label_delay_s * signal.rate_hz
