"""Regular sampling: represent sample times as a start and a step, if these reproduce every time to the microsecond."""

from __future__ import annotations

import numpy as np

from caudal.messaging.wire.block import Array

_FAR = 9_000_000_000_000_000  # microseconds; as nanoseconds, a larger value does not fit into int64
_LARGEST = 2**63 - 1


def sample_times(t0_ns: int, step_ns: int, n: int) -> Array:
    """Return the times of ``n`` samples, int64 microseconds: ``(t0_ns + i * step_ns) // 1000``.

    Raises
    ------
    ValueError : a time does not fit into 64 bits of nanoseconds

    Examples
    --------
    >>> sample_times(0, 3_906_250, 3).tolist()  # 256 Hz
    [0, 3906, 7812]
    """
    if n and abs(t0_ns + (n - 1) * step_ns) > _LARGEST:
        raise ValueError(f"{n} samples every {step_ns} ns from {t0_ns} ns on run past what 64 bits hold")
    return (t0_ns + step_ns * np.arange(n, dtype=np.int64)) // 1000


def sample_numbers(seq0: int, n: int) -> Array:
    """Return ``n`` sample numbers from ``seq0`` on, int64.

    Raises
    ------
    ValueError : a number does not fit into 64 bits
    """
    if seq0 + n - 1 > _LARGEST:
        raise ValueError(f"{n} sample numbers from {seq0} on run past what 64 bits hold")
    return seq0 + np.arange(n, dtype=np.int64)


def start_and_step(at_us: Array) -> tuple[int, int] | None:
    """Return ``(t0_ns, step_ns)`` from which `sample_times` reproduces ``at_us``, or None if the times are not regular enough.

    First the step of a whole number of samples per second is tried, then the mean step; for each, the starts that fit every sample form
    an interval, which is either empty or contains the answer.
    """
    n = len(at_us)
    if n == 0:
        return 0, 0
    first, last = int(at_us[0]), int(at_us[-1])
    if not (-_FAR < first < _FAR and -_FAR < last < _FAR):
        return None
    if n == 1:
        return first * 1000, 0
    mean = (last - first) * 1000 / (n - 1)
    steps = [round(1e9 / rate)] if mean > 0 and (rate := round(1e9 / mean)) else []
    index = np.arange(n, dtype=np.int64)
    for step in dict.fromkeys((*steps, round(mean), round(mean / 1000) * 1000)):
        if abs(step) * n > _LARGEST:
            continue
        from_ns = at_us * 1000 - index * step
        lowest, highest = int(from_ns.max()), int(from_ns.min()) + 999
        if lowest <= highest and np.array_equal(sample_times(start := max(lowest, min(first * 1000, highest)), step, n), at_us):
            return start, step
    return None
