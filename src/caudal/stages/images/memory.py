"""Estimate the memory that embedding takes, and choose a batch and a size that fit into it.

The constants come from ``python -m benchmarks.images --only planner``: the most resident memory of one worker, as the kernel reports it, with
Python 3.11, ONNX Runtime 1.31, Pillow 13. For the most expensive images of a size (lossless and transparent WebP, where an image is large) the
estimate is between 1.1 and 1.5 times the measured memory; `tests/unit/stages/images/test_memory.py` has the figures.
"""

from __future__ import annotations

from dataclasses import dataclass

from caudal.declarations.images import MAX_BYTES
from caudal.errors import EnvironmentProblem
from caudal.stages.images.decode import FILE, PIXEL

MIB = 2**20
BATCH = 4  # one to eight images at once are fastest on one core; more only take memory
STEP = 32
WORKER = 180 * MIB  # an interpreter with Arrow, NumPy, Pillow, ONNX Runtime
WRITER = 160 * MIB  # the process that writes a worker's rows: an interpreter with Arrow, and the rows
WEIGHTS = 3  # times the model: its bytes, its weights, and their layout for computing
ACTIVATIONS = 270  # bytes a pixel of a network's widest layer
LEAST_PIXELS = 2_000_000  # of an image that a worker must always have room for
PACKED_PIXEL = 4  # bytes that a pixel may have in a file


@dataclass(frozen=True)
class MemoryPlan:
    """The batch and sizes of one worker.

    Parameters
    ----------
    batch : int, images that go through the network together
    side : int, pixels
    max_pixels : int, the most pixels of an image that is decoded
    room : int, bytes that decoding an image may take
    piece : int, bytes of images that a worker gets at once
    bytes : int, the estimate for one worker
    notes : sentences for the run's page
    """

    batch: int
    side: int
    max_pixels: int
    room: int
    piece: int
    bytes: int
    notes: tuple[str, ...]


def plan_memory(
    *, memory: int, workers: int, model: int, side: int, floor: int, batch: int | None, largest: int, reserved: int = 0
) -> MemoryPlan:
    """Return a plan that fits: first the batch is lowered, then the size, step by step to its floor.

    Parameters
    ----------
    memory : int, bytes that the Python workers of one executor may use together
    workers : int, how many work at once
    model : int, bytes of the model
    batch : int, optional, images at once; chosen by default
    largest : int, pixels of the largest image that is allowed
    reserved : int, bytes of the same memory that another process needs for each worker

    Raises
    ------
    EnvironmentProblem : one image of the smallest size does not fit
    """
    share = memory // workers - reserved
    declared_batch = batch or BATCH
    choices = [(number, side) for number in _halves(declared_batch)] + [(1, size) for size in range(side - STEP, floor - 1, -STEP)]
    for number, size in choices:
        need = _fixed_bytes(model) + number * size * size * ACTIVATIONS
        free_bytes = share - need
        if free_bytes >= 2 * MIB + _decoding_bytes(LEAST_PIXELS):
            break
    else:
        raise EnvironmentProblem(
            f"A worker has {share // MIB} MiB; embedding one image of {floor} px takes {need // MIB + 1} MiB.",
            fix="Give Spark fewer cores or a smaller heap (--memory), or declare a lower floor.",
            have=share,
            need=need,
        )
    piece = max(MIB, min(16 * MIB, free_bytes // 8))
    room = min(free_bytes - 2 * piece, _decoding_bytes(largest))
    need += 2 * piece + room
    notes = [f"{workers} workers with {share // MIB} MiB each: batches of {number}, {size} px; estimated {need // MIB} MiB each."]
    if number < declared_batch:
        notes.append(f"The batch was lowered from {declared_batch} to {number} to fit into memory.")
    if size < side:
        notes.append(f"The size was lowered from {side} to {size} px to fit into memory.")
    if room < _decoding_bytes(largest):
        notes.append(
            f"A worker has {room // MIB} MiB to decode an image in: those that take more go to quarantine, of the most expensive kinds (WebP without"
            f" loss) from {_decodable_pixels(room) / 1e6:.1f} megapixels on. Plain JPEGs take little, whatever their size."
        )
    return MemoryPlan(number, size, largest, room, piece, need, tuple(notes))


def parse_bytes(text: str) -> int:
    """Return the bytes of a memory size in Spark's notation.

    Examples
    --------
    >>> parse_bytes("2g"), parse_bytes("1638m")
    (2147483648, 1717567488)
    """
    unit = text.strip().lower().rstrip("b")[-1:]
    power = {"k": 1, "m": 2, "g": 3, "t": 4}.get(unit, 0)
    return int(float(text.strip().lower().rstrip("kmgtb")) * 1024**power)


def _fixed_bytes(model: int) -> int:
    return WORKER + WEIGHTS * model


def _decoding_bytes(pixels: int) -> int:
    """Return the bytes that decoding the most expensive image of so many pixels takes, its file included."""
    return pixels * PIXEL + FILE * min(MAX_BYTES, pixels * PACKED_PIXEL)


def _decodable_pixels(room: int) -> int:
    """Return the most pixels that can be decoded in so many bytes."""
    small = room // (PIXEL + FILE * PACKED_PIXEL)
    return small if small * PACKED_PIXEL < MAX_BYTES else (room - FILE * MAX_BYTES) // PIXEL


def _halves(number: int) -> list[int]:
    numbers = []
    while number >= 1:
        numbers.append(number)
        number //= 2
    return numbers
