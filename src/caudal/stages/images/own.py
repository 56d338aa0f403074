"""What a network of caudal's own is; each is a file of this folder with its ``NETWORK``."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class OwnNetwork:
    """A network whose weights are pinned.

    Parameters
    ----------
    sha256 : str, of the weights
    build : gives the ONNX model; it is called once, and what it gives is kept in the user's cache
    """

    name: str
    sha256: str
    build: Callable[[], bytes]
