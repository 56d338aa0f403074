"""What embedding takes, in bytes, estimated before it begins; then a batch and a size that the memory has room for.

The constants are from ``python -m benchmarks.images --only planner``: the most resident memory of one worker, as the kernel tells it, with
Python 3.11, ONNX Runtime 1.31, Pillow 13. For the dearest images of a size (WebP without loss and see-through, where an image is large) the
estimate is between 1.1 and 1.5 times what was measured; `tests/unit/stages/images/test_memory.py` holds the figures.
"""

from __future__ import annotations

from dataclasses import dataclass

from caudal.declarations.images import MAX_BYTES
from caudal.errors import EnvironmentProblem
from caudal.stages.images.decode import FILE, PIXEL

MIB = 2**20
BATCH = 4  # one to eight images at once are quickest on one core; more only take memory
STEP = 32
WORKER = 180 * MIB  # an interpreter with Arrow, NumPy, Pillow, ONNX Runtime
WRITER = 160 * MIB  # the process that writes what a worker hands on: an interpreter with Arrow, and rows
WEIGHTS = 3  # times the model: its bytes, its weights, and how they are laid out to be computed with
ACTIVATIONS = 270  # bytes a pixel that a network holds at its widest
LEAST_PIXELS = 2_000_000  # of an image that a worker must have room for, whatever is lowered for it
PACKED_PIXEL = 4  # bytes that a pixel may have in a file


@dataclass(frozen=True)
class Plan:
    """What one worker does at a time.

    Parameters
    ----------
    batch : int, images that go through the network together
    side : int, pixels
    max_pixels : int, of an image that is decoded
    room : int, bytes that its decoding may take
    piece : int, bytes of images that a worker is given at once
    bytes : int, the estimate for one worker
    said : sentences for the run's notes
    """

    batch: int
    side: int
    max_pixels: int
    room: int
    piece: int
    bytes: int
    said: tuple[str, ...]


def plan(*, memory: int, workers: int, model: int, side: int, floor: int, batch: int | None, largest: int, beside: int = 0) -> Plan:
    """Return what fits: first the batch is lowered, then the size, step by step to its floor.

    Parameters
    ----------
    memory : int, bytes that the Python workers of one executor may use together
    workers : int, how many work at once
    model : int, bytes of the model
    batch : int, optional, images at once; chosen when left out
    largest : int, pixels of the largest image that is let in
    beside : int, bytes that a process beside each worker takes, of the same memory

    Raises
    ------
    EnvironmentProblem : one image of the smallest size does not fit
    """
    share = memory // workers - beside
    wanted = batch or BATCH
    tried = [(number, side) for number in _halves(wanted)] + [(1, size) for size in range(side - STEP, floor - 1, -STEP)]
    for number, size in tried:
        need = _fixed(model) + number * size * size * ACTIVATIONS
        left = share - need
        if left >= 2 * MIB + _decoded(LEAST_PIXELS):
            break
    else:
        raise EnvironmentProblem(
            f"A worker has {share // MIB} MiB; embedding one image of {floor} px takes {need // MIB + 1} MiB.",
            fix="Give Spark fewer cores or a smaller heap (--memory), or declare a lower floor.",
            have=share,
            need=need,
        )
    piece = max(MIB, min(16 * MIB, left // 8))
    room = min(left - 2 * piece, _decoded(largest))
    need += 2 * piece + room
    said = [f"{workers} workers with {share // MIB} MiB each: batches of {number}, {size} px; estimated {need // MIB} MiB each."]
    if number < wanted:
        said.append(f"The batch was lowered from {wanted} to {number} to fit into memory.")
    if size < side:
        said.append(f"The size was lowered from {side} to {size} px to fit into memory.")
    if room < _decoded(largest):
        said.append(
            f"A worker has {room // MIB} MiB to decode an image in: those that take more go to quarantine, of the dearest kinds (WebP without"
            f" loss) from {_decodable(room) / 1e6:.1f} megapixels on. Plain JPEGs take little, whatever their size."
        )
    return Plan(number, size, largest, room, piece, need, tuple(said))


def octets(said: str) -> int:
    """Return the bytes that Spark's word for a memory means.

    Examples
    --------
    >>> octets("2g"), octets("1638m")
    (2147483648, 1717567488)
    """
    unit = said.strip().lower().rstrip("b")[-1:]
    power = {"k": 1, "m": 2, "g": 3, "t": 4}.get(unit, 0)
    return int(float(said.strip().lower().rstrip("kmgtb")) * 1024**power)


def _fixed(model: int) -> int:
    return WORKER + WEIGHTS * model


def _decoded(pixels: int) -> int:
    """Return the bytes that the dearest image of so many pixels takes while it is decoded, its file included."""
    return pixels * PIXEL + FILE * min(MAX_BYTES, pixels * PACKED_PIXEL)


def _decodable(room: int) -> int:
    """Return the most pixels that are decoded in so many bytes."""
    small = room // (PIXEL + FILE * PACKED_PIXEL)
    return small if small * PACKED_PIXEL < MAX_BYTES else (room - FILE * MAX_BYTES) // PIXEL


def _halves(number: int) -> list[int]:
    found = []
    while number >= 1:
        found.append(number)
        number //= 2
    return found
