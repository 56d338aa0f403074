"""Which functions are compared, and with which arguments.

A line is ``names: arguments | other arguments``; an argument is a kind of column of `caudal.engine.sail.values`, a group of kinds, or a constant
(``'text'``, ``=2``, ``=null``, ``=x -> x``). Every combination of the kinds of the groups is compared. Names with a capital are groups.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import product

from caudal.engine.sail.cases import Case
from caudal.engine.sail.signature import Construct
from caudal.engine.sail.values import TYPES

_INTEGERS = "int bigint smallint tinyint"
_DECIMALS = "dec10_2 dec38_18 dec18_6 dec20_0 dec5_0"
_NUMBERS = "int bigint double dec10_2 float smallint tinyint dec38_18 dec18_6 dec20_0 dec5_0"
_TIMES = "timestamp date timestamp_ntz"
ATOMS = f"string {_NUMBERS} {_TIMES} boolean binary"
_ARRAYS = "a_int a_plain a_string a_double a_bigint a_struct a_timestamp a_date a_boolean a_a_int"
_MAPS = "m_string_int m_string_string m_int_double"


def _pairs(pairs: Iterable[tuple[str, ...]]) -> str:
    return " ".join(map("+".join, pairs))


GROUPS: dict[str, str] = {
    "I": _INTEGERS,
    "D": _DECIMALS,
    "F": "double float",
    "N": _NUMBERS,
    "T": _TIMES,
    "X": ATOMS,
    "A": _ARRAYS,
    "M": _MAPS,
    "Any": f"{ATOMS} {_ARRAYS} {_MAPS} struct plain",
    "Ordered": f"{ATOMS} {_ARRAYS} struct plain",
    # Two numbers as they meet: of one kind, of neighbouring kinds, and decimals with each other.
    "Same": _pairs([(kind, kind) for kind in _NUMBERS.split()]),
    "Pair": _pairs(
        [(kind, kind) for kind in ["int", "bigint", "double", "float", "smallint", "tinyint"]]
        + [*product(_DECIMALS.split(), repeat=2)]
        + [
            pair
            for pair in product(["int", "bigint", "double", "float", "smallint", "tinyint"], repeat=2)
            if pair[0] != pair[1] and {"int", "bigint", "double"} & {*pair}
        ]
        + [pair for kind in _DECIMALS.split() for other in ("int", "bigint", "double") for pair in ((kind, other), (other, kind))]
    ),
    "SameArray": _pairs([(kind, kind) for kind in _ARRAYS.split()]),
    # What Spark turns into a string, a time or a number by itself.
    "S": "string binary boolean int bigint double dec10_2 date timestamp",
    "P": "string date timestamp timestamp_ntz",
    "Z": "small tinyint smallint",
    "Unit": "'year' 'quarter' 'month' 'week' 'day' 'hour' 'minute' 'second' 'YEAR' 'MONTH' 'DAY' 'mon' 'mm' 'yy' 'yyyy' 'dd' 'HOUR' 'millisecond' 'microsecond' 'decade' 'century'",
    "Part": "'year' 'quarter' 'month' 'week' 'day' 'hour' 'minute' 'second' 'dayofweek' 'dow' 'doy' 'YEAR' 'MONTH' 'DAY' 'HOUR' 'MINUTE' 'SECOND' 'dayofweek_iso' 'yearofweek' 'days'",
    "Format": "'yyyy-MM-dd' 'yyyy-MM-dd HH:mm:ss' 'yyyy-MM-dd HH:mm' 'yyyyMMdd' 'yyyyMM' 'yyyy-MM' 'yyyy' 'MM' 'dd' 'HH' 'mm' 'ss' 'HH:mm' 'HH:mm:ss' 'E' 'EEE' 'EEEE' 'MMM' "
    "'MMMM' 'dd/MM/yyyy' 'MM/dd/yyyy' 'd/M/yyyy' 'dd-MM-yyyy' 'dd.MM.yyyy' 'yyyy/MM/dd' 'yyyy-MM-dd HH:mm:ss.SSS' 'yyyy-MM-dd HH:mm:ss.SSSSSS' 'D' 'Q' 'a' 'hh:mm a' 'MMM d, yyyy' "
    "'yy' 'u' 'H' 'm' 's' 'M' 'd' 'y' 'yyyyMMddHH' 'yyyyMMddHHmmss' 'yyyy_MM_dd' 'SSS'",
    "Zone": "'UTC' 'America/New_York' 'Europe/Berlin' 'Asia/Kolkata' 'Australia/Lord_Howe' 'Europe/London' 'Asia/Tokyo' 'America/Sao_Paulo' 'America/Los_Angeles' '+05:30' '-08:00' 'GMT' 'Z' "
    "'America/Chicago' 'Europe/Paris' 'Asia/Shanghai' 'Australia/Sydney' 'Africa/Casablanca' 'Europe/Dublin' 'Asia/Tehran' 'Pacific/Apia' 'Etc/GMT+5' 'Europe/Moscow'",
    "Digits": "=0 =1 =2 =3 =4 =6 =-1 =-2",
    "Pattern": "'%a%' 'a%' '%a' 'abc' 'a_c' '%' '_' '' 'A%' '%é%' '[a]' '%.%' '__' 'a%b' '%\"%' '(%'",
    "Regex": "'a' '^a' '[a-z]+' '[0-9]+' '^[0-9]+$' 'a|b' '(a)(b)' 'b*' '^a.*' ',' '[^a-z]' '[A-Z]' '(ab)+' '-' ' ' '[0-9]{2,3}' 'é' ''",
    "Hard": "'\\\\\\\\d+' '\\\\\\\\s+' '\\\\\\\\w+' '$' 'a$' '.' '.*' '\\\\\\\\bab' '(?i)ABC' 'a*?'",
}

SCALAR = """
+ - *: Pair | date Z | date int | timestamp timestamp | date date | string int | int string | double string
/ % div pmod mod try_add try_subtract try_multiply try_divide try_mod: Pair
+ - try_add try_subtract: T =interval '1' day | T =interval '2' hour | T =interval '3' month | T =interval '1' year
== != < <= > >= <=>: Pair | boolean boolean | string string | binary binary | T T | SameArray | struct struct | string N | N string | string T | T string
equal_null nullif ifnull nvl: Same | boolean boolean | string string | binary binary | T T | SameArray | struct struct
== != < <= > >= <=>: P '2024-01-07' | timestamp '2024-03-10 02:30:00' | N =0 | N =1 | N =2.5 | N =-1 | N =1.5D | N =100L | boolean =true
coalesce greatest least: Pair | int int int
coalesce nvl: boolean boolean | string string | binary binary | T T | SameArray | struct struct | Any =null
greatest least: string string | T T | boolean boolean | binary binary | SameArray | struct struct | string string string | double double double
nvl2 if: boolean Same | boolean string string | boolean Any =null
and or: boolean boolean | boolean =null | boolean =true | boolean =false
not: boolean
negative positive abs sign signum: N | string
& | ^: I I
~ bitwise_not bit_count: I | boolean
shiftleft shiftright shiftrightunsigned << >> >>>: I Z | int int
bit_get getbit: I Z
isnull isnotnull: Any | =null
isnan nanvl: F | F F
nullifzero zeroifnull: N
acos acosh asin asinh atan atanh cbrt cos cosh cot csc degrees exp expm1 ln log log10 log1p log2 radians rint sec sin sinh sqrt tan tanh: N | string
ceil ceiling floor round bround: N | string
round bround ceil floor: N Digits
atan2 hypot pow power log: double double | int int | double int | float float | dec10_2 dec10_2 | bigint bigint | int double
pow power: double =2 | int =2 | bigint =2
factorial: I
bin hex: I | string | binary
unhex: string
conv: string =10 =16 | string =16 =10 | string =2 =10 | bigint =10 =2
width_bucket: double =0.0D =10.0D =5 | int =0 =10 =5
greatest: double =0.0D
ascii base64 bit_length char_length character_length lcase length lower octet_length ucase upper initcap soundex trim ltrim rtrim btrim reverse crc32 md5 sha sha1 unbase64 quote is_valid_utf8 make_valid_utf8 try_validate_utf8 validate_utf8 url_encode url_decode try_url_decode: S
char chr: I
sha2: S =256 | S =224 | S =384 | S =512 | S =0
hash xxhash64: Any | int string
concat: string S | S string | string =' ' string | SameArray | string string string | string =null
||: string S | S string
concat_ws: ',' string string | '' S S | '-' string a_string | '|' string string string | ', ' a_string | '_' S string
contains startswith endswith: string string | string 'a' | binary binary
instr find_in_set levenshtein: string string | string 'a'
locate position: string string | 'a' string | string string small
left right repeat substring substr: string small | string Z | binary small
substring substr: string small small | binary small small | string =1 =3 | S =1 =2 | string =0 =2 | string =-2 =2
repeat: S =2
space: small
lpad rpad: string small string | string =5 ' ' | string =5 '0' | S =4 '0' | string small
overlay: string string small | string string small small
replace: string string string | string 'a' 'b' | string 'a' '' | string string | string ' ' ''
translate: string string string | string 'abc' 'xy'
split_part: string string small | string ',' =1 | string ' ' =2 | string '-' =-1
substring_index: string string small | string '.' =1 | string '.' =-1
trim ltrim rtrim btrim: string string | string ' '
elt: small string string
format_number: double =2 | int =0 | dec10_2 =2
format_string printf: '%s' string | '%d' int | '%d' bigint | '%.2f' double | '%05d' int | '%s-%s' string string | '%s' S | '%02d' int
encode: string 'utf-8' | string 'UTF-8' | string 'ISO-8859-1' | string 'US-ASCII' | string 'UTF-16'
decode: binary 'utf-8' | binary 'UTF-8' | binary 'ISO-8859-1' | binary 'US-ASCII'
to_binary try_to_binary: string 'utf-8' | string 'hex' | string 'base64'
to_number try_to_number: string '999' | string '999.99' | string 'S999'
to_char to_varchar: int '999' | dec10_2 '9999.99'
mask: string
like ilike: string Pattern
rlike regexp regexp_like: string Regex | string Hard
regexp_replace: string Regex '' | string Regex 'x' | string Regex '$1' | string Hard 'x'
regexp_extract: string Regex =0 | string '(a)(b)' =1 | string '([0-9]+)' =1 | string '([a-z]+)' =1 | string Hard =0 | string '(a)|(b)' =2
regexp_extract_all: string Regex =0 | string '([a-z]+)' =1
regexp_count regexp_substr regexp_instr: string Regex
split: string Regex | string ',' =2 | string ' ' =-1 | string Hard
sentences: string
str_to_map: string | string ',' ':' | string ',' '='
parse_url try_parse_url: string 'HOST' | string 'PATH' | string 'QUERY'
get_json_object: string '$.a' | string '$.b' | string '$.c.d' | string '$.b[0]' | string '$'
json_array_length json_object_keys: string
to_json: struct | a_struct | m_string_int | m_string_string | a_int | a_string | a_double
to_csv: struct
add_months: P Z | P int | date =1 | date =-1 | date =12
date_add date_sub dateadd: P Z | P int | date =1 | date =7
date_diff datediff: P P
date_format: P Format
date_from_unix_date: int | small
date_part datepart extract: Part date | Part timestamp | Part timestamp_ntz
date_trunc: Unit timestamp | Unit date | Unit timestamp_ntz | Unit string
trunc: date Unit | timestamp Unit | string Unit
day dayname dayofmonth dayofweek dayofyear last_day month monthname quarter weekday weekofyear year hour minute second unix_date unix_micros unix_millis unix_seconds: P
unix_timestamp to_unix_timestamp to_timestamp to_timestamp_ltz to_timestamp_ntz to_date try_to_date try_to_timestamp: P | string Format
unix_timestamp to_unix_timestamp to_date to_timestamp: timestamp Format
unix_timestamp to_unix_timestamp: timestamp_ntz 'yyyy-MM-dd HH:mm:ss' | date 'yyyy-MM-dd HH:mm:ss'
from_unixtime: bigint | int | bigint Format | small
from_utc_timestamp to_utc_timestamp: P Zone
convert_timezone: Zone 'UTC' timestamp_ntz | 'UTC' Zone timestamp_ntz | 'America/New_York' 'Europe/Berlin' timestamp_ntz
make_date: int int int | small small small | =2024 small small
make_timestamp try_make_timestamp make_timestamp_ntz try_make_timestamp_ntz make_timestamp_ltz: =2024 small small small small small | =2024 small =3 small small =1.5 | =2024 =1 small small =0 =0
make_dt_interval: small small small
make_ym_interval: small small
months_between: P P | date date =false | timestamp timestamp =true
next_day: date 'Mon' | date 'Sunday' | date 'TU' | string 'FR'
timestamp_micros timestamp_millis: I
timestamp_seconds: N
array: Same | string string | date date | timestamp timestamp | boolean boolean | int string | struct struct | plain plain | X | string string string
array_append array_prepend array_remove array_position array_contains: a_int int | a_bigint bigint | a_double double | a_string string | a_boolean boolean | a_date date | a_timestamp timestamp | a_a_int a_int | a_struct struct | a_string 'a' | a_int =1
array_compact array_distinct array_max array_min size cardinality reverse array_sort sort_array array_size flatten: A
size cardinality map_keys map_values map_entries: M
sort_array: A =true | A =false
array_except array_intersect array_union arrays_overlap arrays_zip: SameArray
arrays_zip: a_int a_string
array_insert: a_int small int | a_string small string | a_double small double
array_join: a_string ',' | a_string string | a_string ',' 'x' | a_string string string | a_int ','
array_repeat: X small | X =2 | A =2
element_at try_element_at get []: A small | A =1 | A =0 | A =-1
element_at try_element_at []: m_string_int string | m_string_string string | m_int_double int | m_string_int 'a'
flatten: a_a_int
sequence: small small | small small small | near_date near_date =interval '1' day | near_time near_time =interval '1' hour | near_date near_date =interval '1' month | near_date near_date | =1 small | =0 small
slice: A small small | A =1 =2
map: string X | int X | string A | string struct
map_concat: m_string_int m_string_int | m_string_string m_string_string | m_int_double m_int_double
map_contains_key: m_string_int string | m_string_string string | m_int_double int
map_from_arrays: a_string a_int | a_int a_string
struct: Any
named_struct: 'x' Any
exists forall filter: a_int =x -> x > 1 | a_string =x -> x > 'a' | a_double =x -> x > 1 | A =x -> x is not null | a_bigint =x -> x > 1
transform: A =x -> x | a_int =x -> cast(x as string) | a_string =x -> upper(x) | a_int =(x, i) -> i | a_struct =x -> x.i | A =x -> x is null
array_sort: a_int =(x, y) -> case when x < y then 1 when x > y then -1 else 0 end
aggregate reduce: a_double =0.0D =(acc, x) -> greatest(acc, x) | a_string ='' =(acc, x) -> concat(acc, x) | a_int =0 =(acc, x) -> greatest(acc, x) | a_string ='' =(acc, x) -> concat(acc, x) =acc -> upper(acc)
transform_keys: M =(k, v) -> k
transform_values: M =(k, v) -> v | m_string_int =(k, v) -> v is null
map_filter: M =(k, v) -> v is not null
map_zip_with: m_string_int m_string_int =(k, x, y) -> coalesce(x, y)
zip_with: a_int a_int =(x, y) -> coalesce(x, y) | a_string a_string =(x, y) -> concat(x, y) | a_int a_string =(x, y) -> y
bitmap_bit_position bitmap_bucket_number: bigint
typeof: Any
assert_true: boolean
bitwise_not: I
raise_error: string
double int bigint string float boolean date timestamp smallint tinyint: S | 'Infinity' | 'NaN' | =1 | =0
nullif: bigint int | int int | bigint =0 | double =0 | string '' | int =0 | double double
- : timestamp_ntz timestamp_ntz | timestamp date | date timestamp
"""
"""Functions of one row."""

_OPERATORS = frozenset(
    {
        "+",
        "-",
        "*",
        "/",
        "%",
        "div",
        "==",
        "!=",
        "<",
        "<=",
        ">",
        ">=",
        "<=>",
        "&",
        "|",
        "^",
        "||",
        "and",
        "or",
        "like",
        "ilike",
        "rlike",
        "<<",
        ">>",
        ">>>",
    }
)
_PREFIXES = {"~": "~ {}", "negative": "negative({})", "positive": "positive({})", "not": "NOT {}"}

AGGREGATES = """
count count_if bool_and bool_or every some: boolean
count approx_count_distinct: Any | *
max min: Ordered
sum avg mean try_sum try_avg: I | D | small | tame | special | negative_zero | tame_float | special_float
stddev std stddev_pop stddev_samp var_pop var_samp variance skewness kurtosis: tame | tame_float | small | dec10_2 | special
median: N
bit_and bit_or bit_xor: I
max_by min_by: string o | int o | double o | timestamp o | struct o | a_int o | string string | int double | string timestamp | o double
percentile: N =0.5 | double =0.0 | double =1.0 | int =0.25 | double =0.9 | int =0.9
percentile_approx approx_percentile: N =0.5 | double =0.9 | int =0.9 | double =0.1
corr covar_pop covar_samp regr_avgx regr_avgy regr_count regr_intercept regr_r2 regr_slope regr_sxx regr_sxy regr_syy: tame tame | small small
product: small | tame
mode: small | string
"""
"""Functions of the rows of a group whose result does not depend on their order, but for the last digits of doubles."""

DISTINCT = "count: X | struct | int string\nsum avg: I | D | tame | special | tame_float\nmax min: X"

CASTABLE = f"{ATOMS} a_int a_string a_double m_string_int struct void"
TARGETS = "boolean tinyint smallint int bigint float double decimal(5,0) decimal(10,2) decimal(18,6) decimal(20,0) decimal(38,18) string binary date timestamp timestamp_ntz"


def scalar_cases() -> Iterator[Case]:
    """Return the cases of functions and operators of one row."""
    for name, arguments in signatures(SCALAR):
        yield Case(call_of(name, arguments))
    yield from _special()
    yield from _casts()


def signatures(text: str) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Return each name with each combination of kinds of arguments in a text of lines as above."""
    for line in text.strip().splitlines():
        names, _, alternatives = line.partition(": ")
        for name in names.rstrip(":").split():
            for alternative in alternatives.split(" | "):
                if not alternative.strip():
                    continue
                for combined in product(*(_kinds(token) for token in _tokens(alternative))):
                    yield (
                        name,
                        tuple(
                            kind for kinds in combined for kind in ([kinds] if kinds.startswith(("=", "'")) else kinds.split("+"))
                        ),
                    )


def _tokens(text: str) -> list[str]:
    """Return the arguments of a signature; a constant that has spaces ends where the next argument cannot begin."""
    tokens: list[str] = []
    words = text.strip().split(" ")
    place = 0
    while place < len(words):
        word = words[place]
        if word.startswith(("'", "='")):
            while not (word.endswith("'") and len(word.removeprefix("=")) > 1):
                place += 1
                word += " " + words[place]
        elif word.startswith("=interval"):
            word = " ".join(words[place : place + 3])
            place += 2
        elif word.startswith("=") and ("->" in words[place + 1 : place + 2] or word.startswith("=(")):
            end = next((i for i in range(place + 1, len(words)) if words[i].startswith("=")), len(words))
            word = " ".join(words[place:end])
            place = end - 1
        tokens.append(word)
        place += 1
    return tokens


def _kinds(token: str) -> list[str]:
    if token.startswith(("=", "'", "*")):
        return [token]
    if token in GROUPS:
        group = GROUPS[token]
        return _tokens(group) if group.startswith(("'", "=")) else group.split()
    return [token]


def _argument(word: str, place: int) -> str:
    if word.startswith("="):
        return word[1:]
    if word.startswith(("'", "*")):
        return word
    return "o" if word == "o" else f"{'abcabc'[place]}_{word}"


def call_of(name: str, kinds: tuple[str, ...]) -> str:
    """Return the text of a function of columns of these kinds."""
    columns = iter(range(6))
    arguments = [_argument(kind, next(columns) if not kind.startswith(("=", "'", "*")) else 0) for kind in kinds]
    if name in _OPERATORS:
        return f"{arguments[0]} {'=' if name == '==' else name} {arguments[1]}"
    if name == "[]":
        return f"{arguments[0]}[{arguments[1]}]"
    if name in _PREFIXES:
        return _PREFIXES[name].format(arguments[0])
    return f"{name}({', '.join(arguments)})"


def _special() -> Iterator[Case]:
    for kind in ATOMS.split():
        yield Case(f"a_{kind} IN (b_{kind}, c_{kind})")
        yield Case(f"a_{kind} BETWEEN b_{kind} AND c_{kind}")
        yield Case(f"CASE WHEN a_boolean THEN a_{kind} END")
        yield Case(f"CASE WHEN a_boolean THEN a_{kind} ELSE b_{kind} END")
        yield Case(f"CASE WHEN a_boolean THEN a_{kind} WHEN b_boolean THEN b_{kind} ELSE c_{kind} END")
        yield Case(f"CASE WHEN a_boolean THEN a_{kind} WHEN b_boolean THEN b_{kind} END")
        yield Case(f"CASE WHEN a_boolean THEN NULL ELSE a_{kind} END")
        yield Case(f"CASE WHEN a_boolean THEN a_{kind} ELSE NULL END")
    for kind in f"{_ARRAYS} {_MAPS} struct".split():
        yield Case(f"CASE WHEN a_boolean THEN a_{kind} END")
        yield Case(f"CASE WHEN a_boolean THEN a_{kind} ELSE b_{kind} END")
    for one, other in product(["int", "bigint", "double", "dec10_2", "string"], repeat=2):
        if one != other:
            yield Case(f"CASE WHEN a_boolean THEN a_{one} ELSE b_{other} END")
    for kind, constants in {
        "int": "1, 2, 7", "bigint": "1, 2", "string": "'a', 'abc', ''", "double": "1.0D, 2.5D", "smallint": "1, 2", "tinyint": "1, 2", "date": "'2024-01-07'", "boolean": "true",
        "float": "1.0D",
    }.items():  # fmt: skip
        yield Case(f"a_{kind} IN ({constants})")
        yield Case(
            f"a_{kind} BETWEEN 1 AND 10" if kind not in ("string", "date", "boolean") else f"a_{kind} BETWEEN b_{kind} AND c_{kind}"
        )
    for field in ("i", "s", "d", "l", "b", "t", "day", "n"):
        yield Case(f"a_struct['{field}']")
        if field != "d":
            yield Case(f"a_plain['{field}']")
    for field in ("x", "p", "c"):
        yield Case(f"a_nested['{field}']")
    intervals = Construct("div", ("interval day", "interval day"))
    for kind in ("small", "small_bigint"):
        for unit in ("'1' second", "'15' minute", "'1' hour", "'1' day"):
            yield Case(f"a_{kind} * interval {unit}")
            yield Case(f"interval {unit} * a_{kind}")
    for kind in ("int", "bigint", "small"):
        yield Case(f"a_{kind} * interval '0.000001' second")
    for kind in ("timestamp", "timestamp_ntz"):
        for unit in ("'0.000001' second", "'1' second", "'1' hour", "'1' day", "'15' minute"):
            yield Case(f"(a_{kind} - b_{kind}) div interval {unit}", "scalar", intervals)


def _casts() -> Iterator[Case]:
    for source in CASTABLE.split():
        for target in TARGETS.split():
            for mode in ("cast", "try_cast"):
                yield Case(f"{mode}({'NULL' if source == 'void' else f'a_{source}'} AS {target})")
    yield Case("cast(a_long_decimal AS double)")
    for kind in f"{_ARRAYS} {_MAPS}".split():
        if kind not in ("a_struct", "a_plain"):
            yield Case(f"cast(a_{kind} AS {TYPES[kind][0]})")
            yield Case(f"cast(NULL AS {TYPES[kind][0]})")
    for text in ("0001-01-01", "1582-10-04", "1582-10-15", "1900-01-01", "1969-12-31", "2000-02-29", "2024-03-10", "9999-12-31"):
        for target in ("date", "timestamp", "timestamp_ntz"):
            yield Case(f"cast('{text}' AS {target})")
            if target != "date":
                for time in ("00:00:00", "02:30:00", "23:59:59.999999", "12:00:00.5", "06:07:08.123"):
                    yield Case(f"cast('{text} {time}' AS {target})")
    for source, target in (
        ("a_int", "array<bigint>"),
        ("a_int", "array<string>"),
        ("a_string", "array<int>"),
        ("a_int", "array<double>"),
        ("m_string_int", "map<string,bigint>"),
    ):
        yield Case(f"cast(a_{source} AS {target})")


def aggregate_cases() -> Iterator[Case]:
    """Return the cases of functions of the rows of a group."""
    for name, arguments in signatures(AGGREGATES):
        yield Case(call_of(name, arguments), "aggregate")
    for name, arguments in signatures(DISTINCT):
        yield Case(call_of(name, arguments).replace("(", "(DISTINCT ", 1), "aggregate")
