"""What was good of a subject, minute by minute, version by version or row by row."""

from __future__ import annotations

import numpy as np

from caudal.declarations.service_levels import WorkingHours
from caudal.service_levels.budget import ServiceSeries
from caudal.service_levels.counted import MINUTE_S, Floats, counted_age_s, counted_minutes
from caudal.service_levels.history import Minutes, Versions

USUAL_VERSIONS = 30  # the versions before, whose median number of rows is usual
ENOUGH_VERSIONS = 5  # with fewer before it a version is not judged
_AGE_ROUNDING_S = 1e-6


def fresh_minutes(
    published: Floats, fresh_s: float, over_s: float, now: float, hours: WorkingHours | None = None, tz: str = "UTC"
) -> ServiceSeries:
    """Return the minutes in which the newest version was no older than ``fresh_s``, of those since the first version.

    A minute is judged at its beginning. With working hours only their minutes count, and age is counted in them too.

    Parameters
    ----------
    published : when each version was published, in order
    """
    minute, expected = _window(over_s, now, hours, tz)
    published = published[published <= now]
    if not len(published):
        return _series(minute[:0], minute[:0], expected)
    minute = minute[minute >= published[0]]
    newest = published[np.searchsorted(published, minute, side="right") - 1]
    age_s = counted_age_s(minute, newest, hours, tz)
    return _series(minute, (age_s <= fresh_s + _AGE_ROUNDING_S).astype(np.float64), expected)


def fast_minutes(
    measured: Minutes, p95_s: float, over_s: float, now: float, hours: WorkingHours | None = None, tz: str = "UTC"
) -> ServiceSeries:
    """Return the minutes whose 95th percentile was at most ``p95_s``, of those with requests; of several processes the slowest counts."""
    counted, _ = _window(over_s, now, hours, tz)
    at, inverse = np.unique(measured.at, return_inverse=True)
    slowest = np.zeros(len(at))
    np.maximum.at(slowest, inverse, measured.value)
    counts = np.isin(at, counted)
    return ServiceSeries(at[counts], (slowest[counts] <= p95_s).astype(np.float64), np.ones(int(counts.sum())), "minutes")


def available_minutes(
    measured: Minutes, first: float | None, over_s: float, now: float, hours: WorkingHours | None = None, tz: str = "UTC"
) -> ServiceSeries:
    """Return how much of each minute was available, since the first: the share of its requests without an error of the server.

    A minute without requests was available if a server says that it was there, else not. The last minute is left out, since a server
    writes its figures when it is over.

    Parameters
    ----------
    first : the beginning of the first minute ever measured
    """
    minute, expected = _window(over_s, now, hours, tz)
    if first is None:
        return _series(minute[:0], minute[:0], expected)
    minute = minute[(minute >= first) & (minute < now // MINUTE_S * MINUTE_S - MINUTE_S)]
    at, inverse = np.unique(measured.at, return_inverse=True)
    requests, answered, mean = np.zeros(len(at)), np.zeros(len(at)), np.zeros(len(at))
    np.add.at(requests, inverse, measured.count)
    np.add.at(answered, inverse, measured.count * measured.value)
    np.maximum.at(mean, inverse, measured.value)
    share = np.divide(answered, requests, out=mean, where=requests > 0)
    good = np.zeros(len(minute))
    present = np.isin(minute, at)
    good[present] = share[np.searchsorted(at, minute[present])]
    return _series(minute, good, expected)


def complete_versions(versions: Versions, complete: float) -> ServiceSeries:
    """Return the versions that have at least the share ``complete`` of the usual number of rows, the median of those before."""
    judged = range(ENOUGH_VERSIONS, len(versions.at))
    usual = np.array([np.median(versions.written[max(0, place - USUAL_VERSIONS) : place]) for place in judged])
    written = versions.written[ENOUGH_VERSIONS:]
    return ServiceSeries(
        versions.at[ENOUGH_VERSIONS:], (written >= complete * usual).astype(np.float64), np.ones(len(written)), "versions"
    )


def valid_rows(versions: Versions) -> ServiceSeries:
    """Return the rows of each version that were not set aside."""
    return ServiceSeries(versions.at, versions.judged - versions.aside, versions.judged, "rows")


def valid_samples(measured: Minutes) -> ServiceSeries:
    """Return the samples of each minute that could be used, of a stream."""
    return ServiceSeries(measured.at, measured.count * measured.value, measured.count, "samples")


def _window(over_s: float, now: float, hours: WorkingHours | None, tz: str) -> tuple[Floats, float]:
    """Return the minutes that count within the window that ends now, and their number."""
    first, end = int(-(-(now - over_s) // MINUTE_S)), int(-(-now // MINUTE_S))
    counts = counted_minutes(first, end - first, hours, tz)
    return (first + np.flatnonzero(counts)).astype(np.float64) * MINUTE_S, float(counts.sum())


def _series(minute: Floats, good: Floats, expected: float) -> ServiceSeries:
    return ServiceSeries(minute, good, np.ones(len(minute)), "minutes", expected)
