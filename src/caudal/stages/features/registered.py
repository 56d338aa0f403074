"""What a new feature's file says to be found."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from caudal.discovery import marked

Function = TypeVar("Function", bound=Callable[..., Any])


def feature(function: Function) -> Function:
    """Say that a function of frames adds features, and that products call it by its name; it is returned as it is."""
    return marked("features", function.__name__)(function)
