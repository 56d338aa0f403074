"""The lines of ``caudal up``."""

from __future__ import annotations

from typing import Literal, NotRequired

from typing_extensions import TypedDict  # with the standard one Pydantic cannot tell what is required before Python 3.12


class UpLine(TypedDict):
    """A line of ``caudal up``: ``what`` happened, and the facts of that kind."""

    at: str
    what: Literal["up", "event", "run", "ended", "again", "taken up", "trouble", "told", "stopping", "down"]
    product: NotRequired[str]
    products: NotRequired[list[str]]
    watchers: NotRequired[list[str]]
    trigger: NotRequired[str]
    kind: NotRequired[str]
    subject: NotRequired[str]
    run_id: NotRequired[str]
    runs: NotRequired[list[str]]
    events: NotRequired[int]
    ending: NotRequired[str]
    state: NotRequired[str]
    seconds: NotRequired[float]
    why: NotRequired[str | None]
    again_s: NotRequired[float | None]
    grace_s: NotRequired[float]
    happening: NotRequired[str]
    to: NotRequired[str]
