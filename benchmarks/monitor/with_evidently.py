"""Alarms of Evidently, in an environment of its own: ``python with_evidently.py REFERENCE TEXT_COLUMNS ROWS.csv.gz …`` prints a line of JSON for each file.

Each window is compared with all rows of the reference. Methods: the defaults (for a reference of more than 1,000 rows the Wasserstein and Jensen-Shannon distances, beyond 0.1);
those that its documentation gives for a smaller one (Kolmogorov-Smirnov and chi-square tests, p below 0.05); and PSI, beyond 0.1. An alarm: any column has drifted, or half of the
columns have, which is when Evidently says that the dataset has.

Its tests are called as its report calls them. The report prepares drawings too, in which most of its time goes; it is asked for the first window and the last of each file, and
must count the same columns.
"""

from __future__ import annotations

import json
import sys
import warnings

import pandas as pd
from evidently import DataDefinition, Dataset, Report
from evidently.legacy.calculations.stattests import get_stattest
from evidently.legacy.core import ColumnType
from evidently.metrics import DriftedColumnsCount, MissingValueCount
from evidently.tests import Reference, eq

warnings.filterwarnings("ignore")
METHODS = {
    "defaults": {},
    "tests of small data": {"num_method": "ks", "cat_method": "chisquare"},
    "PSI": {"num_method": "psi", "cat_method": "psi"},
}
MISSING = 0.1  # its default test: the share of missing values is that of the reference, give or take a tenth of it


def alarms(file: str, reference: int, text: list[str]) -> dict[str, list[bool]]:
    rows = pd.read_csv(file, dtype=dict.fromkeys(text, str), keep_default_na=False, na_values=[""])
    columns = [name for name in rows if name != "window"]
    known = rows.loc[rows["window"] < reference, columns]
    valued = {column: known[column].dropna() for column in columns}
    last = int(rows["window"].max())
    alerts: dict[str, list[bool]] = {}
    for number in range(reference, last + 1):
        window = rows.loc[rows["window"] == number, columns]
        counts = {
            name: sum(drifted(valued[column], window[column].dropna(), column in text, options) for column in columns)
            for name, options in METHODS.items()
        }
        lost = sum(
            bool(abs(window[column].isna().mean() - known[column].isna().mean()) > MISSING * known[column].isna().mean())
            for column in columns
        )
        if number in (reference, last):
            of_report = reported(known, window, text)
            if of_report != [*counts.values(), lost]:
                raise SystemExit(f"{file}, window {number}: the report counts {of_report} columns, not {[*counts.values(), lost]}.")
        for name, count in counts.items():
            alerts.setdefault(f"{name}, any column", []).append(count > 0)
            alerts.setdefault(f"{name}, half of the columns", []).append(count >= len(columns) / 2)
        alerts.setdefault("defaults, half of the columns or missing values", []).append(
            counts["defaults"] >= len(columns) / 2 or lost > 0
        )
    return alerts


def drifted(known: pd.Series, window: pd.Series, is_text: bool, options: dict[str, str]) -> bool:
    kind = ColumnType.Categorical if is_text else ColumnType.Numerical
    test = get_stattest(known, window, kind, options.get("cat_method" if is_text else "num_method"))
    return bool(test(known, window, kind, None).drifted)


def reported(known: pd.DataFrame, window: pd.DataFrame, text: list[str]) -> list[int]:
    numbers = [name for name in known if name not in text]
    definition = DataDefinition(numerical_columns=numbers, categorical_columns=text)
    first, second = (Dataset.from_pandas(part, data_definition=definition) for part in (known, window))
    counts = [DriftedColumnsCount(**options) for options in METHODS.values()]
    missing = [MissingValueCount(column=name, tests=[], share_tests=[eq(Reference(relative=MISSING))]) for name in known]
    result = json.loads(Report([*counts, *missing]).run(second, first).json())
    failed = sum(test["status"] == "FAIL" for test in result["tests"] if "missing" in json.dumps(test).lower())
    return [*(int(metric["value"]["count"]) for metric in result["metrics"][: len(counts)]), failed]


for path in sys.argv[3:]:
    print(json.dumps(alarms(path, int(sys.argv[1]), sys.argv[2].split(","))), flush=True)
