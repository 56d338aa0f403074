"""Which functions over windows are compared, over which frames and with which keys; lines are as in `caudal.engine.sail.functions`."""

from __future__ import annotations

from collections.abc import Iterator

from caudal.engine.sail.cases import Case
from caudal.engine.sail.functions import ATOMS, call_of, signatures
from caudal.engine.sail.signature import Construct
from caudal.engine.sail.values import TYPES

FRAMES = {
    "whole": "",
    "running": "ORDER BY o",
    "rows whole": "ORDER BY o ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING",
    "rows to current": "ORDER BY o ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW",
    "rows before": "ORDER BY o ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING",
    "rows near": "ORDER BY o ROWS BETWEEN 2 PRECEDING AND CURRENT ROW",
    "rows around": "ORDER BY o ROWS BETWEEN 1 PRECEDING AND 1 FOLLOWING",
    "rows past": "ORDER BY o ROWS BETWEEN 3 PRECEDING AND 1 PRECEDING",
    "rows after": "ORDER BY o ROWS BETWEEN 1 FOLLOWING AND 2 FOLLOWING",
    "rows from current": "ORDER BY o ROWS BETWEEN CURRENT ROW AND UNBOUNDED FOLLOWING",
    "range whole": "ORDER BY o RANGE BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING",
    "range to current": "ORDER BY o RANGE BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW",
    "range near": "ORDER BY o RANGE BETWEEN 40 PRECEDING AND CURRENT ROW",
    "range past": "ORDER BY o RANGE BETWEEN 60 PRECEDING AND 1 PRECEDING",
    "range around": "ORDER BY o RANGE BETWEEN 30 PRECEDING AND 30 FOLLOWING",
}
DIRECTIONS = {
    "asc nulls first": "",
    "desc nulls last": "DESC",
    "asc nulls last": "ASC NULLS LAST",
    "desc nulls first": "DESC NULLS FIRST",
}
"""How keys are ordered, with the text for it."""
OVER_FRAMES = """
count: int | double | string | timestamp | date | boolean | bigint | a_int | struct | *
sum avg: small | int | bigint | dec10_2 | dec38_18 | tame | special | rough | rough_float
min max: int | bigint | double | string | date | timestamp | boolean | dec10_2
first last: int =true | int =false | bigint =true | bigint =false | double =true | double =false | float =true | float =false | dec10_2 | dec10_2 =true | dec10_2 =false | dec38_18 | dec38_18 =true | dec38_18 =false | string =true | string =false | timestamp =true | timestamp =false | timestamp_ntz =false | timestamp_ntz =true | date =true | date =false | boolean =true | boolean =false | timestamp_ntz | float | int | bigint | double | string | date | timestamp | boolean | dec10_2 | struct | a_int
first_value last_value any_value: int | double | string | timestamp
collect_list collect_set array_agg: int | string | double | timestamp
stddev stddev_samp stddev_pop variance var_samp var_pop: tame | small | rough
bool_and bool_or count_if: boolean
nth_value: int =2 | double =2 | string =1 | timestamp =3
max_by min_by: string o
"""
RANKS = """
lag lead: Any =1 | int =2 | double =4 | string =3 | timestamp =2 | bigint =96 | int =0 | int =-1 | N =1 =0 | string =1 '' | double =1 =0.0D | Any
"""
_BY_ORDER = frozenset({"nth_value", "first", "last", "first_value", "last_value", "collect_list", "array_agg", "any_value"})


def window_cases() -> Iterator[Case]:
    """Return the cases of functions over windows; the order within a group is total unless it is the order that is compared."""
    for frame in FRAMES.values():
        for name, arguments in signatures(OVER_FRAMES):
            if name in _BY_ORDER and not frame:
                continue
            yield Case(f"{call_of(name, arguments)} OVER (PARTITION BY g {frame})", "window")
    for name, arguments in signatures(RANKS):
        yield Case(f"{call_of(name, arguments)} OVER (PARTITION BY g ORDER BY o)", "window")
    for name in ("row_number()", "rank()", "dense_rank()", "percent_rank()", "cume_dist()", "ntile(4)", "ntile(10)", "ntile(100)"):
        yield Case(f"{name} OVER (PARTITION BY g ORDER BY o)", "window")
        yield Case(f"{name} OVER (PARTITION BY g ORDER BY o ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW)", "window")
        yield Case(f"{name} OVER (ORDER BY o)", "window")


def window_key_cases() -> Iterator[Case]:
    """Return the cases of keys of windows."""
    for kind in f"{ATOMS} struct a_int a_string".split():
        key = TYPES[kind][0]
        yield Case(f"count(*) OVER (PARTITION BY a_{kind})", "window", Construct("partition by", (key,)))
        for told, text in DIRECTIONS.items():
            order = Construct("window order", (key, told))
            yield Case(f"rank() OVER (PARTITION BY g ORDER BY a_{kind} {text})", "window", order)
            yield Case(f"count(*) OVER (PARTITION BY g ORDER BY a_{kind} {text})", "window", order)
    for kind, distances in {
        "seconds": ["1", "900", "3600", "86400"], "double": ["1.5D", "1"], "date": ["interval '1' day", "interval '1' month", "1"],
        "timestamp": ["interval '1' hour", "interval '1' day", "interval '1' month", "interval '15' minute", "interval '7' day"], "small": ["1", "2"], "dec10_2": ["1"],
    }.items():  # fmt: skip
        for distance in distances:
            told = "interval month" if "month" in distance else "interval day" if "interval" in distance else "number"
            for text, upper in (
                ("", "CURRENT ROW"),
                ("DESC", "CURRENT ROW"),
                ("", f"{distance} FOLLOWING"),
                ("DESC", f"{distance} FOLLOWING"),
            ):
                frame = f"PARTITION BY g ORDER BY a_{kind} {text} RANGE BETWEEN {distance} PRECEDING AND {upper}"
                yield Case(f"count(*) OVER ({frame})", "window", Construct("range frame", (TYPES[kind][0], told)))
