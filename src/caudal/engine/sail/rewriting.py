"""Expressions that differ on Sail, and others that it computes as Spark does."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from caudal.engine.sail.cases import Case
from caudal.engine.sail.signature import Construct
from caudal.engine.sail.values import KINDS
from caudal.engine.sail.window_functions import DIRECTIONS, FRAMES

INTEGERS = {"tinyint": "int", "smallint": "int", "int": "bigint"}
"""For each type of whole numbers one in which its sums and products cannot overflow."""
TOTAL = "cast(cast(sum(cast({0} AS decimal(20,0))) AS string) AS bigint)"
"""The sum of a bigint: Sail's own wraps around, as does its cast of a decimal to bigint; its cast of a text raises."""
TOTAL_OVER = TOTAL.replace("sum(cast({0} AS decimal(20,0)))", "sum(cast({0} AS decimal(20,0))) OVER ()")
"""The same over a window; ``OVER ()`` stands for the window of the original."""
OTHER_TYPES = ("datediff", "date_diff")
"""Functions whose values have another type on Sail than on Spark; what they are rewritten to has Spark's (tests/unit/engine/sail/test_prepared.py)."""
WHOLE = "4503599627370496.0D"
"""From here on doubles are whole: 2^52."""


@dataclass(frozen=True)
class Rewriting:
    """What may stand in the place of a construct.

    Attributes
    ----------
    name, classes : of the construct
    template : the text to compute instead, with ``{0}``, ``{1}`` … for the arguments
    columns : kinds of columns to compare with; by default all of the classes
    exact : what Spark computes for the comparison, if its own form depends on the order of the rows
    form : as of a `Case`, or ``window key``: what a window is ordered or parted by
    window : what a window of the form ``window`` is
    """

    name: str
    classes: tuple[str, ...]
    template: str
    columns: tuple[str, ...] = ()
    exact: str = ""
    form: str = "scalar"
    window: str = ""

    def cases(self) -> Iterator[Case]:
        """Return the cases that compare it with the original."""
        given: list[tuple[str, ...]] = [(kind,) for kind in self.columns]
        for kinds in given or [tuple(KINDS[each][0] if each in KINDS else each for each in self.classes)]:
            columns = [f"{'ab'[place]}_{kind}" if not kind.startswith("'") else kind.strip("'") for place, kind in enumerate(kinds)]
            instead = self.template.format(*columns)
            original = (self.exact or self._original()).format(*columns)
            if self.form == "window key":
                for over in self._windows():
                    yield Case(
                        over.format(original), "window", Construct(self.name, self.classes), over.format(instead), self.template
                    )
            elif self.window:
                over = f"OVER ({self.window})"
                yield Case(f"{original} {over}", self.form, None, instead.replace("OVER ()", over), self.template)
            else:
                yield Case(original, self.form, Construct(self.name, self.classes), instead, self.template)

    def _windows(self) -> Iterator[str]:
        """Return the functions over windows with the key ``{}``."""
        if self.name == "partition by":
            yield "count(*) OVER (PARTITION BY {})"
        else:
            for function in ("rank()", "count(*)"):
                yield f"{function} OVER (PARTITION BY g ORDER BY {{}} {DIRECTIONS[self.classes[1]]})"

    def _original(self) -> str:
        if self.form == "window key":
            return "{0}"
        if self.name in "+-*":
            return f"{{0}} {self.name} {{1}}"
        if self.name == "cast":
            return f"cast({{0}} AS {self.classes[1]})"
        return f"{self.name}({', '.join(f'{{{place}}}' for place in range(len(self.classes)))})"


def rewritings() -> Iterator[Rewriting]:
    """Return everything that is tried; a rewriting is used only if the comparison finds it equal, the first one of a construct."""
    yield from _whole_numbers()
    yield from _texts()
    yield from _rounding()
    for kind in ("date", "timestamp"):
        yield Rewriting("weekday", (kind,), "(dayofweek({0}) + 5) % 7")
        yield Rewriting("weekday", (kind,), "pmod(dayofweek({0}) + 5, 7)")
    for kind in ("double", "float"):
        # Sail leaves NaN out of account, Spark takes it for the greatest.
        nan = f"cast('NaN' AS {kind})"
        greatest = f"CASE WHEN max(CASE WHEN isnan({{0}}) THEN 1 ELSE 0 END) = 1 THEN {nan} ELSE max({{0}}) END"
        yield Rewriting("max", (kind,), greatest, form="aggregate")
        yield Rewriting("min", (kind,), "coalesce(min(CASE WHEN isnan({0}) THEN NULL ELSE {0} END), min({0}))", form="aggregate")
        yield Rewriting("isnan", (kind,), "coalesce(isnan({0}), false)")
    yield from _window_keys()
    for name in OTHER_TYPES:
        for kinds in (("date", "date"), ("timestamp", "timestamp"), ("date", "timestamp"), ("timestamp", "date")):
            yield Rewriting(name, kinds, f"cast({name}({{0}}, {{1}}) AS int)")


def _whole_numbers() -> Iterator[Rewriting]:
    """Sums and products: Sail wraps around where Spark raises; the cast back raises on both."""
    for kind, wider in INTEGERS.items():
        for name in "+-*":
            yield Rewriting(name, (kind, kind), f"cast(cast({{0}} AS {wider}) {name} cast({{1}} AS {wider}) AS {kind})")
    wide = [(one, other) for one in (*INTEGERS, "bigint") for other in (*INTEGERS, "bigint") if one != other or one == "bigint"]
    for name in "+-*":
        for one, other in wide:
            kind = max(one, other, key=[*INTEGERS, "bigint"].index)
            wider = INTEGERS.get(kind, "decimal(20,0)")
            yield Rewriting(name, (one, other), f"cast(cast({{0}} AS {wider}) {name} cast({{1}} AS {wider}) AS {kind})")
    # Whether Spark raises depends on the order in which it adds, since a sum on the way may overflow. Here only the total counts.
    yield Rewriting("sum", ("bigint",), TOTAL, exact="cast(sum(cast({0} AS decimal(20,0))) AS bigint)", form="aggregate")
    for frame in FRAMES.values():
        # On values that do not overflow: for a window, an error of one row is one of all rows.
        yield Rewriting(
            "sum", ("bigint",), TOTAL_OVER, columns=("seconds", "small_bigint"), form="window", window=f"PARTITION BY g {frame}"
        )


def _window_keys() -> Iterator[Rewriting]:
    """Keys of windows: Spark takes -0.0 and 0.0 for the same, and one NaN for another; Sail tells them apart."""
    for kind, columns in (("double", ("double", "special", "negative_zero")), ("float", ("float", "special_float"))):
        nan, zero = f"cast('NaN' AS {kind})", f"cast(0 AS {kind})"
        key = f"CASE WHEN isnan({{0}}) THEN {nan} WHEN {{0}} = {zero} THEN {zero} ELSE {{0}} END"
        yield Rewriting("partition by", (kind,), key, columns=columns, form="window key")
        for direction in DIRECTIONS:
            yield Rewriting("window order", (kind, direction), key, columns=columns, form="window key")


def _texts() -> Iterator[Rewriting]:
    """Doubles as texts: Java writes exponents from 1e7 on and below 1e-3, with one digit before the point and at least one behind it."""
    text = "cast({0} AS string)"
    size = "cast(abs({0}) AS string)"
    sign = "CASE WHEN {0} < 0D THEN '-' ELSE '' END"
    whole = "cast(cast(floor(abs({0})) AS bigint) AS string)"
    digits = f"rtrim('0', replace({size}, '.', ''))"
    large = (
        f"concat({sign}, left({digits}, 1), '.', CASE WHEN length({digits}) > 1 THEN right({digits}, length({digits}) - 1) ELSE '0' END, "
        f"'E', cast(length({whole}) - 1 AS string))"
    )
    behind = f"ltrim('0', replace({size}, '0.', ''))"
    small = (
        f"concat({sign}, left({behind}, 1), '.', CASE WHEN length({behind}) > 1 THEN right({behind}, length({behind}) - 1) ELSE '0' END, "
        "CASE WHEN abs({0}) >= 0.0001D THEN 'E-4' ELSE 'E-5' END)"
    )
    with_exponent = f"replace(CASE WHEN instr({text}, '.') > 0 THEN {text} ELSE replace({text}, 'e', '.0e') END, 'e', 'E')"
    # The least doubles have fewer than two digits of their own; Java finds a second one.
    yield Rewriting(
        "cast",
        ("double", "string"),
        "CASE WHEN {0} IS NULL THEN NULL WHEN {0} = 0D OR (abs({0}) >= 0.001D AND abs({0}) < 10000000D) OR isnan({0}) THEN "
        + text
        + " WHEN abs({0}) > 1.7976931348623157e308D THEN CASE WHEN {0} > 0D THEN 'Infinity' ELSE '-Infinity' END"
        + " WHEN abs({0}) >= 1e16D THEN "
        + with_exponent
        + " WHEN abs({0}) >= 10000000D THEN "
        + large
        + " WHEN abs({0}) >= 0.00001D THEN "
        + small
        + " WHEN abs({0}) >= 1e-300D THEN "
        + with_exponent
        + f" ELSE {_left_to_spark('string')} END",
        columns=("double", "rough", "halves", "tame", "special", "negative_zero"),
    )


def _left_to_spark(kind: str) -> str:
    """Return the text of an error in the place of a value: the engine ``auto`` then computes the table on Spark."""
    return f"cast(raise_error('CAUDAL: a double of this size is left to Spark') AS {kind})"


def _rounding() -> Iterator[Rewriting]:
    """Rounding and decimals: Spark rounds the shortest decimal that a double has, halves away from zero; `rint` rounds halves to the even neighbour."""
    columns = ("double", "rough", "halves", "tame", "special", "negative_zero")
    for arguments in (("double",), *(("double", f"'{digits}'") for digits in (0, 1, 2, 3, 4, 6))):
        digits = int(arguments[1].strip("'")) if len(arguments) > 1 else 0
        # As many digits behind the point as a double of that size can have; by its text, since Sail divides to make a double of a decimal.
        small, large = (
            f"cast(cast(round(cast(cast({{0}} AS string) AS decimal(38,{scale})), {digits}) AS string) AS double) + 0.0D"
            for scale in (24, 20)
        )
        none = f"{0.4 * 10**-digits:.{digits + 1}f}D"
        yield Rewriting(
            "round",
            arguments,
            f"CASE WHEN abs({{0}}) < {none} THEN 0.0D WHEN abs({{0}}) < 1e13 THEN {small} WHEN abs({{0}}) < {WHOLE} THEN {large} "
            "ELSE {0} + 0.0D END",
            columns=columns,
            exact=f"round({{0}}, {digits})" if len(arguments) > 1 else "round({0})",
        )
    yield Rewriting(
        "rint",
        ("double",),
        f"CASE WHEN {{0}} = 0D OR abs({{0}}) >= {WHOLE} THEN {{0}} "
        f"WHEN {{0}} < 0D THEN negative((negative({{0}}) + {WHOLE}) - {WHOLE}) ELSE ({{0}} + {WHOLE}) - {WHOLE} END",
        columns=columns,
    )
    for kind, kinds in (("decimal18", ("dec10_2", "dec18_6", "dec5_0", "long_decimal")), ("decimal38", ("dec38_18", "dec20_0"))):
        yield Rewriting("cast", (kind, "double"), "cast(cast({0} AS string) AS double)", columns=kinds)
    for precision, scale in ((10, 2), (18, 6), (38, 18), (5, 0), (20, 0)):
        target = f"decimal({precision},{scale})"
        yield Rewriting(
            "cast",
            ("double", target),
            f"CASE WHEN abs({{0}}) < 0.00001D AND {scale} < 6 THEN cast(0 AS {target}) ELSE cast(cast({{0}} AS string) AS {target}) END",
            columns=columns,
        )


def rewriting_cases() -> Iterator[Case]:
    """Return the cases that compare what Spark makes of an expression with what Sail makes of the one in its place."""
    for rewriting in rewritings():
        yield from rewriting.cases()
