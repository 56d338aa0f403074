"""Features as a model version was trained on them: transformed by the parameters that were fitted at its training, not by later ones."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial, reduce
from typing import TYPE_CHECKING, Any

from caudal.batch.publish import day_of
from caudal.declarations.build_context import NothingFits, build_context, is_fit
from caudal.declarations.node import Features
from caudal.graph.build import build
from caudal.registry import LoadedModel, LoadedSparkModel
from caudal.registry.fits import Fits, TableFits, read_fits
from caudal.runtime.product_tables import ProductTables, mark_event_time
from caudal.runtime.run_spark import RunSpark
from caudal.runtime.table_frame import frame_of
from caudal.storage import delta
from caudal.storage.place import remove, spark_path
from caudal.tables.frames import arrow
from caudal.tables.version_files import read_version_files, version_hashes

if TYPE_CHECKING:
    import pandas as pd
    from pyspark.sql import DataFrame, SparkSession

Champion = LoadedModel | LoadedSparkModel


def fits_of_published(tables: ProductTables, table: str) -> dict[str, TableFits]:
    """Return the fitted parameters of a table's published version and of the tables that it is built from."""
    fits_by_table = dict[str, TableFits]()
    for name in (*build(tables.product).upstream(table), table):
        if name in tables.product.tables and any(map(is_fit, version_hashes(tables.folder(name), tables.version(name)))):
            fits = {
                fit: content
                for fit, content in read_version_files(tables.folder(name), tables.version(name)).items()
                if is_fit(fit)
            }
            fits_by_table[name] = TableFits(_code(tables, name), fits)
    return fits_by_table


def _code(tables: ProductTables, table: str, number: int | None = None) -> str:
    """Return the fingerprint of the code that built a version of a table, by default the newest."""
    number = tables.version(table) if number is None else number
    return "" if number is None else str(delta.identity(tables.folder(table), number).get("code"))


def fits_when_trained(tables: ProductTables, champion: Champion) -> dict[str, TableFits]:
    """Return the parameters that were fitted when a model version was trained."""
    row = champion.row
    if (fits := read_fits(tables.home.path / row["artifact"])) is not None:
        return fits
    table, number = str(row["training_table"]), int(row["training_version"])  # a version of before: its table knows
    old = {name: content for name, content in read_version_files(tables.folder(table), number).items() if is_fit(name)}
    return {table: TableFits(_code(tables, table, number), old)} if old else {}


def own_fits_if_changed(tables: ProductTables, features: Features, champion: Champion) -> Fits | None:
    """Return the fits of a model version if they differ from those of the published features, else None."""
    own_fits, published_fits = fits_when_trained(tables, champion), fits_of_published(tables, features.name)
    are_equal = own_fits.keys() == published_fits.keys() and all(
        own_fits[name].fits == published_fits[name].fits for name in own_fits
    )
    return None if are_equal else own_fits


@contextmanager
def transformed_features(
    tables: ProductTables, run_spark: RunSpark, run_id: str, features: Features, own_fits: Fits
) -> Iterator[delta.Version]:
    """Yield the published features as the fits of a model version transform them; their files are removed after the block.

    Raises
    ------
    NothingFits : the functions have changed, or fit something else now
    """
    published = delta.read_version(tables.folder(features.name))
    stage = published.folder / f"part-{run_id}-own-fit-{features.name}"
    try:
        for table, table_fits in own_fits.items():
            if table not in tables.product.nodes or _code(tables, table) != table_fits.code:
                raise NothingFits(
                    f"The code of '{table}' has changed since the version was trained.", fix="Train again: caudal run."
                )
        if unknown := fits_of_published(tables, features.name).keys() - own_fits.keys():
            raise NothingFits(
                f"It is not known what the version had fitted in {', '.join(sorted(unknown))}.", fix="Train again: caudal run."
            )
        names = [field["name"] for field in published.schema["fields"] if field["name"] != delta.DAY]
        frame = _frame_by_fits(tables, run_spark.session, features.name, own_fits)
        if missing := [name for name in names if name not in frame.columns]:
            raise NothingFits(
                f"Features '{features.name}' lack {', '.join(missing)} by the version's own fit.", fix="Train again: caudal run."
            )
        frame = _only_published_rows(tables, run_spark.session, frame.select(*(f"`{name}`" for name in names)), features, published)
        writer = frame.write
        if published.partitioned:
            writer = frame.withColumn(delta.DAY, day_of(frame, features, tables.product.tz)).write.partitionBy(delta.DAY)
        writer.parquet(spark_path(stage))
        version = replace(published, files=tuple(delta.staged(published.folder, stage)))
        if version.rows != published.rows:
            raise NothingFits(
                f"Features '{features.name}' have {published.rows:,} rows, and {version.rows:,} by the fit of the version in production.",
                fix="Let the key and keep=[...] of the features tell their rows apart, and their function give the same rows each time.",
            )
        yield version
    finally:
        remove(stage)


def _frame_by_fits(tables: ProductTables, spark: SparkSession, name: str, own_fits: Fits) -> DataFrame:
    """Return a table as other fits build it; a table that depends on none of them is read as published."""
    node = tables.product.tables.get(name)
    if node is None or own_fits.keys().isdisjoint((name, *build(tables.product).upstream(name))):
        return tables.frame(spark, name)
    frames = {input_: _frame_by_fits(tables, spark, input_, own_fits).alias(input_) for input_ in node.inputs}
    with build_context(own_fits[name].fits if name in own_fits else {}, "only"):
        return mark_event_time(frame_of(tables.product, spark, node, frames), node)


def matching_columns(features: Features, fields: Iterable[dict[str, Any]]) -> list[str]:
    """Return the columns that identify a row independently of fits: key, labels and kept columns, without fractional numbers."""
    columns = {*features.key, *features.labels, *features.keep}
    return [
        field["name"]
        for field in fields
        if field["name"] in columns and isinstance(field["type"], str) and field["type"] not in ("double", "float")
    ]


def _only_published_rows(
    tables: ProductTables, spark: SparkSession, frame: DataFrame, features: Features, published: delta.Version
) -> DataFrame:
    """Return the rows that are published, without those that were quarantined."""
    columns = matching_columns(features, published.schema["fields"])
    published_keys = tables.frame(spark, features.name).select(*(f"`{name}`" for name in columns)).distinct().alias("_there")
    conditions = [frame[name].eqNullSafe(published_keys[name]) for name in columns]
    return frame.join(published_keys, reduce(lambda first, second: first & second, conditions), "left_semi") if columns else frame


def _raise(error: NothingFits) -> pd.DataFrame:
    raise error


class ByOwnFit:
    """A champion that predicts by its own fits for features of other fits; ``answers`` is False where it cannot."""

    def __init__(self, champion: Champion, rows: Callable[[], pd.DataFrame], by: list[str], answers: bool = True) -> None:
        self._champion, self._rows, self._by, self.answers = champion, rows, by, answers

    def __getattr__(self, name: str) -> Any:
        return getattr(self._champion, name)

    def predict(self, frame: pd.DataFrame) -> pd.DataFrame:
        """Return the champion's predictions for rows, which are identified by their key."""
        inputs = [input_["name"] for input_ in self._champion.signature["inputs"] if input_["name"] not in self._by]
        own_rows = self._rows().drop_duplicates(self._by)
        joined = frame[self._by].merge(own_rows[[*self._by, *inputs]], on=self._by, how="left", validate="many_to_one")
        return self._champion.predict(joined.set_index(frame.index))


def champion_by_own_fit(
    tables: ProductTables, run_spark: RunSpark, run_id: str, features: Features, champion: Champion
) -> Champion | ByOwnFit:
    """Return a champion to compare with; where the features were fitted again since its training, it predicts by its own fits.

    Where its fits do not match the functions any more, it cannot predict, and its recipe is compared instead.
    """
    own_fits = own_fits_if_changed(tables, features, champion)
    if own_fits is None:
        return champion
    try:
        with transformed_features(tables, run_spark, run_id, features, own_fits) as version:
            rows = arrow(version).to_pandas()
    except NothingFits as error:
        return ByOwnFit(champion, partial(_raise, error), [], answers=False)
    return ByOwnFit(champion, lambda: rows, matching_columns(features, version.schema["fields"]))
