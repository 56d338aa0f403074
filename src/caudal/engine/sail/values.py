"""Edge values of each type, and the rows that constructs are compared on."""

from __future__ import annotations

import datetime as dt
import decimal
import random
import struct
from typing import Any

import pyarrow as pa

EPOCH = dt.datetime(1970, 1, 1)
PAIRED = 14
"""Number of values of each type whose pairs are all among the rows."""


def _us(text: str) -> int:
    return (dt.datetime.fromisoformat(text) - EPOCH) // dt.timedelta(microseconds=1)


def _days(text: str) -> int:
    return (dt.date.fromisoformat(text) - EPOCH.date()).days


def _integers(bits: int) -> list[int]:
    top = 2 ** (bits - 1) - 1
    few = [0, 1, -1, top, -top - 1, 2, 3, 7, -7, 10, top - 1, 100, 60, -100]
    more = [5, 12, 13, 24, 29, 31, 64, 65, 97, 127, -128, 4, 6, 8, 9, 11, -2, -3, 20, 30]
    wide = [1970, 2024, 9999, 10000, 32767, -32768, 65536, 2**31 - 1, -(2**31), 10**9, 10**12, 10**15 + 7, 2**53 + 1, 1_700_000_000]
    return few + more + [value for value in wide if -top - 1 <= value <= top]


def _float32(value: float) -> float:
    return float(struct.unpack("f", struct.pack("f", value))[0])


_NAN, _INF = float("nan"), float("inf")
_DOUBLES = [0.0, -0.0, 1.0, -1.5, _NAN, _INF, -_INF, 2.5, 0.5, 1.7976931348623157e308, 5e-324, 3.0, 1e10, -0.1]
_DOUBLES += [
    0.1, 2.0, 0.3, 3.5, -2.5, -0.5, 1.005, 2.675, 123456.789, 1e-7, 1e7, 9.999999e6, 1e15, 1e16, 1e17, 1e19, 9007199254740993.0, -1e300, 2147483647.0,
    2147483648.5, -2147483649.0, 9.223372036854775e18, 9.223372036854776e18, 1e-300, 0.001, 0.0001, 1e21, 1e23, 12345678.9, 3.141592653589793, 100.0,
    0.7853981633974483, -3.7, 45.0, 1.0000000000000002, 255.0, 128.0, -129.0,
]  # fmt: skip
_FLOATS = [_float32(value) for value in _DOUBLES if not 3.4e38 < abs(value) < _INF] + [
    _float32(3.4028234e38),
    _float32(1e-45),
    16777217.0,
]
_STRINGS = ["", " ", "a", "A", "abc", "ABC", "12", "-7", "2024-03-10", "2024-03-10 02:30:00", "ß", "😀é", "true", "1.5"]
_STRINGS += [
    "abcabc", " abc ", "\tabc\n", "a,b,c", "a b  c", "éa", "e\u0301", "İstanbul", "ǆ", "ﬁn", "ΑΣΣ", "日本語", "a\x00b", "\u00a0x\u00a0", "\u2003y", "%", "_", "a%b", "\\",
    "'", '"', "[a]", "a.b", "a|b", "+1", " 12 ", "1e3", "0x1F", "1_000", "1,234.50", "99999999999", "9223372036854775808", "128", "-129", "NaN", "Infinity",
    "-inf", "nan", "1.", ".5", "1d", "1L", "١٢", "TRUE", "t", "yes", "n", "0", "1", "no", "False", "2024-02-30", "2024-3-1", "2024", "2024-03", "20240310",
    "0001-01-01", "9999-12-31", "1582-10-10", "-0001-01-01", "10000-01-01", "2024-03-10T02:30:00Z", "2024-03-10 02:30:00.123456789", "2024-03-10T02:30:00+05:30",
    "2024-03-10 25:00:00", "2024-03-10 02:30:00 America/New_York", "12:30:00", "24:00", "1900-01-01 00:00:00", "epoch", "now", "2024-12-31 23:59:59.999999",
    "00:00", "31/12/2024", "a=1&b=2", "https://user@ex.org:80/p/q?x=1&y=2#f", '{"a":1,"b":[1,2],"c":{"d":"x"}}', "[1,2,3]", "null", "1.234567890123456789",
    "zz", "ab", "ba", "-", "-0", "0.0", "-0.0", "00012", "1 2", "a" * 70, "Hello World", "hello-world foo_bar", "x1y22z333", "ÀÉ", "ÿ", "straße",
    "  ", "\n", "a\nb", "a\r\nb", "foo.BAR", "SGVsbG8=", "48656c6c6f", "4G", "[", "(", "a*", "\ufeffx", "\ud7ff", "\U0010ffff", "interval 1 day", "1 day",
]  # fmt: skip
_DATES = [
    "1970-01-01", "2024-02-29", "1969-12-31", "0001-01-01", "9999-12-31", "2024-01-07", "1582-10-04", "1582-10-15", "1900-01-01", "2000-01-01", "2023-12-31",
    "2024-03-31", "2024-12-30", "1582-10-10",
    "2021-01-03", "2021-01-04", "2020-12-31", "2016-01-01", "2015-12-31", "2024-01-06", "2024-01-08", "2024-01-09", "2024-01-10", "2024-01-11", "2024-01-12",
    "1899-12-31", "1883-11-18", "2023-02-28", "1900-02-28", "2100-03-01", "2024-01-30", "2024-01-31", "2024-06-30", "2024-11-03", "2008-12-28", "2008-12-29", "0004-02-29",
]  # fmt: skip
_TIMES = [
    "1970-01-01 00:00:00", "2024-03-10 02:30:00", "1969-12-31 23:59:59.999999", "0001-01-01 00:00:00", "9999-12-31 23:59:59.999999", "2024-01-07 12:00:00",
    "1582-10-04 23:59:59", "1582-10-15 00:00:00", "1899-12-31 23:59:59", "1900-01-01 00:00:00", "2024-03-31 01:30:00", "2024-11-03 06:30:00.5", "2024-02-29 23:59:59.000001",
    "1582-10-10 10:10:10.1",
    "2024-10-27 00:59:59.999999", "2024-10-27 01:00:00", "2024-03-10 07:00:00", "2024-03-10 06:59:59", "1883-11-18 17:00:00", "2000-01-01 00:00:00", "2023-12-31 23:59:59.9",
    "1969-07-20 20:17:40", "1901-12-13 20:45:52", "2038-01-19 03:14:08", "2016-12-31 23:59:59", "2024-12-30 05:06:07.089", "1969-12-31 23:59:58.5", "2024-01-31 10:00:00",
    "2024-06-30 12:34:56.123456", "2021-01-03 00:00:00", "1850-06-15 06:06:06.6", "2500-01-01 00:00:00", "2024-01-01 00:00:00.001",
]  # fmt: skip


def _decimals(precision: int, scale: int) -> list[decimal.Decimal]:
    context = decimal.Context(prec=60)
    top = decimal.Decimal(10**precision - 1).scaleb(-scale, context)
    unit = decimal.Decimal(1).scaleb(-scale, context)
    texts = [
        "0",
        "1",
        "-1",
        "2.5",
        "-2.5",
        "0.5",
        "3",
        "7",
        "10",
        "-7",
        "99.99",
        "1.005",
        "12",
        "100",
        "2.675",
        "-0.01",
        "123",
        "60",
        "0.1",
        "-0.5",
        "1.5",
        "33",
    ]
    values = [decimal.Decimal(text).quantize(unit, context=context) for text in texts]
    inside = [value for value in values if abs(value) <= top]
    return [*inside[:9], top, top.copy_negate(), unit, unit.copy_negate(), *inside[9:]]


def _lists(values: list[Any]) -> list[Any]:
    a, b, c, d = values[0], values[1], values[2], values[3]
    few = [
        [],
        [a],
        [a, b],
        [b, a],
        [None],
        [a, None, b],
        [a, a, b],
        [a, b, c, d],
        [d, c, b, a],
        [b],
        values[:14],
        [None, None],
        [c, d, None, c],
        [b, b],
    ]
    return [*few, values[4:9], values[8:30], [d], [c, c, c], [None, a], [values[10]], [*values[:5], None, *values[:5]]]


def _maps(keys: list[Any], values: list[Any]) -> list[Any]:
    k, v = keys, values
    few = [[], [(k[0], v[0])], [(k[1], v[1])], [(k[0], v[1]), (k[1], v[2])], [(k[1], v[2]), (k[0], v[1])], [(k[2], None)]]
    few += [
        [(k[2], v[3]), (k[3], None)],
        [(k[4], v[4]), (k[5], v[5]), (k[6], v[6])],
        [(k[i], v[i]) for i in range(9)],
        [(k[7], v[0])],
    ]
    return [*few, [(k[8], v[2]), (k[2], v[8])], [(k[9], v[9])], [(k[0], v[0]), (k[2], v[0])], [(k[3], v[1])]]


STRUCT = pa.struct(
    [
        ("i", pa.int32()), ("s", pa.string()), ("d", pa.float64()), ("l", pa.int64()), ("b", pa.bool_()), ("t", pa.timestamp("us", tz="UTC")), ("day", pa.date32()),
        ("n", pa.decimal128(10, 2)),
    ]
)  # fmt: skip


def _structs() -> list[Any]:
    decimals = _decimals(10, 2)
    rows: list[Any] = []
    for place in range(26):
        i, s, d = _integers(32)[place % 14], _STRINGS[place % 14], _DOUBLES[place % 14]
        row = {
            "i": i,
            "s": s,
            "d": d,
            "l": place,
            "b": place % 2 == 0,
            "t": _TIMES_US[place],
            "day": _DATES_DAYS[place],
            "n": decimals[place % 9],
        }
        if place % 5 == 4:
            row[list(row)[place % 8]] = None
        rows.append(row)
    return [*rows[:13], dict.fromkeys(rows[0]), *rows[13:], dict(rows[0]), {**rows[0], "d": -0.0}, {**rows[0], "d": _NAN}]


PLAIN = pa.struct([*(field for field in STRUCT if field.name != "d"), ("w", pa.timestamp("us"))])
NESTED = pa.struct([("x", pa.int32()), ("p", PLAIN), ("c", pa.list_(pa.int32()))])


def _plain_structs() -> list[Any]:
    return [{**{name: value for name, value in row.items() if name != "d"}, "w": row["t"]} for row in _structs()]


def _nested_structs() -> list[Any]:
    plain = _plain_structs()
    return [{"x": place, "p": plain[place], "c": [place, None]} for place in range(14)] + [{"x": None, "p": None, "c": None}]


_TIMES_US = [_us(text) for text in _TIMES]
_DATES_DAYS = [_days(text) for text in _DATES]
_BINARY = [
    b"",
    b"a",
    b"abc",
    b"\x00",
    b"\xff",
    b"12",
    b"\xf0\x9f\x98\x80",
    b"Hello",
    b"\x80abc",
    b"a,b",
    b"ABC",
    b"\x00\x01\x02",
    b"\x7f",
    b" ",
    b"zz",
    b"\xc3\xa9",
    b"\xed\xa0\x80",
    b"x" * 70,
]

_UTC = pa.timestamp("us", tz="UTC")
_I, _L, _D, _S = pa.int32(), pa.int64(), pa.float64(), pa.string()

TYPES: dict[str, tuple[str, pa.DataType, list[Any]]] = {
    "boolean": ("boolean", pa.bool_(), [True, False]),
    "tinyint": ("tinyint", pa.int8(), _integers(8)),
    "smallint": ("smallint", pa.int16(), _integers(16)),
    "int": ("int", _I, _integers(32)),
    "bigint": ("bigint", _L, _integers(64)),
    "float": ("float", pa.float32(), _FLOATS),
    "double": ("double", _D, _DOUBLES),
    "dec5_0": ("decimal18", pa.decimal128(5, 0), _decimals(5, 0)),
    "dec10_2": ("decimal18", pa.decimal128(10, 2), _decimals(10, 2)),
    "dec18_6": ("decimal18", pa.decimal128(18, 6), _decimals(18, 6)),
    "dec20_0": ("decimal38", pa.decimal128(20, 0), _decimals(20, 0)),
    "dec38_18": ("decimal38", pa.decimal128(38, 18), _decimals(38, 18)),
    "string": ("string", _S, _STRINGS),
    "binary": ("binary", pa.binary(), _BINARY),
    "date": ("date", pa.date32(), _DATES_DAYS),
    "timestamp": ("timestamp", _UTC, _TIMES_US),
    "timestamp_ntz": ("timestamp_ntz", pa.timestamp("us"), _TIMES_US),
    "a_boolean": ("array<boolean>", pa.list_(pa.bool_()), _lists([True, False] * 15)),
    "a_int": ("array<int>", pa.list_(_I), _lists(_integers(32))),
    "a_bigint": ("array<bigint>", pa.list_(_L), _lists(_integers(64))),
    "a_double": ("array<double>", pa.list_(_D), _lists(_DOUBLES)),
    "a_string": ("array<string>", pa.list_(_S), _lists(_STRINGS)),
    "a_date": ("array<date>", pa.list_(pa.date32()), _lists(_DATES_DAYS)),
    "a_timestamp": ("array<timestamp>", pa.list_(_UTC), _lists(_TIMES_US)),
    "a_a_int": ("array<array<int>>", pa.list_(pa.list_(_I)), _lists([[1], [], [1, 2], [None], None, [3], [1], [0], [2, 1], [4], [5], [6], [7], [8]] * 3)),
    "a_struct": ("array<struct<double>>", pa.list_(STRUCT), _lists(_structs())),
    "m_string_int": ("map<string,int>", pa.map_(_S, _I), _maps(_STRINGS, _integers(32))),
    "m_string_string": ("map<string,string>", pa.map_(_S, _S), _maps(_STRINGS, _STRINGS)),
    "m_int_double": ("map<int,double>", pa.map_(_I, _D), _maps(_integers(32), _DOUBLES)),
    "struct": ("struct<double>", STRUCT, _structs()),
    # Small numbers, for lengths and places: JVM Spark itself dies of element_at(array, -2147483648).
    "small": ("int", _I, [0, 1, -1, 2, -2, 3, -3, 4, 5, -5, 7, 10, 20, -20]),
    # Doubles whose sums are exact in every order, and those that are no numbers.
    "tame": ("double", _D, [0.0, 1.0, -1.5, 2.25, 3.5, -0.25, 8.0, 0.5, -2.0, 1.75, 4.0, -3.25, 100.0, 0.125, 7.0]),
    "special": ("double", _D, [1.5, _INF, _NAN, -0.0, -_INF, 0.0, 2.0]),
    "negative_zero": ("double", _D, [-0.0]),
    "tame_float": ("float", pa.float32(), [0.0, 1.0, -1.5, 2.25, 3.5, -0.25, 8.0, 0.5, -2.0, 1.75, 4.0]),
    "special_float": ("float", pa.float32(), [1.5, _INF, _NAN, -0.0, -_INF, 0.0, 2.0]),
    "near_date": ("date", pa.date32(), [_days(text) for text in ("2024-02-28", "2024-03-01", "2024-02-29", "2024-03-31", "2024-01-31", "2024-02-28")]),
    "near_time": ("timestamp", _UTC, [_us(text) for text in ("2024-02-28 12:00:00", "2024-03-01 00:00:00", "2024-02-28 10:30:00", "2024-02-29 23:59:59.5")]),
    "places": ("array<int>", pa.list_(_I), [[], [0], [1], [1, 2], [None], [-1], [3, 0]]),
    # Doubles whose sums are rounded.
    "rough": ("double", _D, [0.1, 0.2, 0.3, 1e15, 1.005, -2.675, 123456.789, 1e-7, 3.3, 7.7, -0.1, 9.99, 1 / 3, -1e15, 0.7, 1.1]),
    "seconds": ("bigint", _L, [1_704_067_200 + value for value in (0, 900, 1800, 3600, 3601, 7200, 86_400, 90_000, 172_800, 901, 1, 5400)]),
    "rough_float": ("float", pa.float32(), [_float32(value) for value in (0.1, 0.2, 0.3, 1e7, 1.005, -2.675, 123456.789, 3.3, -0.1, 1 / 3)]),
    # Structs without doubles, and those that hold arrays and structs.
    "plain": ("struct", PLAIN, _plain_structs()),
    "a_plain": ("array<struct>", pa.list_(PLAIN), _lists(_plain_structs())),
    "nested": ("struct<nested>", NESTED, _nested_structs()),
    # Decimals that end in 5, which doubles only come near to, and texts with exponents.
    "halves": ("double", _D, [0.15, 1.0005, 2.5555, 1.00005, 0.0005, 0.25, 2.345, -1.115, 1e-5, 0.000015, 4.35, 1.45, 123456.785, -8.5, 1e15 + 0.5, 5e-7, 4503599627370495.5, 12345678.125, -1.5e9, 3e-5, 4.5e-4, 2.5e20, 1e-12]),
    "long_decimal": ("decimal18", pa.decimal128(18, 6), [decimal.Decimal(text) for text in ("27602479497.530510", "-123456789012.345678", "999999999999.999999", "90071992547.409930", "0.000001")]),
    "small_bigint": ("bigint", _L, [0, 1, -1, 5, -7, 100, 1_000_000_007, -(10**12), 3, 2**40, -(2**40), 17]),
}  # fmt: skip
"""For each kind of column its class, its Arrow type and its values, the most telling first."""

SPECIAL = frozenset(
    [
        "near_date",
        "near_time",
        "small",
        "places",
        "tame",
        "special",
        "negative_zero",
        "tame_float",
        "special_float",
        "rough",
        "rough_float",
        "nested",
        "seconds",
        "halves",
        "small_bigint",
        "long_decimal",
    ]
)
"""Kinds for some functions only."""

KINDS: dict[str, tuple[str, ...]] = {}
"""The kinds of columns of each class of types."""
for _kind, (_class, _, _) in TYPES.items():
    if _kind in SPECIAL:
        continue
    KINDS[_class] = (*KINDS.get(_class, ()), _kind)


def rows(seed: int = 0, groups: int = 48) -> pa.Table:
    """Return the rows that constructs are compared on.

    For each kind of column of `TYPES` there are three, ``a_<kind>``, ``b_<kind>`` and ``c_<kind>``: all pairs of the first values stand in the first two,
    every value stands in the first, and the rest is drawn. ``id`` numbers the rows, ``g`` groups them, ``o`` orders them within a group.
    """
    drawn = random.Random(seed)
    longest = max(len(values) for _, _, values in TYPES.values())
    pairs = PAIRED * PAIRED
    count = pairs + longest + 20
    columns: dict[str, pa.Array] = {"id": pa.array(range(count), pa.int32())}
    columns["g"] = pa.array([min(drawn.randrange(groups), drawn.randrange(groups)) for _ in range(count)], pa.int32())
    columns["o"] = pa.array(drawn.sample(range(count), count), pa.int32())
    for kind, (_, arrow_type, values) in TYPES.items():
        few = [None, *values[: PAIRED - 1]]
        some = [None, *values]
        first = [few[place // PAIRED % len(few)] for place in range(pairs)] + [
            some[place % len(some)] for place in range(count - pairs)
        ]
        second = [few[place % PAIRED % len(few)] for place in range(pairs)] + [drawn.choice(some) for _ in range(count - pairs)]
        third = [drawn.choice(few) for _ in range(count)]
        for name, column in (("a", first), ("b", second), ("c", third)):
            columns[f"{name}_{kind}"] = pa.array(column, arrow_type)
    return pa.table(columns)
