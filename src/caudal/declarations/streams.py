"""Declarations on streams: statistics, detectors, joins and outlets."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from caudal.declarations.connection import CHANNELLED
from caudal.declarations.declared import Declared, Function, name_of, names_of
from caudal.declarations.detector import Detection, Detector
from caudal.declarations.duration import seconds
from caudal.declarations.join import How, Join, known_columns_of_join
from caudal.declarations.location import caller
from caudal.declarations.node import Node, Partition, Source
from caudal.declarations.outlet import Delivery, Destination, Outlet, outlet_of
from caudal.declarations.statistics import Statistics, statistics_of
from caudal.errors import DeclarationProblem, nearest


class Streams(Declared):
    """The part of a product that declares streams (see `caudal.declarations.product.Product`)."""

    def statistics(
        self,
        name: str,
        of: Source,
        *,
        window: str | float | None = None,
        every: str | float | None = None,
        session: str | float | None = None,
        ranges: Sequence[float] = (),
        quantiles: Sequence[float] = (),
        centre: float = 0.0,
        resolution: float = 1e-3,
        bands: Mapping[str, tuple[float, float]] | None = None,
        rate_hz: float = 0.0,
        partition: Partition | None = None,
        description: str | None = None,
    ) -> Statistics:
        """Declare a table of statistics of a stream: one row per device, sensor and window; see `caudal.declarations.statistics.Statistics`.

        Windows are one second wide, or ``window`` wide with one ending ``every`` so often, or sessions that end after a silence of ``session``.
        """
        where = caller()
        if session is not None and (window is not None or every is not None):
            raise DeclarationProblem(
                f"Statistics '{name}' have either windows or sessions.", fix="Leave one out.", where=str(where)
            )
        width = seconds("1 second" if window is None else window)
        declared = statistics_of(
            name, of, where, width_s=width, every_s=width if every is None else seconds(every),
            gap_s=0.0 if session is None else seconds(session), ranges=tuple(ranges),
            quantiles=tuple(quantiles), centre=centre, resolution=resolution, bands=dict(bands or {}), rate_hz=rate_hz,
            partition=partition, description=description,
        )  # fmt: skip
        self._add_node(declared)
        return declared

    def detect(
        self, name: str, of: Source | Statistics, detector: Detector, *, threshold: float = 0.99, column: str = "std"
    ) -> Detection:
        """Declare a detector on a stream (its samples, or a column of its statistics); what scores ``threshold`` or more goes to the table."""
        where = caller()
        streams = isinstance(of, Statistics) or isinstance(of.connection, CHANNELLED)
        if not streams or not 0 < threshold <= 1 or column not in ("min", "max", "mean", "std"):
            raise DeclarationProblem(
                f"'{name}' cannot watch '{of.name}'.",
                fix="Name a stream of samples or its statistics, a threshold from 0 to 1, and min, max, mean or std for a column.",
                where=str(where),
            )
        declared = Detection(name, of.name, detector, threshold, column, where)
        self._check_name_is_free(name, where)
        self.detections[name] = declared
        return declared

    def send(self, name: str, of: Statistics | Detection, to: Destination, *, delivery: Delivery = "at least once") -> Outlet:
        """Declare that rows of a stream are sent to a destination as soon as they exist, with a delivery guarantee."""
        where = caller()
        declared = outlet_of(name, of, to, delivery, where)
        self._check_name_is_free(name, where)
        self.outlets[name] = declared
        return declared

    def join(
        self,
        name: str,
        left: Source | Statistics | str,
        right: Node | Function | str,
        *,
        on: str | Sequence[str],
        within: str | float | None = None,
        how: How = "inner",
        columns: Sequence[str] | None = None,
        partition: Partition | None = None,
        description: str | None = None,
    ) -> Join:
        """Declare a table that joins a stream with another stream, or with any table.

        Parameters
        ----------
        left : a stream source, or statistics of one
        right : the same, or any other source or table
        on : columns that must be equal
        within : how far apart in event time two rows of streams may be; required for streams, and for nothing else
        how : ``inner``, or ``left``: left rows without a match are written with nulls, once no match can come any more
        columns : columns to keep besides keys and times; all of both sides where left out. A column of the right side that the left
            side has too, and that is not in ``on``, gets the right side's name as a prefix: ``labels_at``
        partition : the left side's partition where left out
        """
        where = caller()
        sides = []
        for side in (left, right):
            named = name_of(side)
            if named not in self.nodes:
                raise DeclarationProblem(
                    f"Join '{name}' is of '{named}', which is not declared above it.",
                    nearest=nearest(named, self.nodes),
                    fix="Declare it above the join.",
                    where=str(where),
                )
            sides.append(self.nodes[named])
        declared = Join(
            name, (sides[0].name, sides[1].name), event_time=sides[0].event_time, partition=partition or sides[0].partition,
            description=description, where=where, on=names_of(on), within_s=None if within is None else seconds(within), how=how,
            selected=None if columns is None else tuple(columns),
        )  # fmt: skip
        declared = replace(declared, known=known_columns_of_join(declared, *sides))
        self._add_node(declared)
        return declared
