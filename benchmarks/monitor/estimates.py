"""Errors expected before labels come, beside NannyML's CBPE and DLE: how far each lies from the error that came out, window by window.

Both programs get the same predictions of the same model, learn from the labels of the same reference windows, and see no later label. ``reference`` says of each window what the
error was in the reference: an estimate that is no nearer tells nothing. A window's own error is a matter of luck too, by its number of rows, so that no estimate reaches 0; ``shift``
compares means over all shifted windows, in which luck is small.
"""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor

from benchmarks.environment import python_with
from benchmarks.monitor.series import DATA, WINDOW
from caudal.stages.metrics.scores import scores
from caudal.stages.monitor.estimate import calibrated, expected_score, loss_model

HERE = Path(__file__).parent
CLASSES = ("no", "yes")
TRUTH = "truth"


@dataclass(frozen=True)
class Case:
    """A model's predictions by window.

    Parameters
    ----------
    rows : DataFrame, ``window`` from 0, the inputs, ``truth``, ``prediction`` and, for a classification, ``probability_no`` and ``probability_yes``
    reference : windows whose labels have come
    shifted : the first window with other inputs
    """

    name: str
    rows: pd.DataFrame
    inputs: tuple[str, ...]
    metrics: tuple[str, ...]
    reference: int
    shifted: int

    @property
    def is_classification(self) -> bool:
        """Whether classes are predicted."""
        return "accuracy" in self.metrics


def estimates(seeds: int) -> None:
    """Print for each case, metric and program the mean absolute difference between the estimated and the realised error."""
    for name, make in {"adult": adult, "taxi": taxi, "bikes": bikes}.items():
        cases = [make(seed) for seed in range(seeds if name != "bikes" else 1)]
        compared = [_compare(case) for case in cases]
        for metric in cases[0].metrics:
            parts = [tables[metric] for tables in compared]
            for program in ("own", "nannyml", "reference"):
                print(
                    json.dumps({"case": name, "metric": metric, "program": program, **_figures(parts, cases, program)}), flush=True
                )


def _figures(parts: Sequence[pd.DataFrame], cases: Sequence[Case], program: str) -> dict[str, float]:
    calm, shifted, moved, missed = [], [], [], []
    for part, case in zip(parts, cases, strict=True):
        away = (part[program] - part["realised"]).abs()
        after = part.index >= case.shifted
        calm += away[~after].tolist()
        shifted += away[after].tolist()
        moved.append(part["realised"][after].mean() - part["reference"][after].mean())
        missed.append((part[program][after] - part["realised"][after]).mean())
    return {
        "calm": round(float(np.mean(calm)), 4), "calm_windows": len(calm), "shifted": round(float(np.mean(shifted)), 4),
        "shifted_windows": len(shifted), "moved_by": round(float(np.mean(moved)), 4), "shift": round(float(np.mean(np.abs(missed))), 4),
    }  # fmt: skip


def _compare(case: Case) -> dict[str, pd.DataFrame]:
    """Return for each metric a table, one row per later window: the realised error, and what each program expected."""
    known, later = case.rows[case.rows[WINDOW] < case.reference], case.rows[case.rows[WINDOW] >= case.reference]
    windows = {int(number): rows for number, rows in later.groupby(WINDOW)}
    realised = pd.DataFrame.from_dict({number: _scores(case, rows) for number, rows in windows.items()}, orient="index")
    own = (
        {number: _own(case, known, rows) for number, rows in windows.items()}
        if case.is_classification
        else _own_losses(case, known, windows)
    )
    expected = pd.DataFrame.from_dict(own, orient="index")
    peer = _nannyml(case)
    before = _scores(case, known)
    return {
        metric: pd.DataFrame(
            {"realised": realised[metric], "own": expected[metric], "nannyml": peer[metric], "reference": before[metric]}
        )
        for metric in case.metrics
    }


def _scores(case: Case, rows: pd.DataFrame) -> dict[str, float]:
    task = "classification" if case.is_classification else "regression"
    found = scores(task, rows[TRUTH], rows, CLASSES if case.is_classification else ())
    return {metric: float(found[metric]) for metric in case.metrics}  # type: ignore[arg-type]


def _own(case: Case, known: pd.DataFrame, rows: pd.DataFrame) -> dict[str, float | None]:
    share = calibrated(known, TRUTH, CLASSES, rows)
    return {metric: expected_score(metric, share, rows, CLASSES) for metric in case.metrics}


def _own_losses(case: Case, known: pd.DataFrame, windows: Mapping[int, pd.DataFrame]) -> dict[int, dict[str, float]]:
    found: dict[int, dict[str, float]] = {number: {} for number in windows}
    for metric in case.metrics:
        losses = loss_model(known, TRUTH, case.inputs, metric)
        assert losses is not None
        for number, rows in windows.items():
            found[number][metric] = losses.expected(rows)
    return found


def _nannyml(case: Case) -> pd.DataFrame:
    """Return what NannyML expects of each later window, one column per metric."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "rows.csv.gz")
        rows = case.rows
        if case.is_classification:
            codes = {name: place for place, name in enumerate(CLASSES)}
            rows = rows.assign(prediction=rows["prediction"].map(codes), **{TRUTH: rows[TRUTH].map(codes)})
        rows.to_csv(file, index=False)
        done = subprocess.run(
            [
                str(python_with(HERE / "nannyml.txt")), str(HERE / "estimate_with_nannyml.py"), str(file), str(case.reference),
                ",".join(case.metrics), ",".join(case.inputs),
            ],
            capture_output=True, text=True, check=True, cwd=folder, env=os.environ | {"NML_DISABLE_USAGE_LOGGING": "1"},
        )  # fmt: skip
    found = pd.DataFrame(json.loads(done.stdout.splitlines()[-1]))
    return found.set_index(np.arange(case.reference, case.reference + len(found)))


def adult(seed: int) -> Case:
    """Return a classifier of incomes, 400 people a window; in the shifted ones, people of 40 and older come four times as often."""
    random = np.random.default_rng(seed)
    rows = pd.read_csv(DATA / "adult" / "adult.csv").sample(frac=1, random_state=seed, ignore_index=True)
    label = rows.columns[-1]
    inputs = [name for name in rows.columns if name not in (label, "fnlwgt")]
    coded = rows[inputs].apply(
        lambda column: column if pd.api.types.is_numeric_dtype(column) else column.astype("category").cat.codes
    )
    coded[TRUTH] = np.where(rows[label].str.contains(">50K"), "yes", "no")
    model = HistGradientBoostingClassifier(random_state=seed).fit(coded[inputs][:8000], coded[TRUTH][:8000])
    rest = coded[8000:].reset_index(drop=True)
    known, pool = rest[:8000], rest[8000:]
    calm = pool[:4000]
    weights = np.where(pool["age"][4000:] >= 40, 4.0, 1.0)
    shifted = pool[4000:].iloc[random.choice(len(weights), 8000, replace=False, p=weights / weights.sum())]
    together = pd.concat([known, calm, shifted], ignore_index=True)
    share = model.predict_proba(together[inputs])
    together = together.assign(
        **{WINDOW: np.arange(len(together)) // 400}, prediction=model.predict(together[inputs]),
        probability_no=share[:, 0], probability_yes=share[:, 1],
    )  # fmt: skip
    return Case("adult", together, tuple(inputs), ("accuracy", "f1", "roc_auc"), 20, 30)


def taxi(seed: int) -> Case:
    """Return a model of the minutes of a trip, windows of four hours in a drawn order; in the shifted ones, two of three trips below two miles are left out."""
    random = np.random.default_rng(seed)
    rows = pd.read_parquet(DATA / "green_taxi" / "green_tripdata_2023-01.parquet")
    at = rows["lpep_pickup_datetime"]
    minutes = (rows["lpep_dropoff_datetime"] - at).dt.total_seconds() / 60
    inputs = ["trip_distance", "passenger_count", "PULocationID", "DOLocationID", "hour", "weekday"]
    rows = rows.assign(
        hour=at.dt.hour,
        weekday=at.dt.weekday,
        **{TRUTH: minutes, WINDOW: (at - pd.Timestamp("2023-01-01")).dt.total_seconds() // 14_400},
    )
    rows = rows[(at >= "2023-01-01") & (at < "2023-02-01") & minutes.between(0.5, 180) & rows["trip_distance"].between(0.01, 100)]
    places = {window: place for place, window in enumerate(random.permutation(rows[WINDOW].unique()))}
    rows = rows[[*inputs, TRUTH, WINDOW]].assign(**{WINDOW: rows[WINDOW].map(places)})
    learned, rows = rows[rows[WINDOW] < 60], rows[rows[WINDOW] >= 60].assign(**{WINDOW: lambda frame: frame[WINDOW] - 60})
    model = HistGradientBoostingRegressor(random_state=seed).fit(learned[inputs], learned[TRUTH])
    left_out = (rows[WINDOW] >= 80) & (rows["trip_distance"] < 2) & (random.uniform(size=len(rows)) < 2 / 3)
    rows = rows[~left_out].sort_values(WINDOW, kind="stable", ignore_index=True)
    return Case("taxi", rows.assign(prediction=model.predict(rows[inputs])), tuple(inputs), ("mae", "rmse"), 60, 80)


def bikes(seed: int) -> Case:
    """Return a model of hires an hour, windows of a week in their own order; from the second year on hires grow, which no input tells: nothing is put in."""
    rows = pd.read_csv(DATA / "bike_sharing" / "hour_until_2012-06-04.csv")
    inputs = ["season", "hr", "workingday", "weathersit", "temp", "hum", "windspeed"]
    rows = rows.assign(**{TRUTH: rows["cnt"].astype(float), WINDOW: pd.factorize(rows["dteday"])[0] // 7})[[*inputs, TRUTH, WINDOW]]
    learned, rows = rows[rows[WINDOW] < 26], rows[rows[WINDOW] >= 26].assign(**{WINDOW: lambda frame: frame[WINDOW] - 26})
    model = HistGradientBoostingRegressor(random_state=seed).fit(learned[inputs], learned[TRUTH])
    rows = rows.reset_index(drop=True)
    return Case("bikes", rows.assign(prediction=model.predict(rows[inputs])), tuple(inputs), ("mae", "rmse"), 20, 26)
