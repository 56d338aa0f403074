"""Alarms of NannyML, in an environment of its own: ``python with_nannyml.py REFERENCE TEXT_COLUMNS ROWS.csv.gz …`` prints a line of JSON for each file.

A chunk is a window; an alarm is an alert for any column. ``UnivariateDriftCalculator`` as it is made without options (Jensen-Shannon distance, beyond the mean of the
reference's chunks by three deviations); with the threshold that its documentation calls the default (0.1); with the other methods that the documentation suggests
(Wasserstein distance; the greatest difference of a category's share); and its calculators of missing values, of unseen values and of averages.
"""

from __future__ import annotations

import json
import sys
import warnings
from typing import Any

import nannyml
import pandas as pd

warnings.filterwarnings("ignore")


def alarms(file: str, reference: int, text: list[str]) -> dict[str, list[bool]]:
    rows = pd.read_csv(file, dtype=dict.fromkeys(text, str), keep_default_na=False, na_values=[""])
    columns = [name for name in rows if name != "window"]
    rows["at"] = pd.Timestamp("2020-01-01") + pd.to_timedelta(rows["window"], unit="D")
    chunks = {"timestamp_column_name": "at", "chunk_period": "D"}

    def alerts(kind: Any, names: list[str], **options: Any) -> pd.Series:
        calculator = kind(column_names=names, **chunks, **options)
        calculator.fit(rows[rows["window"] < reference])
        results = calculator.calculate(rows[rows["window"] >= reference]).filter(period="analysis").to_df()
        of_columns = results[[name for name in results.columns if name[-1] == "alert"]]
        return of_columns.fillna(False).astype(bool).any(axis=1)

    drift, categories = nannyml.UnivariateDriftCalculator, {"treat_as_categorical": text}
    defaults = alerts(drift, columns, **categories)
    missing = alerts(nannyml.MissingValuesCalculator, columns)
    averages = alerts(nannyml.SummaryStatsAvgCalculator, [name for name in columns if name not in text])
    rules = {
        "defaults": defaults,
        "threshold 0.1": alerts(
            drift, columns, **categories, thresholds={"jensen_shannon": nannyml.thresholds.ConstantThreshold(upper=0.1)}
        ),
        "Wasserstein and L-infinity": alerts(
            drift, columns, **categories, continuous_methods=["wasserstein"], categorical_methods=["l_infinity"]
        ),
        "defaults or missing values": defaults | missing,
        "defaults, missing or unseen values": defaults | missing | alerts(nannyml.UnseenValuesCalculator, text),
        "defaults, missing values or averages": defaults | missing | averages,
    }
    return {name: values.tolist() for name, values in rules.items()}


for path in sys.argv[3:]:
    print(json.dumps(alarms(path, int(sys.argv[1]), sys.argv[2].split(","))), flush=True)
