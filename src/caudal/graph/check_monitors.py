"""Check the declarations of monitors: what they watch, their measures, windows and thresholds."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence

from caudal import kinds
from caudal.declarations.duration import text
from caudal.declarations.governance import person_columns
from caudal.declarations.monitor import DAY_S, MOST_WINDOWS, Monitor
from caudal.declarations.node import Features, Source
from caudal.declarations.product import Product
from caudal.declarations.statistics import Statistics
from caudal.errors import DeclarationProblem, nearest


def table_of(product: Product, monitor: Monitor) -> str:
    """Return the table that a monitor counts: the features of a model, or the table itself."""
    model = product.models.get(monitor.of)
    return monitor.of if model is None else model.features


def event_time_of(product: Product, monitor: Monitor) -> str | None:
    """Return the column with the time of the table's rows; None where it has none."""
    node = product.nodes.get(table_of(product, monitor))
    if isinstance(node, Features):
        return node.as_of or None
    return None if node is None else node.event_time


def not_watched(product: Product, monitor: Monitor) -> tuple[str, ...]:
    """Return the columns that are not watched unless they are named: keys, times, labels and columns that identify a person."""
    table = table_of(product, monitor)
    node = product.nodes.get(table)
    names = list(node.not_inputs) if node is not None else []
    if node is not None and node.event_time:
        names.append(node.event_time)
    return (*names, *person_columns(product.subjects, table))


def problems_of_monitor(product: Product, monitor: Monitor) -> Iterator[DeclarationProblem]:
    """Yield the problems of a monitor that its declaration shows, without data."""
    model = product.models.get(monitor.of)
    among = (*product.models, *product.nodes)
    if monitor.of in product.detections:
        yield _problem(
            monitor, f"Monitor '{monitor.name}' watches the detector '{monitor.of}', which has no table of windows.",
            fix=f"Watch what it looks at: product.monitor({product.detections[monitor.of].of}).",
        )  # fmt: skip
        return
    if model is None and monitor.of not in product.nodes:
        yield _problem(
            monitor, f"Monitor '{monitor.name}' watches '{monitor.of}', which nothing declares.", near=(monitor.of, among)
        )
        return
    table = table_of(product, monitor)
    if table not in product.nodes:
        return  # the model's own problem
    node = product.nodes[table]
    for name in monitor.measures:
        if name not in kinds.MEASURES:
            yield _problem(
                monitor, f"Monitor '{monitor.name}' names the measure '{name}', which there is not.", near=(name, tuple(kinds.MEASURES)),
                fix=f"Use some of {', '.join(kinds.MEASURES)}.",
            )  # fmt: skip
    yield from _lengths(monitor)
    yield from _thresholds(monitor)
    if monitor.reference_s is None and model is None:
        yield _problem(
            monitor, f"Monitor '{monitor.name}' is to compare table '{table}' with training rows, and no model learns from a table itself.",
            fix='Watch the model, or compare with the windows before: reference="30 days".',
        )  # fmt: skip
    event_time = event_time_of(product, monitor)
    if event_time is None and monitor.reference_s is not None:
        yield _problem(
            monitor, f"Monitor '{monitor.name}' has a reference of {text(monitor.reference_s)}, and '{table}' has no event time.",
            fix='Declare its event_time=, or watch a model with reference="training".',
        )  # fmt: skip
    if isinstance(node, Statistics) and not node.gap_us and monitor.window_s < node.every_s:
        yield _problem(
            monitor, f"Monitor '{monitor.name}' has windows of {text(monitor.window_s)}, and '{table}' has a row every {text(node.every_s)}.",
            fix="Give longer windows: window=.",
        )  # fmt: skip
    if monitor.by and model is None:
        yield _problem(
            monitor, f"Monitor '{monitor.name}' measures errors by {', '.join(monitor.by)}, and '{table}' is no model.",
            fix="Leave by= out, or watch the model.",
        )  # fmt: skip
    for column in monitor.columns or ():
        if column in person_columns(product.subjects, table):
            yield _problem(
                monitor, f"Monitor '{monitor.name}' watches '{column}', which identifies a person, and histograms keep its values.",
                fix="Leave the column out.",
            )  # fmt: skip
    for column in monitor.by:
        if column in person_columns(product.subjects, table):
            yield _problem(
                monitor, f"Monitor '{monitor.name}' measures errors by '{column}', which identifies a person, and figures keep its values.",
                fix="Group by a column that many people share.",
            )  # fmt: skip
    schema = None if isinstance(node, Source) else node.schema
    if schema is not None and schema.names:
        yield from _unknown_columns(monitor, table, schema.names)


def problems_of_monitor_columns(product: Product, names: Mapping[str, Sequence[str]]) -> Iterator[DeclarationProblem]:
    """Yield the columns that monitors name and that their tables do not have, where no declaration has shown it before.

    Parameters
    ----------
    names : the columns of each table, as far as they are known
    """
    for monitor in product.monitors.values():
        table = table_of(product, monitor)
        node = product.nodes.get(table)
        if node is not None and table in names and (isinstance(node, Source) or node.schema is None or not node.schema.names):
            yield from _unknown_columns(monitor, table, names[table])


def _unknown_columns(monitor: Monitor, table: str, names: Sequence[str]) -> Iterator[DeclarationProblem]:
    for column in (*(monitor.columns or ()), *monitor.by):
        if column not in names:
            yield _problem(
                monitor, f"Monitor '{monitor.name}' names '{column}', which '{table}' does not have.", near=(column, tuple(names)),
                fix=f"It has {', '.join(names)}.",
            )  # fmt: skip


def _lengths(monitor: Monitor) -> Iterator[DeclarationProblem]:
    window_s = monitor.window_s
    fits = window_s >= 60 and (window_s % DAY_S == 0 if window_s > DAY_S else DAY_S % window_s == 0)
    if not fits:
        yield _problem(
            monitor, f"Monitor '{monitor.name}' has windows of {text(window_s)}, which do not fit into days.",
            fix="Use whole days, or a part of a day such as '1 hour' or '15 minutes'.",
        )  # fmt: skip
    if monitor.reference_s is not None and monitor.reference_s < 3 * window_s:
        yield _problem(
            monitor, f"Monitor '{monitor.name}' compares windows of {text(window_s)} with {text(monitor.reference_s)} before them.",
            fix=f"Give three windows at least: reference='{text(3 * window_s)}'.",
        )  # fmt: skip
    if monitor.reference_s is not None and monitor.reference_s > MOST_WINDOWS * window_s:
        yield _problem(
            monitor,
            f"Monitor '{monitor.name}' compares windows of {text(window_s)} with {text(monitor.reference_s)} before them, which are more than {MOST_WINDOWS}.",
            fix=f"Give longer windows, or a shorter reference: reference='{text(math.floor(MOST_WINDOWS * window_s / DAY_S) * DAY_S or 12 * window_s)}'.",
        )  # fmt: skip
    if not isinstance(monitor.patience, int) or monitor.patience < 1:
        yield _problem(monitor, f"Monitor '{monitor.name}' has a patience of {monitor.patience!r} windows.", fix="Give 1 at least.")
    if not 0 < monitor.false_alarms < 1:
        yield _problem(
            monitor, f"Monitor '{monitor.name}' has false_alarms={monitor.false_alarms!r}, which is no probability.",
            fix="Give a number between 0 and 1, such as 0.05.",
        )  # fmt: skip


def _thresholds(monitor: Monitor) -> Iterator[DeclarationProblem]:
    measures = tuple(kinds.MEASURES)
    for key, value in monitor.thresholds.items():
        by_measure = value if isinstance(value, Mapping) else {key: value}
        for name, number in by_measure.items():
            if name not in measures:
                yield _problem(
                    monitor, f"Monitor '{monitor.name}' has a threshold of '{name}', which is no measure.", near=(name, measures),
                    fix="Write thresholds={'psi': 0.2}, or thresholds={'column': {'psi': 0.2}}.",
                )  # fmt: skip
            elif not isinstance(number, int | float) or isinstance(number, bool) or number < 0:
                yield _problem(
                    monitor, f"Monitor '{monitor.name}' has the threshold {number!r} for '{name}'.", fix="Give a number from 0."
                )


def _problem(
    monitor: Monitor, what: str, *, near: tuple[str, tuple[str, ...]] | None = None, fix: str | None = None
) -> DeclarationProblem:
    return DeclarationProblem(
        what, nearest=nearest(*near) if near else None, fix=fix, where=str(monitor.where), monitor=monitor.name
    )
