"""What is known of constructs beyond the values that they happen to be compared on: what no standard fixes is never called equal."""

from __future__ import annotations

from collections.abc import Iterator

from caudal.engine.sail.results import EngineAgreement
from caudal.engine.sail.signature import DECIMALS, Construct

_ELEMENTARY = frozenset(
    [
        "acos",
        "acosh",
        "asin",
        "asinh",
        "atan",
        "atan2",
        "atanh",
        "cbrt",
        "cos",
        "cosh",
        "cot",
        "csc",
        "exp",
        "expm1",
        "hypot",
        "ln",
        "log",
        "log10",
        "log1p",
        "log2",
        "pow",
        "power",
        "sec",
        "sin",
        "sinh",
        "tan",
        "tanh",
    ]
)
_SPREADS = frozenset(
    [
        "stddev",
        "std",
        "stddev_pop",
        "stddev_samp",
        "var_pop",
        "var_samp",
        "variance",
        "skewness",
        "kurtosis",
        "corr",
        "covar_pop",
        "covar_samp",
    ]
)
_REGRESSIONS = frozenset(["regr_intercept", "regr_r2", "regr_slope", "regr_sxx", "regr_sxy", "regr_syy"])
_SUMS = frozenset(["sum", "avg", "mean", "try_sum", "try_avg"])
_DOUBLES_OF_NUMBERS = _ELEMENTARY | _SPREADS | {"degrees", "radians", "rint", "sqrt", "double", "float", "median", "percentile"}
_BY_ORDER = _SUMS | _SPREADS | _REGRESSIONS | {"regr_avgx", "regr_avgy", "product"}
"""Their last digits depend on the order in which doubles are added: they are compared on values for which they do not."""
_BY_ZONE = frozenset({"from_utc_timestamp", "to_utc_timestamp", "convert_timezone"})
_ESTIMATES = frozenset({"approx_count_distinct"})
_FLOATING = {"double", "float"}


def doubts_of(construct: Construct) -> Iterator[EngineAgreement]:
    """Return the verdicts that a construct has whatever values it was compared on, none for most."""
    name = construct.name.removesuffix(" over").removesuffix(" distinct")
    kinds, over = construct.arguments, construct.name.endswith(" over")
    if (
        name in _BY_ORDER and _FLOATING & {*kinds} and (not over or kinds[-1] == "whole")
    ):  # over an ordered frame, rows are added in its order
        yield EngineAgreement("order", reason="the last digits depend on the order in which rows are added")
    if name in _SUMS and over and kinds[0] == "float":
        yield EngineAgreement("digits", reason="sums of floats are kept with another precision")
    if any(kind in DECIMALS for kind in kinds) and (name in _DOUBLES_OF_NUMBERS or _FLOATING & {*kinds}):
        yield EngineAgreement(
            "digits", reason="Sail divides to make a double of a decimal; beyond 2^53 units its last digit may differ"
        )
    if name in _ELEMENTARY | _SPREADS | _REGRESSIONS:
        yield EngineAgreement("digits", reason="the last digit is that of the engine's library of functions")
    if name in _BY_ZONE and any(_is_region(kind) for kind in kinds):
        yield EngineAgreement("different", reason="for years to come, Sail's rules of the zone end sooner than Spark's")
    if any("struct" in kind for kind in kinds) and (name == "createDataFrame" or any(kind.startswith("-> ") for kind in kinds)):
        yield EngineAgreement("different", reason="where a struct is null, Sail shows the values that Arrow may hold below it")
    if name in _ESTIMATES:
        yield EngineAgreement("different", reason="an estimate, which each engine makes in its own way")


def _is_region(kind: str) -> bool:
    """Return whether an argument's class is the name of a zone whose clocks may change."""
    return kind.startswith("'") and "/" in kind and "Etc/" not in kind
