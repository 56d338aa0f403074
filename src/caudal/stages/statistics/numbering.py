"""How device, pane and sample number share the 63 bits of one key."""

from __future__ import annotations

from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]
PANE_BITS = 41  # panes of 10 ms until the year 2600; 22 bits remain for the device
SEQ_BITS = 43  # a sample number, and 20 bits for what it is a number in
DEVICES = 1 << (63 - PANE_BITS)
