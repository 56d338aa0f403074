"""A model follows a stream: the champion classifies closed windows, and later labels tell how well.

The follower runs in parallel to the stream and never delays it. The product's own features function is called on the last stretch of closed
windows and labels, so that live features equal those of training. Each (entity, time) is predicted once: after a restart the
published predictions tell which are done. A new champion is loaded when its promotion is in the ledger; if there is none, and ``learn_after`` samples
have been captured, the training pipeline is run.
"""

from __future__ import annotations

import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc

from caudal.declarations.model import Prediction
from caudal.declarations.product import Product
from caudal.engine.exact import in_any_magnitude
from caudal.errors import NotThere
from caudal.messaging.updates import ClassUpdate
from caudal.registry import LoadedModel, LoadedSparkModel, champion, load_version
from caudal.runtime.product_tables import mark_event_time
from caudal.runtime.table_frame import frame_of
from caudal.runtime.workspace import Workspace
from caudal.storage import delta
from caudal.storage.place import Place
from caudal.storage.sweep import sweep
from caudal.streaming.append import append
from caudal.streaming.checkpoint import Checkpoint
from caudal.streaming.engine import MicroBatchResult, StreamEngine
from caudal.tables.frames import arrow

if TYPE_CHECKING:
    import pandas as pd
    from pyspark.sql import DataFrame

    from caudal.report.documents import FollowerDocument

RECALL_S = 120.0  # a label may come this late and is still compared
_PAUSE_S = 0.2
_MANY = 10_000  # predictions that are kept without a look at their age
_PUBLISH_S = 5.0
_TRY_AGAIN_S = 60.0  # until the next training, after one that promoted nothing
_FIRST_RECALL_S = 3600.0  # how far back a first champion, or a restart, classifies


class LiveScorer(threading.Thread):
    """A prediction that runs while the stream runs.

    Attributes
    ----------
    confusion : Counter of (actual, predicted), over the comparisons since the start
    trouble : str, why the last round failed, or empty; the next one tries again
    """

    def __init__(self, ws: Workspace, prediction: Prediction, engines: Sequence[StreamEngine], train: Callable[[], None]) -> None:
        super().__init__(name=f"follower of {prediction.name}", daemon=True)
        features = ws.product.features_by_model[prediction.model]
        self._ws, self._prediction, self._features, self._engines, self._train = ws, prediction, features, engines, train
        self._model = ws.product.models[prediction.model]
        self._queues: dict[str, deque[pa.Table]] = {name: deque() for name in features.inputs}
        self._recent: dict[str, pa.Table] = {}
        self._predictions: dict[tuple[Any, ...], dict[str, Any]] = {}
        self._pending: list[pa.Table] = []
        self._to_tell: deque[ClassUpdate] = deque(maxlen=1000)
        self._champion: LoadedModel | LoadedSparkModel | None = None
        self._ending = threading.Event()
        self._published = 0.0
        self._rounds = 0
        self._predicted = 0
        self._full = _MANY
        self._waiting = False
        self._try_at = 0.0
        self.confusion: Counter[tuple[str, str]] = Counter()
        self.trouble = ""

    def __call__(self, step: MicroBatchResult, checkpoint: Checkpoint) -> None:  # noqa: ARG002 (every onlooker's)
        """Queue the result of a micro-batch: closed windows, or captured rows of a source."""
        for name, table in step.closed.items():
            if name in self._queues and len(table):
                self._queues[name].append(table)
        if step.source in self._queues:
            self._queues[step.source].extend(rows for result in step.results for rows in result.rows)

    def run(self) -> None:
        """Run until asked to stop; a round that fails is reported and tried again."""
        self._recover()
        while not self._ending.wait(_PAUSE_S):
            self._round()
        self._published = 0.0  # what is pending is due now
        self._round()

    def stop(self) -> None:
        """Stop when all that is queued is done."""
        self._ending.set()
        self.join()

    def take_updates(self) -> list[ClassUpdate]:
        """Return the updates that the live feed has not had yet."""
        return [self._to_tell.popleft() for _ in range(len(self._to_tell))]

    @property
    def name_of_model(self) -> str:
        """The name of the model that follows the stream."""
        return self._model.name

    def document(self) -> FollowerDocument:
        """Return the state, JSON-ready."""
        compared, correct = (
            sum(self.confusion.values()),
            sum(count for (actual, predicted), count in self.confusion.items() if actual == predicted),
        )
        return {
            "predicted": self._predicted, "version": self._champion.version if self._champion else None,
            "compared": compared, "accuracy": round(correct / compared, 4) if compared else None,
            "confusion": [{"actual": actual, "predicted": predicted, "count": count} for (actual, predicted), count in sorted(self.confusion.items())],
            "trouble": self.trouble or None,
        }  # fmt: skip

    def _round(self) -> None:
        try:
            self._waiting = self._gather() or self._waiting
            if self._has_champion() and self._waiting:
                self._classify()
                self._waiting = False
            if self._pending and time.monotonic() - self._published > _PUBLISH_S:
                self._publish()
            self.trouble = ""
        except Exception as error:  # noqa: BLE001 (the stream goes on; the next round tries again)
            self.trouble = f"{type(error).__name__}: {next(iter(str(error).splitlines()), '')}"

    def _gather(self) -> bool:
        """Add the queued rows to the recent ones; return whether there were any."""
        has_new = False
        for name, queue in self._queues.items():
            new = [queue.popleft() for _ in range(len(queue))]
            if not new:
                continue
            has_new = True
            recent = _distinct(pa.concat_tables([*([self._recent[name]] if name in self._recent else []), *new]))
            moment = recent.column("at" if "at" in recent.column_names else "window_end")
            since = pa.scalar(
                pc.max(moment).cast(pa.int64()).as_py() - round((RECALL_S if self._rounds else _FIRST_RECALL_S) * 1e6), pa.int64()
            )
            self._recent[name] = recent.filter(pc.greater_equal(moment.cast(pa.int64()), since))
        return has_new and len(self._recent) > 0

    def _has_champion(self) -> bool:
        """Load the current champion, if needed; train the first one when there is enough to learn from. Return whether there is
        one."""
        name, model = self._ws.product.name, self._model.name
        row = champion(self._ws.record.ledger, name, model)
        if row is None:
            needed, now = self._prediction.learn_after, time.monotonic()
            if needed and now >= self._try_at and self._captured_samples() >= needed:
                self._try_at = now + _TRY_AGAIN_S
                threading.Thread(target=self._train, name=f"training of {model}", daemon=True).start()
            return False
        if self._champion is None or self._champion.version != row["version"]:
            try:
                self._champion = load_version(
                    self._ws.tables.home,
                    self._ws.record.ledger,
                    name,
                    model,
                    spark=lambda: self._ws.spark.session,
                    trust=self._ws.settings.trust,
                )
            except NotThere:
                return False
            if not self._rounds:
                self._look_back()
                self._waiting = self._gather() or self._waiting
        return True

    def _captured_samples(self) -> int:
        """Return the number of samples that have been captured and published."""
        tables = [engine.source.name for engine in self._engines if engine.tables]
        return max(
            (delta.read_version(self._ws.tables.folder(name)).rows for name in tables if self._ws.tables.version(name) is not None),
            default=0,
        )

    def _classify(self) -> None:
        from caudal.stages.predict.batch import predict

        assert self._champion is not None
        frames = {name: self._frame(name) for name in self._features.inputs}
        rows = in_any_magnitude(
            lambda: frame_of(self._ws.product, self._ws.spark.session, self._features, frames).toPandas(),
            name=(self._ws.product.name, self._features.name),
        )
        keys = [*self._features.entity, self._features.as_of]
        rows = rows.sort_values(keys, ignore_index=True)
        is_predicted = [_key(row) in self._predictions for row in rows[keys].itertuples(index=False, name=None)]
        self._compare(rows, keys)
        new = rows[[not is_known for is_known in is_predicted]].reset_index(drop=True)
        if new.empty:
            return
        predictions = predict(self._champion, self._features, new, input_version=-1)
        table = pa.Table.from_pandas(predictions.drop(columns="input_version"), preserve_index=False)
        by_key = {_key(row[key] for key in keys): row for row in _rows(predictions)}
        updates = [self._update(row, None) for row in by_key.values()]
        # From here on nothing can fail: the predictions are remembered, published and reported together.
        self._predictions |= by_key
        self._pending.append(table)
        self._to_tell.extend(updates)
        self._predicted += len(by_key)
        self._rounds += 1
        self._compare(rows, keys)
        self._drop_old_predictions()

    def _drop_old_predictions(self) -> None:
        """Forget predictions that are too old to recur or to be compared, whenever their number has doubled: a stream may run for
        years."""
        if len(self._predictions) < self._full:
            return
        newest = max((key[-1] for key in self._predictions), default=None)
        if newest is not None:
            self._predictions = {
                key: row for key, row in self._predictions.items() if (newest - key[-1]).total_seconds() <= 2 * _FIRST_RECALL_S
            }
        self._full = max(_MANY, 2 * len(self._predictions))

    def _compare(self, rows: pd.DataFrame, keys: list[str]) -> None:
        """Compare predictions with labels that have arrived since."""
        labelled = rows[rows[self._model.label].notna()]
        for key, actual in zip(labelled[keys].itertuples(index=False, name=None), labelled[self._model.label], strict=True):
            row = self._predictions.get(_key(key))
            if row is not None and "actual" not in row:
                row["actual"] = str(actual)
                if not self._trained_on(row):
                    self.confusion[(str(actual), str(row["prediction"]))] += 1
                self._to_tell.append(self._update(row, str(actual)))

    def _trained_on(self, row: dict[str, Any]) -> bool:
        """Return whether the champion was trained on a row's time: a correct prediction there is no merit."""
        import pandas as pd

        until = self._champion.trained_until if self._champion else None
        if until is None:
            return False
        end, moment = pd.Timestamp(until), pd.Timestamp(row[self._features.as_of])
        return bool(moment.tz_localize(None) <= end.tz_localize(None))

    def _update(self, row: dict[str, Any], actual: str | None) -> ClassUpdate:
        label = str(row["prediction"])
        return {
            "at": row[self._features.as_of].timestamp(), "device": row.get("device", 0), "label": label,
            "probability": row.get(f"probability_{label}"), "model": self._model.name, "version": int(row["model_version"]), "actual": actual,
            "learned": actual is not None and self._trained_on(row),
        }  # fmt: skip

    def _frame(self, name: str) -> DataFrame:
        """Return the recent rows of an input as a Spark frame."""
        if name not in self._recent:
            return (
                self._ws.tables.frame(self._ws.spark.session, name).limit(0)
                if self._ws.tables.version(name) is not None
                else self._empty(name)
            )
        return mark_event_time(self._ws.spark.session.createDataFrame(self._recent[name]), self._ws.product.nodes.get(name))

    def _empty(self, name: str) -> DataFrame:
        engine = next(engine for engine in self._engines if engine.source.name == name)
        columns = ", ".join(["device long", "seq long", "at timestamp", *(f"`{channel}` float" for channel in _channels(engine))])
        return self._ws.spark.session.createDataFrame([], columns)

    def _publish(self) -> None:
        if not self._pending:
            return
        number = (delta.version_of(self._folder) or 0) + 1
        identity = {
            "run_id": f"{self._ws.record.run_id}-{self._rounds}",
            "step": f"follow:{self._prediction.name}",
            "upto": number,
            "code": "follow",
        }
        append(
            self._folder,
            self._pending,
            [],
            moment=self._features.as_of,
            tz=self._ws.product.tz,
            partitioned=False,
            identity=identity,
        )
        self._pending, self._published = [], time.monotonic()

    def _recover(self) -> None:
        """Load the published predictions, so that nothing is predicted twice."""
        sweep(self._folder)
        if delta.version_of(self._folder) is None:
            return
        keys = (*self._features.entity, self._features.as_of)
        for row in _rows(arrow(delta.read_version(self._folder)).to_pandas()):
            self._predictions[_key(row[key] for key in keys)] = row
        self._predicted = len(self._predictions)
        self._drop_old_predictions()

    def _look_back(self) -> None:
        """Queue the last days of the published tables: rows from before this process, or before there was a champion."""
        for name in self._features.inputs:
            if self._ws.tables.version(name) is not None:
                published = delta.read_version(self._ws.tables.folder(name))
                days = set(sorted(published.days, key=str)[-2:]) if published.partitioned else None
                self._queues[name].append(_plain(arrow(published, days=days)))

    @property
    def _folder(self) -> Place:
        return self._ws.tables.folder(f"{self._prediction.name}_live")


def _distinct(table: pa.Table) -> pa.Table:
    """Return the rows without duplicates, which come over the wire or are both queued and published."""
    keys = ["device", "seq", "at"] if "at" in table.column_names else ["device", "sensor", "window_end"]
    numbered = table.select(keys).append_column("_row", pa.array(range(len(table)), pa.int64()))
    first = numbered.group_by(keys).aggregate([("_row", "min")]).column("_row_min")
    return table if len(first) == len(table) else table.take(first.combine_chunks().sort())


def _key(values: Iterable[object]) -> tuple[Any, ...]:
    """Return the values that identify a row; a time is the same whether its frame marks it as UTC or not."""
    import pandas as pd

    return tuple(pd.Timestamp(value).tz_localize(None) if isinstance(value, pd.Timestamp) else value for value in values)


def _rows(frame: pd.DataFrame) -> list[dict[str, Any]]:
    return [{str(name): value for name, value in row.items()} for row in frame.to_dict("records")]


def _plain(table: pa.Table) -> pa.Table:
    return table.drop_columns([name for name in table.column_names if name.startswith("_")])


def _channels(engine: StreamEngine) -> tuple[str, ...]:
    connection: Any = engine.source.connection
    channels: tuple[str, ...] = connection.channels
    return channels


def live_predictions(product: Product, engines: Sequence[StreamEngine]) -> list[Prediction]:
    """Return the predictions whose features depend on nothing but streams."""
    streamed = {engine.source.name for engine in engines} | {name for engine in engines for name in engine.tables}
    predictions = product.predictions.values()
    return [prediction for prediction in predictions if set(product.features_by_model[prediction.model].inputs) <= streamed]
