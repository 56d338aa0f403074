"""The 63 bits of a key: how device, pane and sample number share them."""

from __future__ import annotations

from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]
PANE_BITS = 41  # panes of 10 ms until the year 2600; 22 bits remain for the device
SEQ_BITS = 43  # of a sample number; 20 bits remain for its group
DEVICES = 1 << (63 - PANE_BITS)
