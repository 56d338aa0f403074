"""Features by name: the decorator with which a new feature's file registers it, so that the conformance tests find it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

Function = TypeVar("Function", bound=Callable[..., Any])

FEATURES: dict[str, Callable[..., Any]] = {}


def feature(function: Function) -> Function:
    """Register a function of frames that adds features; return it unchanged."""
    FEATURES[function.__name__] = function
    return function
