"""When a model is trained again: what it declares (``retrain=``), beside its versions and the alarms of its monitors in the ledger.

The first training, and each until a version is in production, goes by the data, as ``retrain="always"`` does. After that a model that waits is trained when

- its declaration has changed, or any code that its features are made of, or the files of the version in production are gone: these nobody else would mend;
- so long after its newest version as ``cd.every`` says;
- a figure of its monitor is in alarm in its newest window, that window lies after what the version in production has learned from, and no version
  answers the alarm yet.

A version answers every alarm that stood when it was trained, whatever its gates said: the same windows lead to one training. While the alarm stands, it asks again
when it has stood for twice as many windows as the last version that answers it had seen. So each further training has as much again of what is new to learn from,
and an alarm that never ends leads to few trainings, though it be looked at every minute.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

from caudal.batch.monitor_figures import beyond_threshold
from caudal.declarations.audit import Audit
from caudal.declarations.duration import text
from caudal.declarations.model import Model
from caudal.declarations.monitor import DAY_S
from caudal.declarations.product import Product
from caudal.declarations.signature import PREDICTION
from caudal.graph.build import build
from caudal.graph.check_monitors import event_time_of
from caudal.graph.fingerprint import code_of, digest
from caudal.ledger.ledger import Ledger
from caudal.ledger.monitored import KeptFigure, figures_of
from caudal.ledger.records import model_versions
from caudal.ledger.rows import AnsweredAlarm, CauseDocument, ChampionRow, ModelVersionRow
from caudal.registry import find
from caudal.report.figures import plural
from caudal.runtime.product_tables import ProductTables
from caudal.tables.home import Home

NAMED = 3  # further figures that a sentence names


@dataclass(frozen=True)
class StandingAlarm:
    """A figure that is in alarm in its newest window.

    Parameters
    ----------
    figure : of the newest window
    windows : number of windows in a row that are in alarm
    answered : number of those that the last version that answers the alarm had seen; 0 where none does
    answered_by : that version
    """

    monitor: str
    figure: KeptFigure
    windows: int
    answered: int = 0
    answered_by: int | None = None

    @property
    def asks(self) -> bool:
        """Whether it asks for a training."""
        return self.windows >= max(1, 2 * self.answered)

    @property
    def document(self) -> AnsweredAlarm:
        """The alarm as a version's cause keeps it."""
        figure = self.figure
        return {
            "monitor": self.monitor, "figure": figure.label, "window_start": figure.start, "window_end": figure.end, "value": figure.value,
            "low": figure.low, "high": figure.high,
        }  # fmt: skip


@dataclass(frozen=True)
class TrainingNeed:
    """Whether a model is to be trained, and why or why not.

    Parameters
    ----------
    why : the rest of a sentence; None where new versions of its features are reason enough
    alarms : that stand, whether they ask or not
    """

    due: bool
    why: str | None = None
    alarms: tuple[StandingAlarm, ...] = ()


def training_need(home: Home, ledger: Ledger, product: Product, model: Model, now: float) -> TrainingNeed:
    """Return whether a model is to be trained when its features have a new version, by what it declares and what the ledger knows."""
    if model.retrain is None:
        return TrainingNeed(True)
    versions = ledger.find(model_versions, product=product.name, model=model.name)
    champion = ledger.champion(product.name, model.name)
    if champion is None:
        return TrainingNeed(True)
    newest = max(versions, key=lambda row: row["version"])
    alarms = tuple(standing_alarms(ledger, product, model, champion, versions)) if model.retrain.drift else ()
    made_by = newest["cause"]["made_by"] if newest["cause"] is not None else None
    if made_by is None:
        return TrainingNeed(True, f"it is not known what code made version {newest['version']}", alarms)
    if made_by != code_of_training(product, model):
        return TrainingNeed(True, f"its code, or that of its features, has changed since version {newest['version']}", alarms)
    if find(home, ledger, product.name, model.name, champion["fingerprint"]) is None:
        return TrainingNeed(True, f"the files of version {champion['version']} are gone or damaged", alarms)
    if any(alarm.asks for alarm in alarms):
        return TrainingNeed(True, _sentence([alarm for alarm in alarms if alarm.asks], product.tz), alarms)
    age_s = now - newest["created_at"]
    if model.retrain.every_s is not None and age_s >= model.retrain.every_s:
        return TrainingNeed(True, f"version {newest['version']} is {text(age_s // DAY_S * DAY_S or age_s // 60 * 60)} old", alarms)
    return TrainingNeed(False, _why_not(product, model, newest, champion, alarms, age_s), alarms)


def waits_for_training(tables: ProductTables, ledger: Ledger, model: Model, now: float) -> TrainingNeed | None:
    """Return why a run now would train a model again that waits for a reason; None where it would not, since it has nothing to learn, or was trained on it."""
    if model.retrain is None or tables.version(model.features) is None:
        return None
    product = tables.product
    need = training_need(tables.home, ledger, product, model, now)
    fingerprint = fingerprint_of(tables, model, product.audits.get(model.name))
    return need if need.due and find(tables.home, ledger, product.name, model.name, fingerprint) is None else None


def next_training(tables: ProductTables, ledger: Ledger) -> float | None:
    """Return the time at which the first model is due that waits for its version to grow old and whose features are newer than that; None where none waits."""
    product, due = tables.product, list[float]()
    for model in product.models.values():
        every_s = None if model.retrain is None else model.retrain.every_s
        versions = ledger.find(model_versions, product=product.name, model=model.name)
        if every_s is not None and versions and tables.version(model.features) is not None:
            fingerprint = fingerprint_of(tables, model, product.audits.get(model.name))
            if find(tables.home, ledger, product.name, model.name, fingerprint) is None:
                due.append(max(row["created_at"] for row in versions) + every_s)
    return min(due, default=None)


def fingerprint_of(tables: ProductTables, model: Model, audit: Audit | None = None) -> str:
    """Return the fingerprint of a training: of the declaration, the version of its features, and the groups that an audit counts."""
    return digest(code_of(model), {name: tables.version(name) for name in model.inputs}, *_counted(audit))


def code_of_training(product: Product, model: Model) -> str:
    """Return the fingerprint of a model's declaration and of all declarations that its features are made of, without their data."""
    nodes = [product.nodes[name] for name in build(product).upstream(model.name) if name in product.nodes]
    counted = _counted(product.audits.get(model.name))
    return digest(code_of(model), {node.name: code_of(node) for node in nodes}, product.tz, *counted)


def _counted(audit: Audit | None) -> tuple[object, ...]:
    return () if audit is None else (audit.counted,)


def cause_of(product: Product, model: Model, need: TrainingNeed) -> CauseDocument:
    """Return a training's cause as its version keeps it."""
    return {"why": need.why, "made_by": code_of_training(product, model), "alarms": [alarm.document for alarm in need.alarms]}


def standing_alarms(
    ledger: Ledger, product: Product, model: Model, champion: ChampionRow, versions: Sequence[ModelVersionRow]
) -> list[StandingAlarm]:
    """Return the alarms of a model's monitors that stand, the oldest first, of windows after what the version in production has learned from."""
    answers = _answers(versions)
    standing: list[StandingAlarm] = []
    for monitor in product.monitors.values():
        if monitor.of != model.name:
            continue
        learned_until = _learned_until(champion, event_time_of(product, monitor) is not None, product.tz)
        by_key: dict[object, list[KeptFigure]] = {}
        for figure in figures_of(ledger, product.name, monitor.name):
            by_key.setdefault(figure.key, []).append(figure)
        for figures in by_key.values():
            windows = _in_alarm(figures)
            if windows and windows[-1].start > learned_until:
                ends = answers.get((monitor.name, windows[-1].label), {})
                seen = {version: sum(window.end <= end for window in windows) for version, end in ends.items()}
                answered_by = max((version for version, count in seen.items() if count), key=lambda v: (seen[v], v), default=None)
                answered = 0 if answered_by is None else seen[answered_by]
                standing.append(StandingAlarm(monitor.name, windows[-1], len(windows), answered, answered_by))
    return sorted(standing, key=lambda alarm: (-alarm.windows, alarm.figure.column == PREDICTION, alarm.figure.label))


def _in_alarm(figures: Sequence[KeptFigure]) -> list[KeptFigure]:
    """Return the newest windows in a row that are in alarm, oldest first."""
    windows: list[KeptFigure] = []
    for figure in reversed(figures):
        if figure.state != "alarm":
            break
        windows.append(figure)
    return windows[::-1]


def _answers(versions: Sequence[ModelVersionRow]) -> Mapping[tuple[str, str], Mapping[int, float]]:
    """Return by monitor and figure the end of the newest window in alarm that each version had seen."""
    answers: dict[tuple[str, str], dict[int, float]] = {}
    for row in versions:
        for alarm in row["cause"]["alarms"] if row["cause"] is not None else ():
            answers.setdefault((alarm["monitor"], alarm["figure"]), {})[row["version"]] = alarm["window_end"]
    return answers


def _learned_until(champion: ChampionRow, timed: bool, tz: str) -> float:
    """Return the time of the newest row that a version has learned from, as windows have it; the number of the table's version where rows have no time."""
    if not timed or champion["training_until"] is None:
        return float(champion["training_version"]) if not timed else float("-inf")
    moment = datetime.fromisoformat(champion["training_until"])
    return (moment if moment.tzinfo is not None else moment.replace(tzinfo=ZoneInfo(tz))).timestamp()


def _sentence(alarms: Sequence[StandingAlarm], tz: str) -> str:
    first, more = alarms[0], [alarm.figure.label for alarm in alarms[1:]]
    figure = first.figure
    shown = more[: NAMED - 1] if len(more) > NAMED else more
    others = [*shown, *([f"{len(more) - len(shown)} more"] if len(more) > len(shown) else [])]
    also = f", with {', '.join(others[:-1])}{' and ' if len(others) > 1 else ''}{others[-1]}" if others else ""
    return f"{figure.label} was {figure.value:.4g}{_of_window(figure, tz)}{beyond_threshold(figure)} (alarm of monitor '{first.monitor}'{also})"


def _of_window(figure: KeptFigure, tz: str) -> str:
    if figure.end <= figure.start:
        return f" in version {figure.start:.0f} of its table"
    start = datetime.fromtimestamp(figure.start, ZoneInfo(tz))
    # A day may have 23 hours.
    return f" on {start:%Y-%m-%d}" if figure.end - figure.start > DAY_S - 7200 else f" at {start:%Y-%m-%d %H:%M}"


def _why_not(
    product: Product, model: Model, newest: ModelVersionRow, champion: ChampionRow, alarms: Sequence[StandingAlarm], age_s: float
) -> str:
    assert model.retrain is not None
    reasons: list[str] = []
    if model.retrain.drift and alarms:
        first = alarms[0]
        more = 2 * first.answered - first.windows
        reasons.append(
            f"the alarm of {first.figure.label} has led to version {first.answered_by}, and asks again after {plural(more, 'more window')}"
        )
    elif model.retrain.drift:
        monitors = [f"'{name}'" for name, monitor in product.monitors.items() if monitor.of == model.name]
        reasons.append(f"no alarm of monitor {' or '.join(monitors)} since version {champion['version']} was trained")
    if model.retrain.every_s is not None:
        left_s = model.retrain.every_s - age_s
        left = text(-(-left_s // DAY_S) * DAY_S) if left_s > DAY_S else text(-(-left_s // 60) * 60)
        reasons.append(f"version {newest['version']} is due in {left}")
    return "; ".join(reasons)
