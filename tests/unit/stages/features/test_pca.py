"""PCA against scikit-learn's full decomposition, on parts of any size; kept, and fitted again by rule."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings, strategies as st
from sklearn.decomposition import PCA

from caudal.declarations.build_context import build_context
from caudal.errors import DeclarationProblem, StepFailed
from caudal.stages.features.pca import PrincipalComponents, _merge_moments, _moments_of_partition, fit, pca

ROWS, WIDTH = 600, 48


@pytest.fixture(scope="module")
def values() -> np.ndarray:
    rng = np.random.default_rng(0)
    # Features of a network: none negative, on one another's heels, far from zero.
    return (np.maximum(rng.normal(size=(ROWS, 12)) @ rng.normal(size=(12, WIDTH)), 0) + rng.random((ROWS, WIDTH))).astype(
        np.float32
    )


def as_frame(spark, values: np.ndarray):
    rows = [(str(i), row.tolist()) for i, row in enumerate(values)]
    return spark.createDataFrame(rows, "id string, embedding array<float>").repartition(5)


@pytest.fixture(scope="module")
def frame(spark, values):
    return as_frame(spark, values).cache()


@given(st.lists(st.integers(1, 70), min_size=1, max_size=6), st.integers(0, 99))
@settings(max_examples=30)
def test_parts_of_any_size_join_to_the_whole(sizes: list[int], seed: int) -> None:
    whole = np.random.default_rng(seed).normal(1000, 1, size=(sum(sizes), 5))
    parts = []
    for some in np.split(whole, np.cumsum(sizes)[:-1]):
        column = pa.array(some.tolist(), pa.list_(pa.float64()))
        (batch,) = _moments_of_partition([pa.RecordBatch.from_arrays([column], ["x"])])
        row = batch.to_pylist()[0]
        parts.append((row["rows"], np.frombuffer(row["mean"]), np.frombuffer(row["scatter"])))
    rows, mean, scatter = _merge_moments(parts)
    off = whole - whole.mean(axis=0)
    assert rows == len(whole)
    assert mean == pytest.approx(whole.mean(axis=0))
    assert scatter.reshape(5, 5) == pytest.approx(off.T @ off, abs=1e-8 * len(whole))


@pytest.mark.slow
def test_it_is_what_the_full_decomposition_gives(frame, values: np.ndarray) -> None:
    theirs = PCA(8, svd_solver="full").fit(values.astype(np.float64))
    mine = fit(frame, "embedding", components=8)
    assert mine.components == pytest.approx(theirs.components_, abs=1e-6)  # the signs too
    assert mine.variance == pytest.approx(theirs.explained_variance_, rel=1e-6)
    assert mine.ratio == pytest.approx(list(theirs.explained_variance_ratio_), rel=1e-6)
    rows = pca(frame, "embedding", components=8).collect()
    wanted = theirs.transform(values.astype(np.float64))
    found = np.array([[row[f"pc_{i + 1}"] for i in range(8)] for row in sorted(rows, key=lambda row: int(row["id"]))])
    assert found == pytest.approx(wanted, abs=1e-6)


def test_as_many_components_as_explain_enough(frame, values: np.ndarray) -> None:
    theirs = PCA(0.9, svd_solver="full").fit(values.astype(np.float64))
    assert len(fit(frame, "embedding", variance=0.9).components) == theirs.n_components_


def test_it_is_kept_until_enough_is_new(spark, frame, values: np.ndarray) -> None:
    with build_context() as first:
        pca(frame, "embedding", components=4)
    more = as_frame(spark, np.concatenate([values, values[:30]]))
    with build_context(first.kept) as second:
        pca(more, "embedding", components=4)
    assert second.kept == first.kept
    with build_context(first.kept) as third:
        pca(more, "embedding", components=4, refit="when 2% new")
    assert PrincipalComponents.load(third.kept["pca:embedding"]).rows == ROWS + 30


def test_features_of_two_networks_are_not_mixed(frame) -> None:
    from pyspark.sql import functions as F

    mixed = frame.withColumn("network", F.when(F.col("id") < "3", "a/224").otherwise("a/192"))
    with pytest.raises(StepFailed, match=r"2 networks or sizes: a/192, a/224"):
        pca(mixed, "embedding", components=2)


@pytest.mark.parametrize(
    "asked",
    [{}, {"components": 2, "variance": 0.9}, {"components": 0}, {"variance": 1.5}, {"components": 2, "refit": "now and then"}],
)
def test_what_cannot_be_asked_is_told(frame, asked: dict) -> None:
    with pytest.raises(DeclarationProblem):
        pca(frame, "embedding", **asked)


def test_more_components_than_numbers_are_refused(frame) -> None:
    with pytest.raises(StepFailed, match="49 components to 600 rows with 48 numbers"):
        fit(frame, "embedding", components=49)
