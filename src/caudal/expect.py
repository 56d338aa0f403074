"""Expectations as users write them: ``ex.unique("trip_id").quarantine(max_share=0.02)``.

Every kind of ``caudal.stages.enforce`` is available under its name; each has ``.warn()``, ``.quarantine()`` and ``.stop()`` (the default).
No engine is imported. What editors and type checkers see is written by ``tools/stubs.py`` into ``expect.pyi``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from caudal.errors import nearest
from caudal.stages.enforce.kinds import constructor, expectation_kinds


def __getattr__(name: str) -> Callable[..., Any]:
    if name.startswith("__"):  # a lookup by Python itself
        raise AttributeError(name)
    if name in expectation_kinds():
        return constructor(name)
    near = nearest(name, expectation_kinds())
    raise AttributeError(
        f"module 'caudal.expect' has no expectation '{name}'."
        + (f" Did you mean '{near}'?" if near else f" There are {', '.join(expectation_kinds())}."),
        name=name,
    )


def __dir__() -> list[str]:
    return list(expectation_kinds())
