"""Blocks as Hypothesis makes them."""

from __future__ import annotations

import numpy as np
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from caudal.messaging.wire import Block

_INT64 = st.integers(-(2**63), 2**63 - 1)


@st.composite
def blocks(draw: st.DrawFn, least: int = 0, far: int = 2**62) -> Block:
    """Regular and irregular blocks, with gaps, repeats, missing values and numbers at the edge of their types."""
    n = draw(st.integers(least, 40))
    channels = draw(st.integers(1, 5))
    if draw(st.booleans()):
        seq0, t0, step = draw(st.integers(-far, far)), draw(st.integers(-(10**18), 10**18)), draw(st.integers(0, 10**12))
        seq = seq0 + np.arange(n, dtype=np.int64)
        at_us = (t0 + step * np.arange(n, dtype=np.int64)) // 1000
    else:
        seq = draw(hnp.arrays(np.int64, n, elements=_INT64))
        at_us = draw(hnp.arrays(np.int64, n, elements=st.integers(-far, far)))
    values = draw(hnp.arrays(np.float32, (n, channels), elements=st.floats(width=32)))
    return Block(draw(st.integers(0, 2**32 - 1)), seq, at_us, values)
