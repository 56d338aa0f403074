"""Survey and convert text columns of wide frames by Arrow in Spark's Python workers.

One expression per column costs Spark some 60 ms of planning and compiling, whatever the number of rows: two minutes for 2,000 columns. Here
all columns are one step of the plan. Texts of the usual forms (``17``, ``-0.5``, ``2024-02-29``) are known to mean the same to Arrow and
to `text.parse_text`; a column that holds any other form is left to Spark's expressions, so that both ways give the same tables.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from enum import IntFlag
from functools import partial, reduce
from operator import or_
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc
from pyspark.sql import types as T
from pyspark.sql.types import StructField, StructType

from caudal.engine.choice import has_local_workers
from caudal.stages.ingest.physical import Options
from caudal.stages.ingest.text import null_words
from caudal.stages.ingest.widen import decimal_of

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession
    from pyspark.sql.types import DataType


class Form(IntFlag):
    """How a text is written; for a column, all forms of its texts. Blank texts and null words have none."""

    SMALL_INTEGER = 1  # up to nine digits, no leading zero
    INTEGER = 2  # 10 to 15 digits
    LONG_INTEGER = 4  # 16 to 18 digits, or 19 that fit a long for certain: they begin with 1 to 8
    ZERO_FRACTION = 8  # '17850.0', up to 15 characters
    FRACTION = 16  # '17850.5', up to 15 characters
    EXACT_FRACTION = 32  # more characters, and the shortest text of the double has the same digits
    SCIENTIFIC = 64  # '1e-07', as programs write it
    DATE = 128
    MIDNIGHT = 256
    TIME = 512
    BOOLEAN = 1024
    WORD = 2048  # begins with a letter or an underscore
    OTHER = 4096  # any other
    ZONED = 8192  # a time with 'Z' or an offset, not in the first or last days of the calendar
    CODE = 16384  # digits that begin with a zero
    NO_MOMENT = 32768  # written as a date or a time, and there is none: the 30th of February, 25:00:00
    NAN = 65536  # a word that is a number for Java
    QUANTITY = 131072  # a number, a blank and its unit


_NO_FORM = Form(0)


@dataclass(frozen=True)
class ColumnForms:
    """The forms of a column's texts.

    Parameters
    ----------
    rows : Form, of rows with the file's width
    every : Form, of these and of the cells of other rows, which go to quarantine
    """

    rows: Form
    every: Form


@dataclass(frozen=True)
class TextColumns:
    """Facts about the values of some files' text columns, by the names in the files.

    Parameters
    ----------
    possible : for undeclared columns, the types that all values have in rows of the file's width
    column_forms : the columns' forms, where they were surveyed
    """

    possible: Mapping[str, frozenset[str]] = field(default_factory=dict)
    column_forms: Mapping[str, ColumnForms] = field(default_factory=dict)


# The only types (`infer.CANDIDATES`) that a text of a form can be converted to without loss.
_TYPES = {
    Form.SMALL_INTEGER: {"long", "double"},
    Form.INTEGER: {"long", "double"},
    Form.LONG_INTEGER: {"long"},
    Form.ZERO_FRACTION: {"long", "double"},
    Form.FRACTION: {"double"},
    Form.EXACT_FRACTION: {"double"},
    Form.SCIENTIFIC: {"double"},
    Form.DATE: {"date", "timestamp"},
    Form.MIDNIGHT: {"date", "timestamp"},
    Form.TIME: {"timestamp"},
    Form.ZONED: {"timestamp"},
    Form.BOOLEAN: {"boolean"},
    Form.WORD: set[str](),
    Form.CODE: set[str](),
    Form.NAN: set[str](),
    Form.QUANTITY: set[str](),
    Form.NO_MOMENT: set[str](),
}
_WHOLE = Form.SMALL_INTEGER | Form.INTEGER | Form.LONG_INTEGER
_TIMES = Form.DATE | Form.MIDNIGHT | Form.TIME
_NUMBERS = _WHOLE | Form.ZERO_FRACTION | Form.FRACTION | Form.EXACT_FRACTION | Form.SCIENTIFIC
_NO_DOUBLES = Form.WORD | Form.QUANTITY | Form.BOOLEAN | Form.ZONED | Form.NO_MOMENT | _TIMES
_NO_NUMBERS = _NO_DOUBLES | Form.NAN
_NO_TIMES = _NUMBERS | Form.WORD | Form.QUANTITY | Form.NAN | Form.CODE | Form.BOOLEAN | Form.NO_MOMENT
# The forms that Arrow reads as a type with the same value as `text.parse_text`.
_READ_BY_ARROW = {
    "int": Form.SMALL_INTEGER,
    "long": _WHOLE,
    "float": _NUMBERS,
    "double": _NUMBERS,
    "boolean": Form.BOOLEAN,
    "date": Form.DATE,
    "timestamp": _TIMES,
    "timestamp_utc": _TIMES | Form.ZONED,
}
# The forms of which `text.parse_text` makes no value of a type.
_NO_VALUES = {
    "int": _NO_NUMBERS,
    "long": _NO_NUMBERS,
    "float": _NO_DOUBLES,
    "double": _NO_DOUBLES,
    "date": _NO_TIMES | Form.TIME | Form.ZONED,
    "timestamp": _NO_TIMES,
    "timestamp_utc": _NO_TIMES,
}
# Of decimals with more digits, Spark rounds fractions before it looks whether they fit.
_MOST_DIGITS = 24
_DECIMALS = _WHOLE | Form.ZERO_FRACTION | Form.FRACTION
_FRACTION_DIGITS = 14  # at most, in texts of these forms
# In RE2, '$' matches only at the end of the text.
_LEAP_YEAR = "(?:[0-9]{2}(?:0[48]|[2468][048]|[13579][26])|(?:[02468][048]|[13579][26])00)"
_DATE = (
    "(?:[0-9]{4}-(?:(?:0[13578]|1[02])-(?:0[1-9]|[12][0-9]|3[01])|(?:0[469]|11)-(?:0[1-9]|[12][0-9]|30)|02-(?:0[1-9]|1[0-9]|2[0-8]))"
    f"|{_LEAP_YEAR}-02-29)"
)
_TIME = r"[ T](?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](?:\.[0-9]{1,6})?"
_OFFSET = "(?:Z|[-+](?:0[0-9]|1[0-7]):[0-5][0-9])"
_FRACTION = r"-?(?:0|[1-9][0-9]*)\.[0-9]*[1-9][0-9]*"
_PATTERNS = {
    Form.SMALL_INTEGER: r"^(?:0|-?[1-9][0-9]{0,8})$",
    Form.INTEGER: r"^-?[1-9][0-9]{9,14}$",
    Form.FRACTION: rf"^{_FRACTION}$",
    Form.DATE: f"^{_DATE}$",
    Form.TIME: f"^{_DATE}{_TIME}$",
    Form.ZONED: f"^{_DATE}{_TIME}{_OFFSET}$",
    Form.NO_MOMENT: rf"^[0-9]{{4}}-[0-9]{{2}}-[0-9]{{2}}(?:[ T][0-9]{{2}}:[0-9]{{2}}:[0-9]{{2}}(?:\.[0-9]{{1,6}})?{_OFFSET}?)?$",
    Form.WORD: r"^[A-Za-z_]",
    Form.CODE: r"^0[0-9]+$",
    Form.QUANTITY: r"^-?[0-9]+(?:\.[0-9]+)? +[A-Za-z%][A-Za-z%/]*$",
    Form.ZERO_FRACTION: r"^(?:0|-?[1-9][0-9]*)\.0+$",
    Form.LONG_INTEGER: r"^-?(?:[1-9][0-9]{15,17}|[1-8][0-9]{18})$",
    Form.SCIENTIFIC: r"^-?[1-9](?:\.[0-9]+)?[eE][-+][0-9]{1,2}$",
}
_BOOLEAN = r"^(?i:true|false)$"
_BOOLEAN_AND_BLANKS = r"^(?i:true|false) +$"
_NAN = r"^(?i:nan|inf|infinity)[\x00-\x20]*$"
_CALENDAR_ENDS = "^(?:0000|0001-01-01|9999-12-31)"
_MIDNIGHT = r"[ T]00:00:00(?:\.0+)?$"
_FEW_CHARACTERS, _MOST_CHARACTERS = 15, 40


def can_survey(spark: SparkSession, options: Options) -> bool:
    """Return whether forms can be surveyed: numbers and dates are written as usual, and the workers are on this machine, which has caudal."""
    unusual = options.get("decimal", ".") != "." or options.get("date_format") or options.get("timestamp_format")
    return not unusual and has_local_workers(spark)


def of_frame(frame: DataFrame, names: Sequence[str], options: Options) -> dict[str, ColumnForms]:
    """Return the forms of each text column ``_r0``, ``_r1`` … by its name, surveyed by Spark's workers."""
    columns = frame.columns
    survey = partial(
        _survey,
        places=[columns.index(f"_r{i}") for i in range(len(names))],
        line=columns.index("_line") if "_line" in columns else None,
        nulls=null_words(options),
    )
    by_task = frame.mapInArrow(survey, "rows array<int>, every array<int>").collect()
    rows, every = (_union_of_forms([row[key] for row in by_task], len(names)) for key in ("rows", "every"))
    return {name: ColumnForms(*forms) for name, *forms in zip(names, rows, every, strict=True)}


def of_batches(batches: Iterable[pa.RecordBatch], names: Sequence[str], options: Options) -> dict[str, ColumnForms]:
    """Return the forms of each text column by its name; all rows have the file's width."""
    (row,) = _survey(batches, range(len(names)), None, null_words(options))
    return {name: ColumnForms(Form(form), Form(form)) for name, form in zip(names, row["rows"][0].as_py(), strict=True)}


def _union_of_forms(parts: Sequence[Sequence[int]], columns: int) -> list[Form]:
    return [Form(reduce(or_, (part[i] for part in parts), 0)) for i in range(columns)]


def types(form: Form, among: frozenset[str]) -> tuple[frozenset[str], bool]:
    """Return the types that a column may have by its forms, and whether the forms alone decide them.

    Examples
    --------
    >>> candidates = frozenset({"long", "double", "date", "timestamp"})
    >>> sorted(types(Form.INTEGER | Form.FRACTION, candidates)[0]), sorted(types(Form.DATE | Form.TIME, candidates)[0])
    (['double'], ['timestamp'])
    """
    of_forms = (_TYPES[member] for member in Form if member in form and member is not Form.OTHER)
    possible = reduce(frozenset.intersection, map(frozenset, of_forms), among)
    return possible, not possible or Form.OTHER not in form


def arrow_reads(form: Form, type: str) -> bool:
    """Return whether Arrow reads all texts of a column as the same values of a type as `text.parse_text`.

    Examples
    --------
    >>> arrow_reads(Form.INTEGER, "long"), arrow_reads(Form.ZERO_FRACTION, "long"), arrow_reads(Form.OTHER, "string")
    (True, False, True)
    """
    return type == "string" or (type in _READ_BY_ARROW and not form & ~_READ_BY_ARROW[type])


def arrow_converts(form: Form, type: str) -> bool:
    """Return whether `as_type` makes of all texts of a column what `text.parse_text` makes of them: values, or nulls where they have none.

    Examples
    --------
    >>> arrow_converts(Form.INTEGER | Form.WORD, "long"), arrow_converts(Form.INTEGER | Form.CODE, "long")
    (True, False)
    """
    if (digits := decimal_of(type)) is not None:
        return digits[0] <= _MOST_DIGITS and not form & ~(_DECIMALS | _NO_NUMBERS)
    return arrow_reads(form & ~_NO_VALUES.get(type, _NO_FORM), type)


def cast_by_arrow(frame: DataFrame, columns: Mapping[str, tuple[str, str]], options: Options, *, keep_texts: bool) -> DataFrame:
    """Return the frame with the typed columns first.

    Parameters
    ----------
    columns : mapping of a new column's name to the text column (``_r0`` …) and the type that it is read as
    keep_texts : bool, whether the source texts are kept, too
    """
    schema_before = frame.schema
    replaced = set() if keep_texts else {text for text, _ in columns.values()}
    kept_fields = [field for field in schema_before.fields if field.name not in replaced]
    schema = StructType([*(StructField(name, _spark_type(type)) for name, (_, type) in columns.items()), *kept_fields])
    read_columns = partial(
        _read,
        columns=[*columns.values()],
        kept_places=[schema_before.names.index(field.name) for field in kept_fields],
        places={text: schema_before.names.index(text) for text, _ in columns.values()},
        nulls=null_words(options),
    )
    return frame.mapInArrow(read_columns, schema)


def _spark_type(type: str) -> DataType:
    if (digits := decimal_of(type)) is not None:
        return T.DecimalType(*digits)
    return {
        "int": T.IntegerType, "long": T.LongType, "float": T.FloatType, "double": T.DoubleType, "boolean": T.BooleanType, "date": T.DateType,
        "timestamp": T.TimestampNTZType, "timestamp_utc": T.TimestampType, "string": T.StringType,
    }[type]()  # fmt: skip


def _survey(
    batches: Iterable[pa.RecordBatch], places: Sequence[int], line: int | None, nulls: Sequence[str]
) -> Iterator[pa.RecordBatch]:
    """Yield one row: for each column the forms of the texts in rows, and in all."""
    rows, forms_elsewhere = [_NO_FORM] * len(places), [_NO_FORM] * len(places)
    for batch in batches:
        columns = [_without_nulls(batch.column(place), nulls) for place in places]
        is_row = None if line is None or batch.column(line).null_count == len(batch) else pc.is_null(batch.column(line))
        for i, column in enumerate(columns):
            rows[i] |= forms_of(column if is_row is None else column.filter(is_row), rows[i])
            if is_row is not None:
                forms_elsewhere[i] |= forms_of(column.filter(pc.invert(is_row)), rows[i])
    every = [int(form | form_elsewhere) for form, form_elsewhere in zip(rows, forms_elsewhere, strict=True)]
    yield pa.RecordBatch.from_arrays(
        [pa.array([values], pa.list_(pa.int32())) for values in ([int(form) for form in rows], every)], names=["rows", "every"]
    )


def forms_of(texts: pa.Array, likely: Form = _NO_FORM) -> Form:
    """Return the forms of some texts.

    Parameters
    ----------
    likely : Form, the forms to try first
    """
    forms = _NO_FORM
    remaining = texts.drop_null()
    remaining = remaining.filter(pc.not_equal(pc.utf8_trim(remaining, " "), ""))
    first = _related_forms(likely) & ~Form.NO_MOMENT  # which is what is left after dates and times
    for form, pattern in sorted(_PATTERNS.items(), key=lambda entry: not entry[0] & first):
        if not len(remaining):
            return forms
        matches = pc.match_substring_regex(remaining, pattern)
        if pc.any(matches).as_py():
            forms |= _forms_of_matches(remaining.filter(matches), form)
            remaining = remaining.filter(pc.invert(matches))
    return forms | (Form.OTHER if len(remaining) else _NO_FORM)


def _related_forms(form: Form) -> Form:
    """Return the forms whose patterns match texts of some forms."""
    if form & Form.EXACT_FRACTION:
        form |= Form.FRACTION | Form.SCIENTIFIC
    return form | (Form.TIME if form & Form.MIDNIGHT else _NO_FORM) | (Form.WORD if form & (Form.BOOLEAN | Form.NAN) else _NO_FORM)


def _forms_of_matches(texts: pa.Array, form: Form) -> Form:
    """Return the forms of texts that match a form's pattern."""
    if form is Form.WORD:
        booleans = pc.match_substring_regex(texts, _BOOLEAN)
        padded = pc.match_substring_regex(texts, _BOOLEAN_AND_BLANKS)
        nan = pc.match_substring_regex(texts, _NAN)
        words = pc.invert(pc.or_(pc.or_(booleans, padded), nan))
        masks = {Form.BOOLEAN: booleans, Form.OTHER: padded, Form.NAN: nan, Form.WORD: words}
        return reduce(or_, (form for form, mask in masks.items() if pc.any(mask).as_py()))
    if form is Form.ZONED:
        return Form.OTHER if pc.any(pc.match_substring_regex(texts, _CALENDAR_ENDS)).as_py() else form
    if form in (Form.DATE, Form.TIME):
        if pc.any(pc.starts_with(texts, "0000")).as_py():
            return Form.OTHER
        if form is Form.DATE:
            return form
        midnight = pc.match_substring_regex(texts, _MIDNIGHT)
        return (Form.MIDNIGHT if pc.any(midnight).as_py() else _NO_FORM) | (Form.TIME if not pc.all(midnight).as_py() else _NO_FORM)
    if form in (Form.FRACTION, Form.ZERO_FRACTION, Form.SCIENTIFIC):
        lengths = pc.utf8_length(pc.utf8_ltrim(texts, "-"))
        if pc.max(lengths).as_py() <= _FEW_CHARACTERS:
            return form
        long_texts = texts.filter(pc.greater(lengths, _FEW_CHARACTERS))
        short_form = form if len(long_texts) < len(texts) else _NO_FORM
        exact = form is not Form.ZERO_FRACTION and all(map(_is_exact, long_texts.to_pylist()))
        return short_form | (Form.EXACT_FRACTION if exact else Form.OTHER)
    return form


def _is_exact(text: str) -> bool:
    """Return whether the shortest text of the double has the same digits as the text."""
    return "." in text and len(text) <= _MOST_CHARACTERS and _digits(repr(float(text))) == _digits(text)


def _digits(number: str) -> str:
    return number.lower().partition("e")[0].lstrip("-").replace(".", "").strip("0")


def _without_nulls(texts: pa.Array, nulls: Sequence[str]) -> pa.Array:
    """Return the texts with null in place of null words."""
    if not nulls:
        return texts
    return pc.if_else(pc.is_in(texts, pa.array(nulls, pa.string())), pa.scalar(None, pa.string()), texts)


def _read(
    batches: Iterable[pa.RecordBatch], columns: Sequence[tuple[str, str]], kept_places: Sequence[int], places: Mapping[str, int], nulls: Sequence[str]
) -> Iterator[pa.RecordBatch]:  # fmt: skip
    """Yield the typed columns, and the others unchanged."""
    for batch in batches:
        values = [as_type(_without_nulls(batch.column(places[text]), nulls), type) for text, type in columns]
        arrays = [*values, *(batch.column(place) for place in kept_places)]
        # Java takes columns by their order.
        yield pa.RecordBatch.from_arrays(arrays, names=[f"c{place}" for place in range(len(arrays))])


def as_type(texts: pa.Array, type: str) -> pa.Array:
    """Return texts as values of a type that converts them (`arrow_converts`); those without a value, blank ones among them, are null."""
    if type == "string":
        return texts
    if type == "boolean":
        blank = pc.equal(pc.utf8_trim(texts, " "), "")
        return pc.equal(pc.ascii_lower(pc.if_else(blank, pa.scalar(None, pa.string()), texts)), "true")
    if (digits := decimal_of(type)) is not None:
        return _as_decimal(_of_forms(texts, _DECIMALS), *digits)
    if type == "timestamp_utc":
        instants = _of_forms(texts, Form.ZONED).cast(pa.timestamp("us", "UTC"))
        walls = _of_forms(texts, _TIMES).cast(pa.timestamp("us")).cast(pa.timestamp("us", "UTC"))
        return pc.coalesce(instants, walls)
    return _of_forms(texts, _READ_BY_ARROW[type]).cast(
        {
            "int": pa.int32(), "long": pa.int64(), "float": pa.float32(), "double": pa.float64(), "date": pa.date32(),
            "timestamp": pa.timestamp("us"),
        }[type]
    )  # fmt: skip


def _of_forms(texts: pa.Array, forms: Form) -> pa.Array:
    """Return the texts that a pattern of some forms matches; null in place of others."""
    patterns = [pattern.removeprefix("^") for form, pattern in _PATTERNS.items() if _related_forms(forms) & form]
    return pc.if_else(pc.match_substring_regex(texts, f"^(?:{'|'.join(patterns)})"), texts, pa.scalar(None, pa.string()))


def _as_decimal(texts: pa.Array, precision: int, scale: int) -> pa.Array:
    """Return texts as decimals, null where digits before the point are too many, or digits after it other than zeros."""
    values = texts.cast(pa.decimal128(38, _FRACTION_DIGITS))
    rounded = pc.round(values, scale) if scale < _FRACTION_DIGITS else values
    largest = pa.scalar(Decimal(10) ** (precision - scale), pa.decimal128(38, _FRACTION_DIGITS)) if precision - scale < 24 else None
    fits = pc.equal(rounded, values)
    if largest is not None:
        fits = pc.and_(fits, pc.less(pc.abs(values), largest))
    return pc.if_else(fits, values, pa.scalar(None, values.type)).cast(pa.decimal128(precision, scale))
