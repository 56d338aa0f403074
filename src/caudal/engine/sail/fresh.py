"""Rows with values that nobody chose, for the comparison of engines."""

from __future__ import annotations

import decimal
import random
import struct
from typing import Any

import pyarrow as pa

from caudal.engine.sail.values import SPECIAL, TYPES, rows

YEAR_1, YEAR_9999 = -62_135_596_800_000_000, 253_402_300_799_999_999
ALPHABET = "aAbB zZ09.,-_%:/\t\n'\"éßİ日😀\u0301\u00a0"


def fresh_rows(seed: int) -> pa.Table:
    """Return rows of the usual columns, with fresh values in the first and the second column of each kind."""
    drawn = random.Random(seed)
    table = rows(seed)
    kept = SPECIAL - {"rough", "rough_float", "nested"}
    for kind, (_, arrow_type, _) in TYPES.items():
        if kind not in kept:
            for name in "ab":
                values = [None if drawn.random() < 0.05 else value_of(arrow_type, drawn) for _ in range(table.num_rows)]
                place = table.column_names.index(f"{name}_{kind}")
                table = table.set_column(place, f"{name}_{kind}", pa.array(values, arrow_type))
    return table


def value_of(kind: pa.DataType, drawn: random.Random) -> Any:
    """Return a value of a type, often near an edge of it."""
    if pa.types.is_boolean(kind):
        return drawn.random() < 0.5
    if pa.types.is_integer(kind):
        top = 2 ** (kind.bit_width - 1) - 1
        return max(
            -top - 1,
            min(
                top,
                drawn.choice(
                    [drawn.randint(-top - 1, top), drawn.randint(-50, 50), top - drawn.randint(0, 2), int(drawn.gauss(0, 1e6))]
                ),
            ),
        )
    if pa.types.is_floating(kind):
        bits = struct.pack("<Q", drawn.getrandbits(64))
        value = drawn.choice(
            [struct.unpack("<d", bits)[0], drawn.gauss(0, 1), round(drawn.uniform(-1e4, 1e4), 2), float(drawn.randint(-9, 9))]
        )
        if kind.bit_width == 64:
            return value
        return (
            struct.unpack("<f", bits[:4])[0]
            if drawn.random() < 0.3
            else struct.unpack("<f", struct.pack("<f", max(-3e38, min(3e38, value)) if value == value else value))[0]
        )
    if pa.types.is_decimal(kind):
        digits = drawn.randint(1, kind.precision)
        return decimal.Decimal(drawn.randint(-(10**digits) + 1, 10**digits - 1)).scaleb(-kind.scale, decimal.Context(prec=60))
    if pa.types.is_string(kind):
        return "".join(drawn.choice(ALPHABET) for _ in range(drawn.choice([0, 1, 2, 3, 5, 8, 20])))
    if pa.types.is_binary(kind):
        return drawn.randbytes(drawn.choice([0, 1, 3, 9]))
    if pa.types.is_date32(kind):
        return drawn.choice([drawn.randint(-719_162, 2_932_896), drawn.randint(0, 40_000)])
    if pa.types.is_timestamp(kind):
        return drawn.choice(
            [drawn.randint(YEAR_1, YEAR_9999), drawn.randint(0, 4_000_000_000_000_000), drawn.randint(0, 4_000_000) * 900_000_000]
        )
    if pa.types.is_map(kind):
        keys = {value_of(kind.key_type, drawn) for _ in range(drawn.randint(0, 4))}
        return [(key, None if drawn.random() < 0.1 else value_of(kind.item_type, drawn)) for key in sorted(keys)]
    if pa.types.is_list(kind):
        return [None if drawn.random() < 0.1 else value_of(kind.value_type, drawn) for _ in range(drawn.randint(0, 5))]
    return {kind.field(place).name: value_of(kind.field(place).type, drawn) for place in range(kind.num_fields)}
