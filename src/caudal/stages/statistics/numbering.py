"""The 63 bits of a key: how device, pane and sample number share them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Integers = NDArray[np.int64]
Readings = NDArray[np.float32]
Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]
PANE_BITS = 41  # panes of 10 ms until the year 2600; 22 bits remain for the device
SEQ_BITS = 43  # of a sample number; 20 bits remain for its group
DEVICES = 1 << (63 - PANE_BITS)
