"""The product: the declarations of a team's sources, tables, features, models and predictions."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, TypeVar, overload
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from caudal.declarations.alert import Happening, Mail, Webhook, alert_of
from caudal.declarations.audit import Auditing
from caudal.declarations.connection import CHANNELLED, Connection
from caudal.declarations.custom import CustomNode
from caudal.declarations.declared import Function, name_of, names_of
from caudal.declarations.duration import seconds
from caudal.declarations.events import Events
from caudal.declarations.expectation import Expectation
from caudal.declarations.governance import Governance
from caudal.declarations.holdout import Holdout, holdout_of
from caudal.declarations.images import COLUMNS, Images
from caudal.declarations.location import Location, caller
from caudal.declarations.lookup import HISTORY, Lookups, NamedInputs, lookup_of
from caudal.declarations.model import Gate, Hashed, Model, Prediction, Selection, Serving, Task, Temporal, TemporalRows
from caudal.declarations.monitor import Monitoring
from caudal.declarations.node import Features, Partition, Source, Table, inputs_of, summary_of
from caudal.declarations.publishing import Publishing
from caudal.declarations.requests import REQUESTED_AT, Requests
from caudal.declarations.retraining import ALWAYS, retraining_of
from caudal.declarations.schema import Field, Schema
from caudal.declarations.service_levels import ServiceLevel, ServiceLevels
from caudal.declarations.sql import inputs_of_sql
from caudal.declarations.streams import Streams
from caudal.declarations.trigger import Every, OnArrival, Trigger
from caudal.errors import DeclarationProblem, nearest

Custom = TypeVar("Custom", bound=CustomNode)


class Product(Streams, Publishing, ServiceLevels, Governance, Auditing, Monitoring):
    """A data product: sources, tables, features, models, predictions, each declared by one call.

    Parameters
    ----------
    name : str, letters, digits and ``_``
    tz : str, the time zone of days and schedules
    owner : str, optional, the person or team that is responsible
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
        super().__init__(name)
        self.tz, self.owner, self.description = tz, owner, description

    def schedule(self, *triggers: Trigger) -> None:
        """Declare when ``caudal up`` brings the whole product up to date."""
        where = caller()
        for trigger in triggers:
            if isinstance(trigger, OnArrival):
                raise DeclarationProblem(
                    f"Product '{self.name}' has a trigger on arrival, but no source for it.",
                    fix="Give it to the source: product.source(..., trigger=cd.on_arrival()).",
                    where=str(where),
                )
            self.schedules.append(trigger)

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
        after: Sequence[Any] | Any = (),
        description: str | None = None,
    ) -> Source:
        """Declare a source of raw data and return it; a table function reads it by a parameter of its name.

        ``after`` are Luigi tasks that produce the data, or functions that return such tasks: they run first. ``trigger`` is for ``caudal up``. ``retry`` and ``time_limit`` are for the steps that land and read it.
        """
        where = caller()
        if isinstance(connection, CHANNELLED) and schema is None:
            sample_columns = {"device": "long", "seq": "long", "at": "timestamp_utc"}
            schema = Schema(
                (
                    *(Field(column, kind, nullable=False) for column, kind in sample_columns.items()),
                    *(Field(channel, "float") for channel in connection.channels),
                )
            )
            event_time = event_time or "at"
        if isinstance(connection, Events):
            connection = replace(connection, schema=schema or connection.schema)
            schema = connection.row_schema(connection.schema)
        if isinstance(connection, Requests):
            connection = replace(connection, schema=schema)
            schema, event_time = connection.row_schema(schema), event_time or REQUESTED_AT
        if isinstance(connection, Images):
            if schema is not None:
                raise DeclarationProblem(
                    f"Source '{name}' is of images, whose columns are given: {', '.join(COLUMNS.names)}.",
                    fix="Leave schema out.",
                    where=str(where),
                )
            schema = COLUMNS
        declared = Source(
            name, connection, schema, event_time, partition, seconds(late), _located(expect, where), trigger, _retries(retry, where),
            description, where, _time_limit_s(time_limit), tuple(after) if isinstance(after, list | tuple) else (after,),
        )  # fmt: skip
        self._add_node(declared)
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
        """Declare a function as a table: its name is the table's name, its parameters are the inputs, its docstring is the description.

        The function is returned unchanged, so that a unit test can call it with frames.
        """
        where = caller()
        if functions:
            self._add_node(self._table_of(Table, functions[0], where, {}))
            return functions[0]

        def declare(function: Function) -> Function:
            self._add_node(self._table_of(Table, function, where, options))
            return function

        return declare

    def alert(
        self,
        to: Mail | Webhook,
        *,
        on: Sequence[Happening] = ("failure", "recovery", "quarantine", "sla", "drift"),
        share: float = 0.05,
        repeat: str | float = "6 hours",
    ) -> None:
        """Declare an alert: when a run fails or recovers, rows are set aside, a table is late, a monitor sees a drift, or a model is promoted or refused."""
        self.alerts.append(alert_of(to, on, share, seconds(repeat), caller()))

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
        """Declare a table by a query; the tables that the query names are its inputs."""
        where = caller()
        declared = Table(
            name, inputs_of_sql(query, name, where), None, query, schema, _located(expect, where), event_time, partition, seconds(lookback),
            dict(known or {}), description, where, _retries(retry, where), _time_limit_s(time_limit),
        )  # fmt: skip
        self._add_node(declared)
        return declared

    def features(
        self,
        *,
        entity: str | Sequence[str],
        as_of: str | None = None,
        labels: Sequence[str] = (),
        keep: Sequence[str] = (),
        **options: object,
    ) -> Callable[[Function], Function]:
        """Declare a function as features: one row per entity and ``as_of``, from what was known then. ``options`` are those of a table.

        ``as_of`` is left out where rows have no order in time; then there is one row per entity, and models split by ``cd.hashed``.
        """
        where = caller()

        def declare(function: Function) -> Function:
            more = {"event_time": as_of, **options}
            self._add_node(
                self._table_of(
                    Features, function, where, more,
                    entity=names_of(entity), as_of=as_of or "", labels=tuple(labels), keep=tuple(keep),
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
        candidates: Mapping[str, object],
        split: Temporal | TemporalRows | Hashed,
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
        holdout: Holdout | str | int | None = None,
        select: Selection | None = None,
        retrain: str | Every | Sequence[str | Every] = ALWAYS,
    ) -> Model:
        """Declare a model. A naive baseline is always among its candidates.

        ``holdout`` names rows that are never trained on (``"14 days"``, a number of the newest rows, or ``cd.holdout``); a version that passes its gates is
        scored on them once.
        ``select`` is the rule by which a candidate is chosen from its scores on the folds, by default ``cd.best_mean()``.
        ``retrain`` says when a model that is in production is trained again: ``"always"`` when its features have changed, ``"drift"`` when a monitor of it has
        an alarm, ``cd.every("30 days")`` so long after its last training, a list for whichever comes first.
        ``retry`` and ``time_limit`` apply to the steps of training, decision and prediction, each separately.
        """
        where = caller()
        declared = Model(
            name, name_of(features), label, seconds(horizon), dict(candidates), split,
            metric or ("mae" if task == "regression" else "log_loss"), tuple(gates), task, tuple(group_by), max_rows, seed, unit,
            description, where, _retries(retry, where), _time_limit_s(time_limit), holdout_of(holdout), select,
            retraining_of(retrain, where),
        )  # fmt: skip
        self._check_name_is_free(name, where)
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

        Where the model's features come from streams, ``caudal stream`` also predicts whenever a window closes
        (``<model>_predictions_live``); with ``learn_after`` it trains the model once this number of samples has been captured.
        """
        where = caller()
        of = model if isinstance(model, str) else model.name
        declared = Prediction(name or f"{of}_predictions", of, rows, at, learn_after, where)  # type: ignore[arg-type]
        self._check_name_is_free(declared.name, where)
        self.predictions[declared.name] = declared
        return declared

    def serve(
        self,
        model: Model | str,
        *,
        fields: Mapping[str, Mapping[str, object]] | None = None,
        lookup: Lookups | None = None,
        names: NamedInputs | None = None,
        history: str | float = HISTORY,
        sla: ServiceLevel | None = None,
    ) -> Serving:
        """Declare that a model is served; ``fields`` overrides labels, units, ranges and defaults of the form, which come from the data.

        With ``lookup=True`` callers give keys and a time, and the server finds the features: parts of the time (``cd.calendar``) are computed from it, and what
        ``cd.past_mean``, ``cd.rolling``, ``cd.lag`` and ``cd.as_of_join`` gave is as the features have it at that time. A mapping names what is to be
        looked up: ``{("pair_duration_min", "pair_miles"): ("pickup_zone_id", "dropoff_zone_id")}``; what has another origin is the value of the newest row with
        that key, in the features or in the table that is named in the place of columns: ``{customers: "customer_id"}``.
        ``history`` is how long before the newest row times may lie for which features are looked up.
        ``names`` has the form ask for names: ``{"zone_id": {"table": "zones", "key": "zone_id", "name": "zone"}}``, with ``also`` a column shown behind them.
        ``sla`` is what is promised of it: ``cd.sla(p95="50 ms", available=0.999)``.
        """
        of = model if isinstance(model, str) else model.name
        declared = Serving(of, dict(fields or {}), caller())
        self.servings[of] = declared
        self.lookups.pop(of, None)
        if (looked_up := lookup_of(of, lookup, names, history, caller())) is not None:
            self.lookups[of] = looked_up
        if sla is not None:
            self._agree(of, sla, caller())
        return declared

    def add(self, node: Custom) -> Custom:
        """Declare a node whose kind another package provides, and return it."""
        where = caller()
        declared = replace(node, where=node.where or where)
        self._check_name_is_free(declared.name, where)
        self.custom[declared.name] = declared
        return declared

    @property
    def sources(self) -> dict[str, Source]:
        """The sources by name."""
        return {name: node for name, node in self.nodes.items() if isinstance(node, Source)}

    @property
    def tables(self) -> dict[str, Table]:
        """Tables and features by name."""
        return {name: node for name, node in self.nodes.items() if isinstance(node, Table)}

    @property
    def feature_tables(self) -> dict[str, Features]:
        """The features by name."""
        return {name: node for name, node in self.nodes.items() if isinstance(node, Features)}

    @property
    def features_by_model(self) -> dict[str, Features]:
        """The features of each model by the model's name, for models whose features are declared."""
        feature_tables = self.feature_tables
        return {name: feature_tables[model.features] for name, model in self.models.items() if model.features in feature_tables}

    def _table_of(self, kind: type[Table], function: Function, where: Location, options: Mapping[str, Any], **more: Any) -> Table:
        allowed = ("expect", "schema", "event_time", "partition", "lookback", "known", "name", "retry", "time_limit")
        for option in options:
            if option not in allowed:
                raise DeclarationProblem(
                    f"A table has no option '{option}'.", nearest=nearest(option, allowed), where=str(where), option=option
                )
        by_file = options.get("partition") == "file"
        return kind(
            name=options.get("name") or function.__name__,
            inputs=inputs_of(function),
            function=function,
            schema=options.get("schema"),
            expect=_located(options.get("expect", ()), where),
            event_time=options.get("event_time"),
            partition=None if by_file else options.get("partition"),
            by_file=by_file,
            lookback_s=seconds(options.get("lookback", 0)),
            known=dict(options.get("known") or {}),
            description=summary_of(function),
            where=where,
            retry=_retries(options.get("retry", 0), where),
            time_limit_s=_time_limit_s(options.get("time_limit")),
            **more,
        )


def _located(expectations: Iterable[Expectation], where: Location) -> tuple[Expectation, ...]:
    return tuple(expectation if expectation.where else replace(expectation, where=where) for expectation in expectations)


def _retries(times: int, where: Location) -> int:
    if not isinstance(times, int) or times < 0:
        raise DeclarationProblem(
            f"A step is to be tried again {times!r} times.", fix="Give a whole number from 0.", where=str(where)
        )
    return times


def _time_limit_s(length: str | float | None) -> float | None:
    return None if length is None else seconds(length)
