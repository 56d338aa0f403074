"""What every simulator keeps, found by registration: replayable by position, disturbances in the amounts that its facts say."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from caudal.errors import NotThere
from caudal.messaging.wire.block import join_blocks
from caudal.stages.simulate import Played, Sending, simulator, simulators
from caudal.stages.simulate.played import SPAN

SIMULATED = [name for name in sorted(simulators()) if name != "recording"]


@pytest.mark.parametrize("name", SIMULATED)
def test_the_same_positions_give_the_same_samples(name: str) -> None:
    whole = join_blocks(list(simulator(name, seed=3).blocks(0, 3 * SPAN)))
    later = join_blocks(list(simulator(name, seed=3).blocks(SPAN, 2 * SPAN)))
    start = int(np.argmax(whole.seq >= SPAN))
    assert later.same(whole.cut(start, start + len(later)))
    other = join_blocks(list(simulator(name, seed=4).blocks(0, SPAN)))
    assert not other.same(whole.cut(0, len(other)))
    assert whole.channels == len(simulator(name).channels)
    assert len(set(simulator(name).channels)) == whole.channels


@pytest.mark.parametrize("name", SIMULATED)
def test_facts_are_what_is_in_the_blocks(name: str) -> None:
    one = simulator(name, seed=2)
    sent, facts = join_blocks(list(one.blocks(0, 5 * SPAN))), one.facts(0, 5 * SPAN)
    first = np.sort(np.unique(sent.seq, return_index=True)[1])
    assert facts["samples"] == 5 * SPAN
    assert facts["sent"] == len(sent)
    assert facts["lost"] == 5 * SPAN - len(first)
    assert facts["twice"] == len(sent) - len(first)
    order = sent.seq[first]
    assert facts["late"] == sum(bool((order[:i] > seq).any()) for i, seq in enumerate(order))
    assert facts.get("values_missing", 0) == int(np.isnan(sent.values[first]).sum())
    # All five are there to be found.
    assert min(facts["lost"], facts["twice"], facts["late"]) > 0
    assert one.facts(0, SPAN)["samples"] == SPAN


@pytest.mark.parametrize("name", SIMULATED)
def test_times_follow_from_positions(name: str) -> None:
    one = simulator(name, device=7, start_us=1_000_000)
    block = join_blocks(list(one.blocks(0, SPAN)))
    assert block.device == 7
    assert block.at_us.tolist() == [1_000_000 + round(seq * round(1e9 / one.rate_hz) / 1000 - 0.4999) for seq in block.seq.tolist()]


@settings(max_examples=50)
@given(
    st.integers(0, 5),
    st.floats(0, 0.5),
    st.floats(0, 0.5),
    st.floats(0, 0.5),
    st.integers(1, 40),
    st.integers(0, 200),
    st.integers(0, 300),
)
def test_sending_counts_add_up(seed: int, lost: float, twice: float, late: float, run: int, start: int, length: int) -> None:
    sending = Sending(seed, lost, twice, late, run)
    order, facts = sending.order(start, start + length), sending.facts(start, start + length)
    assert facts["sent"] + facts["lost"] == length + facts["twice"] == len(order) + facts["lost"]
    assert set(order.tolist()) <= set(range(start, start + length))
    assert order.tolist() == [one for one in sending.order(0, start + length).tolist() if one >= start]


def test_nothing_is_disturbed_unless_asked_for() -> None:
    assert Sending().order(5, 300).tolist() == list(range(5, 300))


def test_alpha_rises_when_the_eyes_close() -> None:
    one = simulator("eeg", seed=2, sending=Sending(), missing=0.0)
    positions = np.arange(256 * 120)
    closed = one.label(positions)
    assert closed is not None
    assert 0.3 < closed.mean() < 0.7
    values = one.values(positions)
    assert abs(np.median(values) - 4200) < 60
    calm = ~np.logical_or(*(one.marks(positions)[name] for name in ("blink", "movement")))
    seconds = [second for second in range(120) if calm[256 * second : 256 * (second + 1)].all()]
    power: dict[tuple[bool, str], list[float]] = {}
    for second in seconds:
        part = slice(256 * second, 256 * (second + 1))
        if (label := closed[part, 0]).min() == label.max():
            spectrum = np.abs(np.fft.rfft((values[part] - values[part].mean(axis=0)) * np.hanning(256)[:, None], axis=0)) ** 2
            for channel in ("O1", "AF3"):
                power.setdefault((bool(label[0]), channel), []).append(float(spectrum[8:14, one.channels.index(channel)].sum()))
    assert np.median(power[True, "O1"]) > 4 * np.median(power[False, "O1"])
    assert np.median(power[True, "O1"]) > 4 * np.median(power[True, "AF3"])


def test_background_falls_with_frequency() -> None:
    one = simulator("eeg", seed=2)
    noise = one._background.at(np.arange(256 * 60))[:, 0]  # type: ignore[attr-defined]
    spectrum = np.abs(np.fft.rfft(noise)) ** 2
    frequency = np.fft.rfftfreq(len(noise), 1 / 256)

    def around(hz: float) -> float:
        return float(spectrum[(frequency > 0.7 * hz) & (frequency < 1.4 * hz)].mean())

    assert around(2) / around(32) == pytest.approx(16, rel=0.6)


def test_artefacts_and_blinks_stand_out() -> None:
    one = simulator("eeg", seed=2, sending=Sending(), missing=0.0)
    positions = np.arange(256 * 300)
    values, marks = one.values(positions) - np.median(one.values(positions), axis=0), one.marks(positions)
    assert one.facts(0, 256 * 300)["blink"] == int(marks["blink"].sum()) > 256
    assert np.abs(values[marks["movement"]]).max() > 200
    assert values[marks["blink"], 0].mean() > 40
    assert np.abs(values[~marks["blink"] & ~marks["movement"]]).max() < 100


def test_labels_carry_number_and_time_of_their_samples() -> None:
    one = simulator("eeg", seed=2, label_delay_s=3.0)
    labels = join_blocks(list(one.labels(0, 2 * SPAN)))
    assert labels.seq.tolist() == list(range(2 * SPAN))
    assert set(np.unique(labels.values)) == {0.0, 1.0}
    samples = join_blocks(list(one.blocks(0, 2 * SPAN)))
    assert dict(zip(labels.seq.tolist(), labels.at_us.tolist(), strict=True)).items() >= set(
        zip(samples.seq.tolist(), samples.at_us.tolist(), strict=True)
    )
    assert list(simulator("weather").labels(0, 100)) == []


def test_the_recording_is_played_as_it_is(shared_data: object) -> None:
    one = simulator("recording", data=shared_data)
    block = join_blocks(list(one.blocks(0, 11_984)))
    assert block.values.shape == (11_984, 14)
    assert block.values[0, :2].tolist() == [np.float32(4329.23), np.float32(4009.23)]
    assert float(block.values.max()) == np.float32(715_897)
    facts = one.facts(0, 11_984)
    assert (facts["artefact"], facts["lost"]) == (3, 0)  # the next-largest deviation is 231 µV
    assert 0.3 < facts["eyes_closed"] / 11_984 < 0.7
    again = next(one.blocks(11_984, 11_990))
    assert again.values[0].tolist() == block.values[0].tolist()
    assert again.seq[0] == 11_984


def test_what_is_not_there_is_told(tmp_path: object) -> None:
    with pytest.raises(NotThere, match="Did you mean 'weather'"):
        simulator("wheather")
    with pytest.raises(NotThere, match="CAUDAL_DATA"):
        next(simulator("recording", data=tmp_path).blocks(0, 1))


def test_all_are_played() -> None:
    assert all(issubclass(one, Played) for one in simulators().values())
