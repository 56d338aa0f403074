"""The type of a built-in network; each is a file of this folder with its ``NETWORK``."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class BuiltInNetwork:
    """A network whose weights are pinned.

    Parameters
    ----------
    sha256 : str, of the weights
    build : returns the ONNX model; it is called once, and the model is stored in the user's cache
    """

    name: str
    sha256: str
    build: Callable[[], bytes]
