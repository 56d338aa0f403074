"""The product: what a team declares once."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, overload
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from caudal.errors import DeclarationProblem, nearest
from caudal.spec.alert import Alert, Happening, Mail, Sla, Webhook, alert_of
from caudal.spec.connection import CHANNELLED, Connection
from caudal.spec.detector import Detection, Detector
from caudal.spec.duration import seconds
from caudal.spec.expectation import Expectation
from caudal.spec.join import How, Join, known_of
from caudal.spec.location import Location, caller
from caudal.spec.model import Gate, Model, Prediction, Serving, Task, Temporal
from caudal.spec.node import Features, Node, Partition, Source, Table, inputs_of, summary_of
from caudal.spec.outlet import Delivery, Drop, Outlet, Topic, outlet_of
from caudal.spec.schema import Field, Schema
from caudal.spec.sql import inputs_of_sql
from caudal.spec.statistics import Statistics, statistics_of
from caudal.spec.trigger import OnArrival, Trigger

Function = Callable[..., Any]


class Product:
    """A data product: sources, tables, features, models, predictions, each declared by one call.

    Parameters
    ----------
    name : str, letters, digits and ``_``
    tz : str, the time zone that days and schedules are meant in
    owner : str, optional, who answers for it
    """

    def __init__(self, name: str, *, tz: str = "UTC", owner: str | None = None, description: str | None = None) -> None:
        self.where = caller()
        if not name.isidentifier():
            raise DeclarationProblem(
                f"'{name}' cannot name a product.",
                fix="Use letters, digits and _, not starting with a digit.",
                where=str(self.where),
            )
        try:
            ZoneInfo(tz)
        except (ZoneInfoNotFoundError, ValueError):
            raise DeclarationProblem(
                f"Product '{name}' has the unknown time zone '{tz}'.",
                fix="Use an IANA name such as 'America/New_York'.",
                where=str(self.where),
            ) from None
        self.name, self.tz, self.owner, self.description = name, tz, owner, description
        self.nodes: dict[str, Node] = {}
        self.models: dict[str, Model] = {}
        self.predictions: dict[str, Prediction] = {}
        self.servings: dict[str, Serving] = {}
        self.detections: dict[str, Detection] = {}
        self.outlets: dict[str, Outlet] = {}
        self.schedules: list[Trigger] = []
        self.alerts: list[Alert] = []
        self.slas: list[Sla] = []

    def schedule(self, *triggers: Trigger) -> None:
        """Declare when ``caudal up`` brings the whole product up to date."""
        where = caller()
        for one in triggers:
            if isinstance(one, OnArrival):
                raise DeclarationProblem(
                    f"Product '{self.name}' is to run on arrival, but of what?",
                    fix="Give it to the source: product.source(..., trigger=cd.on_arrival()).",
                    where=str(where),
                )
            self.schedules.append(one)

    def source(
        self,
        name: str,
        connection: Connection,
        *,
        schema: Schema | None = None,
        event_time: str | None = None,
        partition: Partition | None = None,
        late: str | float = 0,
        expect: Sequence[Expectation] = (),
        trigger: Trigger | None = None,
        retry: int = 0,
        time_limit: str | float | None = None,
        description: str | None = None,
    ) -> Source:
        """Declare raw data and return it; pass it on or name it as a parameter of a table function.

        ``trigger`` is for ``caudal up``. ``retry`` and ``time_limit`` are for the steps that land and read it.
        """
        where = caller()
        if isinstance(connection, CHANNELLED) and schema is None:
            own = {"device": "long", "seq": "long", "at": "timestamp_utc"}
            schema = Schema(
                (
                    *(Field(one, kind, nullable=False) for one, kind in own.items()),
                    *(Field(one, "float") for one in connection.channels),
                )
            )
            event_time = event_time or "at"
        declared = Source(
            name, connection, schema, event_time, partition, seconds(late), _at(expect, where), trigger, _retry(retry, where),
            description, where, _limit(time_limit),
        )  # fmt: skip
        self._add(declared)
        return declared

    @overload
    def table(self, function: Function, /) -> Function: ...

    @overload
    def table(
        self,
        *,
        expect: Sequence[Expectation] = (),
        schema: Schema | None = None,
        event_time: str | None = None,
        partition: Partition | None = None,
        lookback: str | float = 0,
        known: Mapping[str, str] | None = None,
        name: str | None = None,
        retry: int = 0,
        time_limit: str | float | None = None,
    ) -> Callable[[Function], Function]: ...

    def table(self, *functions: Function, **options: Any) -> Any:
        """Declare that a function is a table: its name, its inputs by parameter name, its description by docstring.

        The function is returned as it is, so that a plain call with frames is its unit test.
        """
        where = caller()
        if functions:
            self._add(self._made(Table, functions[0], where, {}))
            return functions[0]

        def declare(function: Function) -> Function:
            self._add(self._made(Table, function, where, options))
            return function

        return declare

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
        """Declare a table of statistics of a stream: one row per device, sensor and window; see `caudal.spec.statistics.Statistics`.

        Windows are of one second; or as wide as ``window`` says, one ``every`` so often; or sessions that end after a silence of ``session``.
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
        self._add(declared)
        return declared

    def detect(
        self, name: str, of: Source | Statistics, detector: Detector, *, threshold: float = 0.99, column: str = "std"
    ) -> Detection:
        """Declare that a stream (its samples, or a column of its statistics) is watched; what scores ``threshold`` goes to the table."""
        where = caller()
        streams = isinstance(of, Statistics) or isinstance(of.connection, CHANNELLED)
        if not streams or not 0 < threshold <= 1 or column not in ("min", "max", "mean", "std"):
            raise DeclarationProblem(
                f"'{name}' cannot watch '{of.name}'.",
                fix="Name a stream of samples or its statistics, a threshold from 0 to 1, and min, max, mean or std for a column.",
                where=str(where),
            )
        declared = Detection(name, of.name, detector, threshold, column, where)
        self._free(name, where)
        self.detections[name] = declared
        return declared

    def send(self, name: str, of: Statistics | Detection, to: Topic | Drop, *, delivery: Delivery = "at least once") -> Outlet:
        """Declare that rows of a stream go out as soon as they are there, and what is promised of each of them."""
        where = caller()
        declared = outlet_of(name, of, to, delivery, where)
        self._free(name, where)
        self.outlets[name] = declared
        return declared

    def alert(
        self,
        to: Mail | Webhook,
        *,
        on: Sequence[Happening] = ("failure", "recovery", "quarantine", "sla"),
        share: float = 0.05,
        repeat: str | float = "6 hours",
    ) -> None:
        """Declare who is told when a run fails or works again, rows are set aside, a table is late, or a model is promoted or refused."""
        self.alerts.append(alert_of(to, on, share, seconds(repeat), caller()))

    def sla(self, table: Node | Function | str, *, within: str | float) -> None:
        """Declare that a table's newest version is never older than ``within``."""
        name = (
            table if isinstance(table, str) else table.name if isinstance(table, Node) else str(getattr(table, "__name__", table))
        )
        self.slas.append(Sla(name, seconds(within), caller()))

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
        """Declare a table of a stream's rows with those of another stream, or of any table, that belong to them.

        Parameters
        ----------
        left : a stream's source, or statistics of one
        right : the same, or any other source or table
        on : columns that are equal
        within : how far apart in event time two rows of streams may be; demanded of streams, and of nothing else
        how : ``inner``, or ``left``: left rows without a match are given with nulls, when it is known that none will come
        columns : which columns to keep beside keys and times; all of both where left out. One that both have, and that is not in
            ``on``, bears the right side's name: ``labels_at``
        partition : that of the left side where left out
        """
        where = caller()
        sides = []
        for one in (left, right):
            named = _name(one)
            if named not in self.nodes:
                raise DeclarationProblem(
                    f"Join '{name}' is of '{named}', which nothing has declared before it.",
                    nearest=nearest(named, self.nodes),
                    fix="Declare it above the join.",
                    where=str(where),
                )
            sides.append(self.nodes[named])
        declared = Join(
            name, (sides[0].name, sides[1].name), event_time=sides[0].event_time, partition=partition or sides[0].partition,
            description=description, where=where, on=_names(on), within_s=None if within is None else seconds(within), how=how,
            wanted=None if columns is None else tuple(columns),
        )  # fmt: skip
        declared = replace(declared, known=known_of(declared, *sides))
        self._add(declared)
        return declared

    def sql(
        self,
        name: str,
        query: str,
        *,
        expect: Sequence[Expectation] = (),
        schema: Schema | None = None,
        event_time: str | None = None,
        partition: Partition | None = None,
        lookback: str | float = 0,
        known: Mapping[str, str] | None = None,
        description: str | None = None,
        retry: int = 0,
        time_limit: str | float | None = None,
    ) -> Table:
        """Declare a table by a query; the tables it names are its inputs."""
        where = caller()
        declared = Table(
            name, inputs_of_sql(query, name, where), None, query, schema, _at(expect, where), event_time, partition, seconds(lookback),
            dict(known or {}), description, where, _retry(retry, where), _limit(time_limit),
        )  # fmt: skip
        self._add(declared)
        return declared

    def features(
        self,
        *,
        entity: str | Sequence[str],
        as_of: str,
        labels: Sequence[str] = (),
        keep: Sequence[str] = (),
        **options: Any,
    ) -> Callable[[Function], Function]:
        """Declare that a function gives features: one row per entity and ``as_of``, of what was known then."""
        where = caller()

        def declare(function: Function) -> Function:
            more = {"event_time": as_of, **options}
            self._add(
                self._made(
                    Features, function, where, more,
                    entity=_names(entity), as_of=as_of, labels=tuple(labels), keep=tuple(keep),
                )
            )  # fmt: skip
            return function

        return declare

    def model(
        self,
        name: str,
        *,
        features: Function | str,
        label: str,
        candidates: Mapping[str, Any],
        split: Temporal,
        horizon: str | float = 0,
        metric: str | None = None,
        gates: Sequence[Gate] = (),
        task: Task = "regression",
        group_by: Sequence[str] = (),
        max_rows: int | None = None,
        seed: int = 0,
        unit: str | None = None,
        description: str | None = None,
        retry: int = 0,
        time_limit: str | float | None = None,
    ) -> Model:
        """Declare a model. A naive baseline is always among its candidates.

        ``retry`` and ``time_limit`` are for training, deciding and predicting, each by itself.
        """
        where = caller()
        declared = Model(
            name, _name(features), label, seconds(horizon), dict(candidates), split,
            metric or ("mae" if task == "regression" else "log_loss"), tuple(gates), task, tuple(group_by), max_rows, seed, unit,
            description, where, _retry(retry, where), _limit(time_limit),
        )  # fmt: skip
        self._free(name, where)
        self.models[name] = declared
        return declared

    def predict(
        self,
        model: Model | str,
        *,
        name: str | None = None,
        rows: str = "all",
        at: Trigger | None = None,
        learn_after: int | None = None,
    ) -> Prediction:
        """Declare predictions by the model's champion, written to a table (``<model>_predictions``).

        Where the model's features are made of streams, ``caudal stream`` predicts too, as windows close (``<model>_predictions_live``);
        with ``learn_after`` it has the model trained when so many samples have been captured.
        """
        where = caller()
        of = model if isinstance(model, str) else model.name
        declared = Prediction(name or f"{of}_predictions", of, rows, at, learn_after, where)  # type: ignore[arg-type]
        self._free(declared.name, where)
        self.predictions[declared.name] = declared
        return declared

    def serve(self, model: Model | str, *, fields: Mapping[str, Mapping[str, Any]] | None = None) -> Serving:
        """Declare that a model is served; ``fields`` gives labels, units, ranges and defaults of the form where the data's do not do."""
        of = model if isinstance(model, str) else model.name
        declared = Serving(of, dict(fields or {}), caller())
        self.servings[of] = declared
        return declared

    @property
    def sources(self) -> dict[str, Source]:
        """The sources by name."""
        return {name: node for name, node in self.nodes.items() if isinstance(node, Source)}

    @property
    def tables(self) -> dict[str, Table]:
        """Tables and features by name."""
        return {name: node for name, node in self.nodes.items() if isinstance(node, Table)}

    def _made(self, kind: type[Table], function: Function, where: Location, options: Mapping[str, Any], **more: Any) -> Table:
        allowed = ("expect", "schema", "event_time", "partition", "lookback", "known", "name", "retry", "time_limit")
        for option in options:
            if option not in allowed:
                raise DeclarationProblem(
                    f"A table has no option '{option}'.", nearest=nearest(option, allowed), where=str(where), option=option
                )
        return kind(
            name=options.get("name") or function.__name__,
            inputs=inputs_of(function),
            function=function,
            schema=options.get("schema"),
            expect=_at(options.get("expect", ()), where),
            event_time=options.get("event_time"),
            partition=options.get("partition"),
            lookback_s=seconds(options.get("lookback", 0)),
            known=dict(options.get("known") or {}),
            description=summary_of(function),
            where=where,
            retry=_retry(options.get("retry", 0), where),
            time_limit_s=_limit(options.get("time_limit")),
            **more,
        )

    def _add(self, node: Node) -> None:
        self._free(node.name, node.where)
        self.nodes[node.name] = node

    def _free(self, name: str, where: Location | None) -> None:
        for taken in (self.nodes, self.models, self.predictions, self.detections, self.outlets):
            if name in taken:
                raise DeclarationProblem(
                    f"Product '{self.name}' declares '{name}' twice, first in {taken[name].where}.",
                    fix="Rename one of them.",
                    where=str(where),
                )
        if not name.isidentifier():
            raise DeclarationProblem(f"'{name}' cannot name a table.", fix="Use letters, digits and _.", where=str(where))


def _at(expectations: Iterable[Expectation], where: Location) -> tuple[Expectation, ...]:
    return tuple(one if one.where else replace(one, where=where) for one in expectations)


def _retry(times: int, where: Location) -> int:
    if not isinstance(times, int) or times < 0:
        raise DeclarationProblem(
            f"A step is to be tried again {times!r} times.", fix="Give a whole number from 0.", where=str(where)
        )
    return times


def _limit(length: str | float | None) -> float | None:
    return None if length is None else seconds(length)


def _name(thing: Function | str | Node) -> str:
    if isinstance(thing, str):
        return thing
    return thing.name if isinstance(thing, Source | Table) else thing.__name__


def _names(names: str | Sequence[str]) -> tuple[str, ...]:
    return (names,) if isinstance(names, str) else tuple(names)
