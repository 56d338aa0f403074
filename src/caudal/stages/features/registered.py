"""Features by name: what a new feature's file says to be found by the conformance tests."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

Function = TypeVar("Function", bound=Callable[..., Any])

FEATURES: dict[str, Callable[..., Any]] = {}


def feature(function: Function) -> Function:
    """Register a function of frames that adds features; it is returned as it is."""
    FEATURES[function.__name__] = function
    return function
