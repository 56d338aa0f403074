"""Alarms of NannyML with its defaults, in an environment of its own: ``python with_nannyml.py ROWS.csv.gz REFERENCE TEXT_COLUMNS`` prints JSON.

``UnivariateDriftCalculator`` as it is made without options, a chunk a window; ``column`` where any column has an alert.
"""

from __future__ import annotations

import json
import sys
import warnings

import nannyml
import pandas as pd

warnings.filterwarnings("ignore")


def main() -> None:
    file, reference, text = sys.argv[1], int(sys.argv[2]), sys.argv[3].split(",")
    rows = pd.read_csv(file, dtype=dict.fromkeys(text, str))
    columns = [name for name in rows if name != "window"]
    rows["at"] = pd.Timestamp("2020-01-01") + pd.to_timedelta(rows["window"], unit="D")
    calculator = nannyml.UnivariateDriftCalculator(
        column_names=columns,
        treat_as_categorical=[name for name in columns if name in text],
        timestamp_column_name="at",
        chunk_period="D",
    )
    calculator.fit(rows[rows["window"] < reference])
    results = calculator.calculate(rows[rows["window"] >= reference]).filter(period="analysis").to_df()
    alerts = results[[name for name in results.columns if name[-1] == "alert"]].fillna(False).astype(bool).any(axis=1)
    print(json.dumps({"column": alerts.tolist()}))


main()
