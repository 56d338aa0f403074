"""Near-duplicate rows are found, lie in one fold, and no longer flatter the estimate."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings, strategies as st
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline

import caudal as cd
from caudal.declarations.model import Model, hashed
from caudal.declarations.node import Features
from caudal.stages.train import duplicates as of_duplicates, train, training
from caudal.stages.train.duplicates import Duplicates, find_duplicates
from caudal.stages.train.rows import LabelledRows
from caudal.stages.train.split import hashed_folds

PHOTOS = Features("photos", (), entity=("photo",), as_of="", labels=("kind",), keep=("source",))


def rows_of(frame: pd.DataFrame, label: Any) -> LabelledRows:
    inputs: Any = tuple(
        {"name": name, "type": "string" if frame[name].dtype == object else "double", "nullable": False} for name in frame
    )
    label = pd.Series(label)
    classes = tuple(sorted(label.unique())) if label.dtype == object else None
    return LabelledRows(frame, label, pd.Series(pd.NaT, index=frame.index), inputs, classes, 0, 0)


def vectors(count: int, seed: int = 0) -> pd.DataFrame:
    return pd.DataFrame(np.random.default_rng(seed).normal(size=(count, 12)), columns=[f"pc_{at}" for at in range(12)])


def test_equal_rows_are_duplicates_where_chance_would_not_make_them() -> None:
    rng = np.random.default_rng(1)
    frame = pd.DataFrame({"km": rng.random(100), "fare": rng.random(100), "zone": rng.choice(["A", "B"], 100)})
    frame.iloc[[7, 20, 21]] = frame.iloc[[3, 3, 22]].to_numpy()
    found = find_duplicates(rows_of(frame.astype({"km": float, "fare": float}), rng.random(100)))
    assert (found.rows, found.groups) == (5, 2)
    assert found.group[3] == found.group[7] == found.group[20] != found.group[21] == found.group[22]
    assert found.sentence == "5 rows are near-duplicates of others (2 groups) and stay in one fold with them."
    coarse = find_duplicates(
        rows_of(pd.DataFrame({"zone": rng.choice(["A", "B"], 100), "day": rng.choice(list("MTW"), 100)}), rng.random(100))
    )
    assert (coarse.rows, coarse.sentence) == (0, None)


def test_near_vectors_are_found_by_the_distance_between_labels() -> None:
    frame = vectors(200)
    frame.iloc[100:110] = frame.iloc[:10].to_numpy() * 3 + np.random.default_rng(2).normal(
        0, 0.02, (10, 12)
    )  # brighter, and a little different
    label = pd.Series(np.where(np.arange(200) % 2, "pear", "apple"), dtype=object)
    found = find_duplicates(rows_of(frame, label))
    assert 20 <= found.rows <= 26  # and a few that are near by chance, one in a hundred
    assert (found.group[:10] == found.group[100:110]).all()
    assert found.distance is not None
    number = find_duplicates(rows_of(frame, np.arange(200) % 2 * 10.0))
    assert number.group.tolist() == found.group.tolist()


def test_a_label_that_is_far_from_all_others_is_not_one_group() -> None:
    """Apples against another background than pears: all apples are nearer to one another than to any pear."""
    frame = vectors(80)
    frame.iloc[40:] = 100 + vectors(40, 1).to_numpy()
    frame.iloc[:40] = -100 + vectors(40, 2).to_numpy()
    label = pd.Series(["apple"] * 40 + ["pear"] * 40, dtype=object)
    found = find_duplicates(rows_of(frame, label))
    assert pd.Series(found.group).groupby(label).nunique().min() >= 2


def test_many_rows_are_compared_by_hash_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(of_duplicates, "MAX_COMPARED", 150)
    frame = vectors(200)
    frame.loc[5] = frame.loc[4]
    found = find_duplicates(rows_of(frame, pd.Series(["a", "b"] * 100, dtype=object)))
    assert (found.rows, found.distance) == (2, None)
    assert found.sentence is not None
    assert found.sentence.endswith("Of 200 rows only those with equal inputs are looked for, since vectors are compared up to 150.")


@settings(max_examples=30, deadline=None)
@given(st.lists(st.integers(0, 15), min_size=40, max_size=60), st.permutations(range(40)))
def test_groups_and_keys_stay_in_one_fold_whatever_the_order(groups: list[int], order: list[int]) -> None:
    frame = pd.DataFrame({"photo": [f"p{at}" for at in range(40)], "shelf": [f"s{at // 3}" for at in range(40)]})
    together = np.array(groups[:40])
    split = hashed(0.5, folds=2, by="shelf")

    def tested(rows: pd.DataFrame, of: np.ndarray) -> list[set[str]]:
        return [
            set(rows["photo"].iloc[fold.test]) for fold in hashed_folds(rows, split, ["photo"], pd.Series([pd.NaT] * 40), "m", of)
        ]

    try:
        folds = tested(frame, together)
    except cd.CaudalError:  # all rows hang together
        return
    assert sorted(folds[0] | folds[1]) == sorted(frame["photo"])
    for column in (together, frame["shelf"].to_numpy()):
        for value in set(column):
            members = set(frame["photo"][column == value])
            assert any(members <= fold for fold in folds)
    assert tested(frame.iloc[order].reset_index(drop=True), together[order]) == folds


@pytest.mark.slow
def test_planted_copies_of_photographs_no_longer_flatter(shared_data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Six photographs of each of ten kinds, each with a light crop and a brighter copy; what is true is told by folds that keep copies together by name."""
    folder = shared_data / "fruits" / "grocery"
    if not folder.exists():
        pytest.skip(f"no {folder}")
    from PIL import Image, ImageEnhance

    from caudal.stages.images.network import inference_session, load_model

    network = load_model(cd.network("efficientnet-lite0"))
    run = inference_session(network.content)
    name = run.get_inputs()[0].name
    photos, embedded = [], []
    for kind in sorted(folder.iterdir())[:10]:
        for file in sorted(kind.glob("*.jpg"))[:12:2]:
            with Image.open(file) as opened:
                image = opened.convert("RGB")
            width, height = image.size
            crop = image.crop((int(0.04 * width), int(0.03 * height), int(0.97 * width), int(0.98 * height)))
            for copy, made in (("", image), ("crop", crop), ("bright", ImageEnhance.Brightness(image).enhance(1.12))):
                pixels = np.asarray(made.resize((224, 224), Image.Resampling.BICUBIC))[None]
                embedded.append(run.run(None, {name: network.prepare(pixels)})[0].reshape(-1))
                photos.append({"photo": f"{file.stem} {copy}", "source": file.stem, "kind": kind.name})
    components = PCA(32, random_state=0).fit_transform(np.array(embedded, "float64"))
    frame = pd.concat([pd.DataFrame(photos), pd.DataFrame(components, columns=[f"pc_{at}" for at in range(32)])], axis=1)
    candidates = {
        "nearest": make_pipeline(KNeighborsClassifier(5, weights="distance", metric="cosine")),
        "logistic": make_pipeline(LogisticRegression(C=0.1, max_iter=1000)),
    }

    def estimates(by: str | None = None) -> dict[str, float]:
        model = Model("kind", "photos", "kind", 0.0, candidates, hashed(0.25, folds=4, by=by), "accuracy", task="classification")
        trained.append(train(model, PHOTOS, frame))
        return {result.name: result.score for result in trained[-1].results if not result.baseline and result.score is not None}

    trained: list[Any] = []
    kept_together = estimates()
    with monkeypatch.context() as patch:
        patch.setattr(training, "find_duplicates", lambda rows: Duplicates(np.arange(len(rows)), 0, 0))
        flattered, true = estimates(), estimates(by="source")
    assert "rows are near-duplicates of others" in trained[0].rule
    for candidate in candidates:
        assert flattered[candidate] > 0.95
        assert true[candidate] < flattered[candidate] - 0.05
        assert kept_together[candidate] < true[candidate] + 0.03, (kept_together, true, flattered)


def test_too_few_groups_for_the_folds_are_told_and_training_goes_on() -> None:
    """Ten shots each of four photographs: of five folds one at least has no whole group."""
    shots = pd.concat([vectors(4) + np.random.default_rng(shot).normal(0, 0.001, (4, 12)) for shot in range(10)], ignore_index=True)
    frame = shots.assign(photo=[f"photo {at}" for at in range(40)], source="shop", kind=["apple", "apple", "pear", "pear"] * 10)
    model = Model(
        "kind", "photos", "kind", 0.0, {"nearest": KNeighborsClassifier(1)}, hashed(0.2, folds=5), "accuracy", task="classification"
    )
    trained = train(model, PHOTOS, frame)
    assert "40 rows are near-duplicates of others" in trained.rule
    assert "since there are too few groups for the folds: the scores may be too good" in trained.rule
    assert trained.metrics["accuracy"] == 1.0
