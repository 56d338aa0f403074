"""Declarations of monitors: which columns, predictions and errors are watched, in which windows, and against what."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from caudal.declarations.declared import Declared, Function, name_of, names_of
from caudal.declarations.duration import seconds
from caudal.declarations.location import Location, caller
from caudal.declarations.model import Model
from caudal.declarations.node import Node
from caudal.errors import DeclarationProblem

Reference = Literal["training"]
DAY_S = 86_400.0
MOST_WINDOWS = 730  # of a sliding reference
Thresholds = Mapping[str, float | Mapping[str, float]]


@dataclass(frozen=True)
class Monitor:
    """A model or a table that is watched window by window.

    Parameters
    ----------
    of : str, the model, or the table
    columns : the watched columns; None: every column that a model may learn from, or that is neither key nor time
    window_s : length of a window of event time
    reference_s : length of the sliding reference before each window; None: the rows that the model in production learned from
    measures : the distances between window and reference, one is enough; a column's share of nulls and of unknown categories is watched in any case
    thresholds : by measure, or by column and measure, a fixed threshold instead of the learned one
    patience : number of windows without which there is no alarm, however odd they are
    by : columns by which the error of a model is also measured
    false_alarms : probability of at least one false alarm over the monitor's whole life, as long as nothing changes
    """

    name: str
    of: str
    columns: tuple[str, ...] | None = None
    window_s: float = DAY_S
    reference_s: float | None = None
    measures: tuple[str, ...] = ("psi", "superiority")
    thresholds: Mapping[str, float | Mapping[str, float]] = field(default_factory=dict)
    patience: int = 2
    by: tuple[str, ...] = ()
    false_alarms: float = 0.05
    description: str | None = None
    where: Location | None = field(default=None, compare=False)

    @property
    def retry(self) -> int:
        """Counting is repeated by the next run, so that no retry is declared."""
        return 0

    @property
    def time_limit_s(self) -> float | None:
        """It has no time limit of its own."""
        return None


class Monitoring(Declared):
    """The part of a product that declares monitors (see `caudal.declarations.product.Product`)."""

    def monitor(
        self,
        of: Model | Node | Function | str,
        *,
        columns: str | Sequence[str] | None = None,
        window: str | float = "1 day",
        reference: str | float | None = None,
        measures: str | Sequence[str] = ("psi", "superiority"),
        thresholds: Thresholds | None = None,
        patience: int = 2,
        by: str | Sequence[str] = (),
        false_alarms: float = 0.05,
        name: str | None = None,
        description: str | None = None,
    ) -> Monitor:
        """Declare that a model or a table is watched: drift of its columns, and for a model of its predictions and its error.

        Parameters
        ----------
        columns : the watched columns; by default all inputs of a model, and all columns of a table but its times
        window : length of a window of event time; a table without event time has one window for each version
        reference : ``"training"`` (the default of a model) compares with the rows that the model in production learned from, a duration
            (``"30 days"`` or 720 windows, whichever is shorter, is the default of a table) with the windows before
        measures : distances between the distributions, one or several of ``caudal.stages.monitor.measures``
        thresholds : fixed thresholds, ``{"psi": 0.2}`` or ``{"fare_usd": {"psi": 0.2}}``; the others are learned from windows without an alarm
        patience : number of windows without which there is no alarm, however odd they are
        by : columns by which a model's error is also measured
        false_alarms : probability of at least one false alarm ever, as long as nothing changes, over all figures of the monitor
        """
        where = caller()
        of_name = of.name if isinstance(of, Model) else name_of(of)
        of_model = isinstance(of, Model) or of_name in self.models
        if reference is None:
            reference = "training" if of_model else max(min(30 * DAY_S, 720 * seconds(window)), 3 * seconds(window))
        declared = Monitor(
            name or of_name, of_name, None if columns is None else names_of(columns), seconds(window),
            None if reference == "training" else seconds(reference), names_of(measures), dict(thresholds or {}), patience, names_of(by),
            false_alarms, description, where,
        )  # fmt: skip
        if declared.name in self.monitors:
            raise DeclarationProblem(
                f"Product '{self.name}' declares the monitor '{declared.name}' twice, first in {self.monitors[declared.name].where}.",
                fix="Call one of them otherwise: name=.",
                where=str(where),
            )
        self.monitors[declared.name] = declared
        return declared
