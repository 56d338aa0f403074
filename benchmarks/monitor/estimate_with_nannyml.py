"""Errors that NannyML expects with its defaults, in an environment of its own: ``python estimate_with_nannyml.py ROWS.csv.gz REFERENCE METRICS INPUTS`` prints JSON.

CBPE for a classification of two classes, DLE for a regression; a chunk is a window, and the labels of the reference's windows are known.
"""

from __future__ import annotations

import json
import sys
import warnings

import nannyml
import pandas as pd

warnings.filterwarnings("ignore")


def main() -> None:
    file, reference, metrics, inputs = sys.argv[1], int(sys.argv[2]), sys.argv[3].split(","), sys.argv[4].split(",")
    rows = pd.read_csv(file)
    rows["at"] = pd.Timestamp("2020-01-01") + pd.to_timedelta(rows["window"], unit="D")
    common = {
        "metrics": metrics, "y_pred": "prediction", "y_true": "truth", "timestamp_column_name": "at", "chunk_period": "D",
    }  # fmt: skip
    if "probability_yes" in rows:
        estimator = nannyml.CBPE(y_pred_proba="probability_yes", problem_type="classification_binary", **common)
    else:
        estimator = nannyml.DLE(feature_column_names=inputs, **common)
    estimator.fit(rows[rows["window"] < reference])
    later = rows[rows["window"] >= reference].drop(columns="truth")
    results = estimator.estimate(later).filter(period="analysis").to_df()
    print(json.dumps({metric: results[(metric, "value")].tolist() for metric in metrics}))


main()
