"""What a training gives, for tests that register a model without one."""

from __future__ import annotations

from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any


@dataclass
class RegisteredResult:
    """What a training gives."""

    fitted: Any
    signature: dict[str, Any]
    chosen: str
    parameters: dict[str, Any] = field(default_factory=dict)
    metric: str = "mae"
    rule: str = "Best mean mae over 2 folds."
    rows: int = 400
    training_from: str = "2023-01-01T00:00:00"
    training_until: str = "2023-01-28T23:59:59"
    holdout: dict[str, Any] | None = None
    rules: tuple[Any, ...] = ()
    groups: tuple[Any, ...] = ()
    effects: tuple[Any, ...] = ()
    later: None = None

    def __post_init__(self) -> None:
        self.metrics: dict[str, float | None] = {"mae": 2.0}
        self.gates = [
            SimpleNamespace(as_dict=lambda: {"gate": "beats_baseline", "passed": True, "figures": {}, "message": "better"})
        ]
        self.results = [
            SimpleNamespace(
                name=name, baseline=name == "baseline", score=score, spread=0.1, folds=[{"mae": score}], seconds=1.0, parameters={},
                metrics={"mae": score}, error=None,
            )
            for name, score in ((self.chosen, 2.0), ("baseline", 6.0))
        ]  # fmt: skip
