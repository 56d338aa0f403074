"""Alarms of Evidently with its defaults, in an environment of its own: ``python with_evidently.py ROWS.csv.gz REFERENCE TEXT_COLUMNS`` prints JSON.

For each window a report with ``DataDriftPreset``: ``dataset`` where it says that the dataset has drifted (half of the columns), ``column`` where any column has.
"""

from __future__ import annotations

import json
import sys
import warnings

import pandas as pd
from evidently import DataDefinition, Dataset, Report
from evidently.presets import DataDriftPreset

warnings.filterwarnings("ignore")


def main() -> None:
    file, reference, text = sys.argv[1], int(sys.argv[2]), sys.argv[3].split(",")
    rows = pd.read_csv(file, dtype=dict.fromkeys(text, str))
    columns = [name for name in rows if name != "window"]
    definition = DataDefinition(
        numerical_columns=[name for name in columns if name not in text],
        categorical_columns=[name for name in columns if name in text],
    )
    known = Dataset.from_pandas(rows.loc[rows["window"] < reference, columns], data_definition=definition)
    alerts = {"dataset": [], "column": []}
    for number in range(reference, int(rows["window"].max()) + 1):
        window = Dataset.from_pandas(rows.loc[rows["window"] == number, columns], data_definition=definition)
        result = json.loads(Report([DataDriftPreset()]).run(window, known).json())
        drifted = next(metric["value"] for metric in result["metrics"] if "count" in str(metric["value"]))
        alerts["dataset"].append(drifted["share"] >= 0.5)
        alerts["column"].append(drifted["count"] > 0)
    print(json.dumps(alerts))


main()
