"""The decorator with which a new feature's file marks its function, so that products and the conformance tests find it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from caudal.discovery import mark_kind

Function = TypeVar("Function", bound=Callable[..., object])


def feature(function: Function) -> Function:
    """Mark a function of frames that adds features and that products call by its name; return it unchanged."""
    return mark_kind("features", function.__name__)(function)
