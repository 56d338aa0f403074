"""A construct's key in the table: its name and the classes of its arguments."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from caudal.engine.sail.expressions import (
    AllColumns,
    Call,
    Cast,
    ColumnName,
    Expression,
    Lambda,
    Literal,
    Order,
    Over,
    PythonFunction,
    Renamed,
    Unknown,
    Variable,
    walk,
)
from caudal.engine.sql_functions import AGGREGATES

DECIMALS = ("decimal18", "decimal38")
_INTEGERS = ("tinyint", "smallint", "int", "bigint")

# Arguments whose value decides what is computed; only the values that were compared may run.
EXACT: dict[str, tuple[int, ...]] = {
    "date_trunc": (0,),
    "trunc": (1,),
    "date_part": (0,),
    "datepart": (0,),
    "extract": (0,),
    "date_format": (1,),
    "to_date": (1,),
    "try_to_date": (1,),
    "to_timestamp": (1,),
    "to_timestamp_ntz": (1,),
    "to_timestamp_ltz": (1,),
    "try_to_timestamp": (1,),
    "from_unixtime": (1,),
    "unix_timestamp": (1,),
    "to_unix_timestamp": (1,),
    "round": (1,),
    "bround": (1,),
    "ceil": (1,),
    "ceiling": (1,),
    "floor": (1,),
    "sha2": (1,),
    "encode": (1,),
    "decode": (1,),
    "to_char": (1,),
    "to_varchar": (1,),
    "to_number": (1,),
    "try_to_number": (1,),
    "to_binary": (1,),
    "try_to_binary": (1,),
    "format_string": (0,),
    "printf": (0,),
    "format_number": (1,),
    "conv": (1, 2),
    "next_day": (1,),
    "make_interval": (0, 1, 2, 3, 4, 5, 6),
    "from_utc_timestamp": (1,),
    "to_utc_timestamp": (1,),
    "convert_timezone": (0, 1),
    "percentile_approx": (1, 2),
    "approx_percentile": (1, 2),
    "percentile": (1,),
    "approx_count_distinct": (1,),
    "get_json_object": (1,),
    "from_json": (1,),
    "from_csv": (1,),
    "parse_url": (1,),
    "str_to_map": (1, 2),
    "regexp_extract": (2,),
    "regexp_extract_all": (2,),
    "timestampadd": (0,),
    "timestampdiff": (0,),
    "sentences": (1, 2),
    "mask": (1, 2, 3, 4),
    "bucket": (0,),
    "first": (1,),
    "last": (1,),
    "any_value": (1,),
    "first_value": (1,),
    "last_value": (1,),
    "sort_array": (1,),
    "months_between": (2,),
    "sequence": (2,),
    "histogram_numeric": (1,),
    "mode": (1,),
    "array_join": (),
}  # fmt: skip
REGEX: dict[str, int] = {
    "rlike": 1, "regexp": 1, "regexp_like": 1, "regexp_extract": 1, "regexp_extract_all": 1, "regexp_replace": 1, "regexp_count": 1, "regexp_substr": 1,
    "regexp_instr": 1, "split": 1,
}  # fmt: skip
LIKE: dict[str, int] = {"like": 1, "ilike": 1}
COUNTED: dict[str, int] = {"ntile": 0, "lag": 1, "lead": 1, "nth_value": 1}
"""Arguments of which every whole number from one on does alike."""
REPLACEMENT: dict[str, int] = {"regexp_replace": 2}
VARIADIC = frozenset(
    {"in", "coalesce", "greatest", "least", "concat", "concat_ws", "array", "map", "hash", "xxhash64", "when", "array_union", "arrays_overlap", "map_concat",
     "count distinct", "elt", "map_from_arrays", "count"}
)  # fmt: skip
"""Functions of any number of arguments: consecutive ones of the same class count as one."""
MAKING_TEXTS = frozenset({"concat_ws"})
"""Functions that cast their arguments to string by themselves."""
_MADE_TEXTS = frozenset({*_INTEGERS, *DECIMALS, "double", "float", "boolean", "date", "timestamp", "timestamp_ntz"})
CARRIED = frozenset({"struct", "named_struct"})
"""Functions that only carry values: each class counts for itself."""
TRANSPARENT = frozenset({"window", "session_window"})


# Characters that mean the same in Java's and in Rust's regular expressions, with plain classes and greedy repetition.
_PLAIN_REGEX = re.compile(
    r"\^?(?:[A-Za-z0-9 _,:;/@#%&=<>\"'!~`-]|\\[.+*?()\[\]|/\\-]|\[\^?(?:[A-Za-z0-9 _.,:;/@-])+\]|[+*?](?![+?])|\{\d+(?:,\d*)?\}(?![+?])|\((?!\?)|\)|\|)*"
)
_WHOLE_TEXT = re.compile(r"\\A\(\?:(.*)\)\\z", re.DOTALL)
_DATE_TEXT = re.compile(r"\d{4}-\d\d-\d\d( \d\d:\d\d:\d\d(\.\d{1,6})?)?")
"""Constants that every cast to a time reads alike."""
_DURATION = re.compile(r"\d{1,6} (second|minute|hour|day|week)s?")
_PLAIN_LIKE = re.compile(r"[^\\]*")


@dataclass(frozen=True)
class Construct:
    """One thing that an engine computes, with the classes of its arguments."""

    name: str
    arguments: tuple[str, ...] = ()

    def __str__(self) -> str:
        """Return it as a call."""
        return f"{self.name}({self.key})"

    @property
    def key(self) -> str:
        """The arguments as the table has them."""
        return ", ".join(self.arguments)


TypeOf = Callable[[Expression], str]


def constructs_of(expression: Expression, type_of: TypeOf) -> list[Construct]:
    """Return the constructs of an expression's outermost node; mostly one."""
    match expression:
        case ColumnName() | Literal() | Variable() | AllColumns() | Renamed():
            return []
        case Unknown(reason=reason):
            return [Construct("unknown", (reason,))]
        case Lambda() | Order():
            return []
        case Cast(argument=argument, to=to, mode=mode):
            given = _class(argument, type_of)
            if (
                isinstance(argument, Literal)
                and given == "string"
                and argument.text is not None
                and _DATE_TEXT.fullmatch(argument.text)
            ):
                given = "text of a time"
            return [Construct(mode, (given, to))]
        case PythonFunction(kind=kind, arguments=arguments, result=result):
            return [Construct(kind, (*sorted({_class(argument, type_of) for argument in arguments}), f"-> {result}"))]
        case Over():
            return _over(expression, type_of)
        case Call():
            return _call(expression, type_of)


def _call(call: Call, type_of: TypeOf) -> list[Construct]:
    name = call.name
    classes = [_argument(name, place, argument, type_of) for place, argument in enumerate(call.arguments)]
    if name in CARRIED:
        return [Construct(name, (each,)) for each in sorted(set(classes))]
    if any(each in DECIMALS for each in classes):
        # A constant whole number beside a decimal has as many digits as it has, where a column has as many as its type.
        for place, argument in enumerate(call.arguments):
            if isinstance(argument, Literal) and classes[place] in _INTEGERS:
                classes[place] = "literal int"
    if name == "when":
        values = [each for place, each in enumerate(classes) if place % 2 or (place == len(classes) - 1 and len(classes) % 2)]
        conditions = {each for place, each in enumerate(classes[: len(classes) // 2 * 2]) if not place % 2}
        classes = [*sorted(conditions), *values]
    if name in VARIADIC:
        classes = [each for place, each in enumerate(classes) if place == 0 or each != classes[place - 1]]
    return [Construct(name, tuple(classes))]


def _argument(name: str, place: int, argument: Expression, type_of: TypeOf) -> str:
    if isinstance(argument, Lambda):
        return "lambda"
    if place in EXACT.get(name, ()):
        return f"'{argument.text}'" if isinstance(argument, Literal) and argument.text is not None else "not constant"
    if name == "window" and place:
        return (
            "duration"
            if isinstance(argument, Literal) and argument.text and _DURATION.fullmatch(argument.text)
            else "another duration"
        )
    if (
        name == "*"
        and isinstance(argument, Literal)
        and argument.type_class == "interval day"
        and argument.text == "0.000001 second"
    ):
        return "a microsecond"  # of which no number of 64 bits is too many
    if COUNTED.get(name) == place:
        text = argument.text if isinstance(argument, Literal) else None
        return "n" if text and text.isdecimal() and int(text) else f"'{text}'"
    if REGEX.get(name) == place:
        return (
            "regex"
            if isinstance(argument, Literal) and argument.text is not None and is_plain_regex(argument.text)
            else "another regex"
        )
    if LIKE.get(name) == place:
        return (
            "pattern"
            if isinstance(argument, Literal) and argument.text is not None and _PLAIN_LIKE.fullmatch(argument.text)
            else "another pattern"
        )
    if REPLACEMENT.get(name) == place:
        return (
            "string"
            if isinstance(argument, Literal) and argument.text is not None and not re.search(r"[$\\]", argument.text)
            else "another replacement"
        )
    return _class(argument, type_of)


def is_plain_regex(pattern: str) -> bool:
    """Return whether a pattern has only what means the same in Java and in Rust; it may be held to the whole text, as by ``ex.matches``."""
    if (held := _WHOLE_TEXT.fullmatch(pattern)) is not None:
        pattern = held[1]
        try:
            re.compile(pattern)
        except re.error:  # its brackets are not its own
            return False
    return bool(_PLAIN_REGEX.fullmatch(pattern))


def _class(argument: Expression, type_of: TypeOf) -> str:
    match argument:
        case Literal(type_class=type_class):
            return type_class
        case AllColumns():
            return "*"
        case Renamed(argument=inner):
            return _class(inner, type_of)
    return type_of(argument)


def _over(over: Over, type_of: TypeOf) -> list[Construct]:
    if not isinstance(over.function, Call):
        return [Construct("unknown", ("a window over what is no function",))]
    keys = [_class(key, type_of) for key in over.partition]
    frame = frame_class(over)
    constructs = [Construct("partition by", (each,)) for each in sorted(set(keys))]
    constructs += [Construct("window order", (_class(key.key, type_of), direction(key))) for key in over.order]
    if over.frame == "range" and over.order:
        constructs += [
            Construct("range frame", (_class(over.order[0].key, type_of), _distance(_class(bound.distance, type_of))))
            for bound in (over.lower, over.upper)
            if bound.distance and over.frame == "range"
        ]
    for construct in _call(over.function, type_of):
        constructs.append(Construct(f"{construct.name} over", (*construct.arguments, frame)))
    return constructs


def in_explicit_texts(construct: Construct) -> tuple[Construct, ...] | None:
    """Return what a function that makes texts of its arguments is with casts in their place; None for other functions.

    `concat_ws(', ', fare)` is ``concat_ws(', ', cast(fare AS string))`` by Spark's own rules.
    """
    if construct.name not in MAKING_TEXTS or not all(map(is_made_a_text, construct.arguments)):
        return None
    kinds = ["string" if is_cast_to_text(kind) else kind for kind in construct.arguments]
    collapsed = tuple(kind for place, kind in enumerate(kinds) if place == 0 or kind != kinds[place - 1])
    casts = [Construct("cast", (kind, "string")) for kind in dict.fromkeys(construct.arguments) if is_cast_to_text(kind)]
    return (Construct(construct.name, collapsed), *casts)


def is_cast_to_text(kind: str) -> bool:
    """Return whether a class of types is one that functions of texts cast by themselves."""
    return kind in _MADE_TEXTS


def is_made_a_text(kind: str) -> bool:
    """Return whether functions of texts take a class of types: as it is, or cast."""
    return kind in ("string", "array<string>") or is_cast_to_text(kind)


def _distance(kind: str) -> str:
    return kind if kind.startswith("interval") else "number"


def frame_class(over: Over) -> str:
    """Return the class of a window's frame."""
    if over.frame is None:
        return "running" if over.order else "whole"
    bounds = (over.lower.kind, over.upper.kind)
    if bounds == ("unbounded", "unbounded"):
        return "whole" if not over.order else f"{over.frame} whole"
    if "distance" in bounds:
        return f"{over.frame} with distance"
    return (
        f"{over.frame} to {over.upper.kind}"
        if bounds[0] == "unbounded"
        else f"{over.frame} from {over.lower.kind} to {over.upper.kind}"
    )


def direction(order: Order) -> str:
    """Return how a key is ordered, such as ``asc nulls first``."""
    return f"{'asc' if order.ascending else 'desc'} nulls {'first' if order.nulls_first else 'last'}"


def is_aggregate(expression: Expression) -> bool:
    """Return whether an expression is a function of several rows."""
    return isinstance(expression, Call) and expression.name.removesuffix(" distinct") in {*AGGREGATES, "product"}


def join_constructs(name: str, condition: Expression, class_of: TypeOf) -> list[Construct]:
    """Return the constructs of a join with a condition: a join of its name, and how its equalities find their pairs."""
    found = [Construct(f"{name} join")]
    for part in walk(condition):
        if isinstance(part, Call) and part.name in ("==", "<=>") and part.arguments:
            first = part.arguments[0]
            found.append(Construct(f"{name} join {'on' if part.name == '==' else 'null-safe'}", (_class(first, class_of),)))
    return found
