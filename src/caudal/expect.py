"""What must hold for a table, as users write it: ``ex.unique("trip_id").quarantine(max_share=0.02)``.

Every kind of ``caudal.stages.enforce`` is here under its name; each can ``.warn()``, ``.quarantine()`` or ``.stop()`` (the default).
No engine is imported.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from caudal.errors import nearest
from caudal.stages.enforce.kinds import constructor, kinds

if TYPE_CHECKING:  # for editors and type checkers; at run time the kinds are found in their folder
    from caudal.stages.enforce.between import between as between
    from caudal.stages.enforce.distribution import distribution as distribution
    from caudal.stages.enforce.freshness import freshness as freshness
    from caudal.stages.enforce.matches import matches as matches
    from caudal.stages.enforce.monotone import monotone as monotone
    from caudal.stages.enforce.not_null import not_null as not_null
    from caudal.stages.enforce.one_of import one_of as one_of
    from caudal.stages.enforce.positive import positive as positive
    from caudal.stages.enforce.refers_to import refers_to as refers_to
    from caudal.stages.enforce.row_count import row_count as row_count
    from caudal.stages.enforce.sql import sql as sql
    from caudal.stages.enforce.unique import unique as unique


def __getattr__(name: str) -> Callable[..., Any]:
    if name in kinds():
        return constructor(name)
    near = nearest(name, kinds())
    raise AttributeError(
        f"There is no expectation '{name}'." + (f" Did you mean '{near}'?" if near else f" There are {', '.join(kinds())}.")
    )


def __dir__() -> list[str]:
    return list(kinds())
