"""The tables by pandas, for the projects that have no SQL. It is copied into the folders of these projects.

The rules are those that the sample product of caudal declares.
"""

from __future__ import annotations

import logging

import pandas as pd

log = logging.getLogger(__name__)


class BrokenRule(Exception):
    """Too many rows break a rule for the table to be made."""


def cleaned(counts_raw: pd.DataFrame) -> pd.DataFrame:
    """Return one row per count; of a count that was sent twice, the first. Rules that rows break are logged."""
    missing = counts_raw["visitors"].isna()
    out_of_range = ~missing & ~counts_raw["visitors"].between(0, 1000).fillna(True).astype(bool)
    repeated = counts_raw.duplicated(["shop", "counted_at"])
    too_cold_or_hot = counts_raw["celsius"].notna() & ~counts_raw["celsius"].between(-40, 50)
    if counts_raw[["shop", "counted_at"]].isna().any(axis=None):
        raise BrokenRule("a count has no shop or no time")
    if out_of_range.mean() > 0.05:
        raise BrokenRule(f"{out_of_range.sum()} of {len(counts_raw)} rows have visitors out of range")
    for rule, broken in {
        "not null": missing, "0 to 1000": out_of_range, "sent once": repeated, "-40 to 50 °C": too_cold_or_hot
    }.items():  # fmt: skip
        if broken.any():
            log.warning("%d rows break the rule '%s'", broken.sum(), rule)
    return counts_raw[~(missing | out_of_range | repeated)].astype({"visitors": "int64"})


def by_hour(counts: pd.DataFrame) -> pd.DataFrame:
    """Return visitors and mean temperature per shop and hour."""
    hours = counts.assign(window_start=counts["counted_at"].dt.floor("h"))
    summed = hours.groupby(["shop", "window_start"], as_index=False).agg(visitors=("visitors", "sum"), celsius=("celsius", "mean"))
    return summed.assign(window_end=summed["window_start"] + pd.Timedelta(hours=1))


def features(visitors_hour: pd.DataFrame) -> pd.DataFrame:
    """Return what is known when an hour begins. A lag counts hours, not rows: where an hour is missing, it is null."""
    found = visitors_hour[["shop", "window_start", "visitors"]]
    for column, hours in (("visitors", 1), ("visitors", 2), ("visitors", 24), ("celsius", 1)):
        earlier = visitors_hour[["shop", "window_start"]].assign(
            window_start=visitors_hour["window_start"] + pd.Timedelta(hours=hours),
            **{f"{column}_lag_{hours}": visitors_hour[column].astype("float64")},
        )
        found = found.merge(earlier, on=["shop", "window_start"], how="left")
    return found.assign(hour=found["window_start"].dt.hour, weekday=found["window_start"].dt.weekday)
