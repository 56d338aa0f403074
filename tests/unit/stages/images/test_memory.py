"""The planner: never more than there is, first smaller batches, then smaller images, and it says so."""

from __future__ import annotations

import pytest
from hypothesis import given, strategies as st

from caudal.errors import EnvironmentProblem
from caudal.stages.images.memory import MIB, WEIGHTS, WORKER, parse_bytes, plan_memory

MODEL = 13 * MIB
LEAST = WORKER + WEIGHTS * MODEL


def made(memory: int, **more) -> object:
    return plan_memory(
        **{"memory": memory, "workers": 1, "model": MODEL, "side": 224, "floor": 160, "batch": 8, "largest": 10**8, **more}
    )


# What one worker took at most, MiB, by batch, side and megapixels of the most expensive image: `python -m benchmarks.images --only planner`.
MEASURED = [
    (1, 224, 1, 222),
    (4, 224, 1, 255),
    (16, 224, 1, 403),
    (64, 224, 1, 1011),
    (4, 160, 1, 232),
    (4, 320, 1, 310),
    (16, 320, 1, 613),
    (4, 224, 20, 608),  # PNG, see-through, 65 MB
    (4, 224, 60, 1371),  # WebP without loss, see-through
]


@pytest.mark.parametrize(("batch", "side", "megapixels", "peak"), MEASURED)
def test_the_estimate_is_a_bound_of_what_was_measured_and_a_close_one(batch: int, side: int, megapixels: int, peak: int) -> None:
    found = made(8 * 1024 * MIB, batch=batch, side=side, largest=megapixels * 10**6)
    assert peak <= found.bytes / MIB <= 1.5 * peak


def test_with_room_nothing_is_lowered() -> None:
    found = made(8 * 1024 * MIB)
    assert (found.batch, found.side, found.max_pixels) == (8, 224, 10**8)
    assert len(found.notes) == 1


def test_a_process_beside_each_worker_takes_of_its_share() -> None:
    assert made(800 * MIB, reserved=200 * MIB) == made(600 * MIB)


@given(st.integers(LEAST, LEAST + 2000 * MIB), st.integers(1, 4))
def test_the_estimate_keeps_within_the_memory(memory: int, workers: int) -> None:
    try:
        found = made(memory * workers, workers=workers)
    except EnvironmentProblem:
        return
    assert found.bytes <= memory
    assert found.side % 32 == 0
    assert found.side >= 160


def test_first_the_batch_is_lowered_then_the_size() -> None:
    seen = []
    for more in range(240, 2, -1):
        try:
            found = made(LEAST + more * MIB)
        except EnvironmentProblem:
            break
        seen.append((found.batch, found.side))
    with pytest.raises(EnvironmentProblem, match="one image of 160 px"):
        made(LEAST + MIB)
    assert seen == sorted(seen, reverse=True)
    assert {one for one, _ in seen} == {8, 4, 2, 1}
    assert {side for _, side in seen} >= {224, 192, 160}
    assert all(batch == 1 for batch, side in seen if side < 224)


def test_what_is_lowered_is_said() -> None:
    found = made(LEAST + 80 * MIB)
    assert found.room < 80 * MIB
    assert any("size was lowered from 224" in one or "batch was lowered" in one for one in found.notes)
    assert any("go to quarantine" in one for one in found.notes)


@pytest.mark.parametrize(("said", "bytes"), [("2g", 2 * 1024 * MIB), ("512MB", 512 * MIB), ("1024", 1024), ("1.5g", 1536 * MIB)])
def test_memory_as_spark_writes_it(said: str, bytes: int) -> None:
    assert parse_bytes(said) == bytes
