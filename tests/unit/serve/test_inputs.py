"""The gate: what passes, what is refused, and how it is said."""

from __future__ import annotations

import math
from typing import Any

import jsonschema_rs
import pytest
from hypothesis import given, strategies as st

from caudal.serve.form_texts import from_text
from caudal.serve.inputs import Row, input_model, validate_row
from caudal.serve.signature import read_signature

# Written out here, apart from the models of conftest.py: the gate needs no model.
EXAMPLE: dict[str, Any] = {
    "trip_distance_mi": 2.5,
    "hour": 17,
    "passengers": 1,
    "borough": "Queens",
    "zone": "Zone 007",
    "weekend": False,
    "mean_speed_past": 11.5,
}
DOCUMENT: dict[str, Any] = {
    "inputs": [
        {"name": "trip_distance_mi", "type": "double", "minimum": 0.0, "maximum": 100.0, "unit": "mi"},
        {"name": "hour", "type": "long", "minimum": 0, "maximum": 23},
        {"name": "passengers", "type": "long", "nullable": True, "minimum": 0, "maximum": 9},
        {"name": "borough", "type": "string", "values": ["Bronx", "Brooklyn", "Manhattan", "Queens", "Staten Island"]},
        {"name": "zone", "type": "string", "values": [f"Zone {number:03d}" for number in range(1, 61)]},
        {"name": "weekend", "type": "boolean"},
        {"name": "mean_speed_past", "type": "double", "nullable": True, "unit": "mi/h"},
    ],
    "output": {"name": "trip duration", "type": "double", "unit": "min", "classes": None},
    "example": EXAMPLE,
}
SIGNATURE = read_signature(DOCUMENT)
MODEL = input_model(SIGNATURE, "row")


def told(*asked: Any) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    row = validate_row(*asked)
    assert row.more == 0
    return row.values, row.problems


def refusals(**changed: Any) -> dict[str | None, dict[str, Any]]:
    values, problems = told({**EXAMPLE, **changed}, SIGNATURE, MODEL)
    assert bool(values) != bool(problems)
    return {one["field"]: one for one in problems}


def test_a_good_row_passes_unchanged() -> None:
    assert validate_row(EXAMPLE, SIGNATURE, MODEL) == Row(EXAMPLE)


def test_a_nullable_input_may_be_left_out() -> None:
    values, problems = told({name: EXAMPLE[name] for name in EXAMPLE if name != "passengers"}, SIGNATURE, MODEL)
    assert not problems
    assert values["passengers"] is None


@pytest.mark.parametrize(
    ("field", "value", "what"),
    [
        ("trip_distance_mi", "3", "not a number"),
        ("trip_distance_mi", True, "not a number"),
        ("trip_distance_mi", None, "null"),
        ("trip_distance_mi", math.nan, "finite"),
        ("trip_distance_mi", math.inf, "finite"),
        ("trip_distance_mi", -0.1, "too small"),
        ("trip_distance_mi", 100.1, "too large"),
        ("mean_speed_past", 10**400, "too large"),
        ("hour", 1.5, "not a whole number"),
        ("hour", 24, "too large"),
        ("borough", "Quens", "not one of"),
        ("borough", 7, "not one of"),
        ("weekend", 1, "not true or false"),
        ("weekend", [], "not true or false"),
    ],
)
def test_a_bad_value_is_named_and_told(field: str, value: Any, what: str) -> None:
    refused = refusals(**{field: value})
    assert list(refused) == [field]
    assert what in refused[field]["problem"]
    assert refused[field]["allowed"] == SIGNATURE.by_name[field].allowed


def test_all_that_is_wrong_is_told_at_once() -> None:
    assert set(refusals(hour=-1, borough="x", weekend="no")) == {"hour", "borough", "weekend"}


def test_the_nearest_category_and_the_nearest_input_are_named() -> None:
    assert refusals(borough="Quens")["borough"]["nearest"] == "Queens"
    assert refusals(hours=3)["hours"]["nearest"] == "hour"


def test_a_long_list_of_categories_is_told_by_a_sample() -> None:
    allowed = refusals(zone="x")["zone"]["allowed"]
    assert allowed.startswith("one of 60 values such as 'Zone 001'")
    assert "Zone 060" not in allowed


def test_an_input_may_have_any_name() -> None:
    names = ["copy", "_day", "model_config", "json", "a b", "class"]
    odd = read_signature(
        {**DOCUMENT, "inputs": [{"name": name, "type": "long"} for name in names], "example": dict.fromkeys(names, 1)}
    )
    model = input_model(odd, "odd")
    row = {name: index for index, name in enumerate(names)}
    assert validate_row(row, odd, model) == Row(row)
    assert list(model.model_json_schema()["properties"]) == names


@pytest.mark.parametrize(("kind", "values"), [("long", [1, 2]), ("double", [0.5, 1.0]), ("boolean", [True])])
def test_categories_need_not_be_text(kind: str, values: list[Any]) -> None:
    signature = read_signature({**DOCUMENT, "inputs": [{"name": "x", "type": kind, "values": values}], "example": {"x": values[0]}})
    model = input_model(signature, "x")
    assert validate_row({"x": values[0]}, signature, model) == Row({"x": values[0]})
    assert validate_row({"x": 3}, signature, model).problems[0]["field"] == "x"


# Numbers beyond float64 are left out: JSON Schema compares them exactly, and no reader of JSON keeps them so.
anything = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=4,
)
near_rows = st.fixed_dictionaries(
    {},
    optional={
        **{name: anything | st.just(value) for name, value in EXAMPLE.items()},
        "hour": st.just(17) | st.integers(-5, 30) | st.floats(-5, 30),
        "unknown": anything,
    },
)
VALIDATOR = jsonschema_rs.validator_for(MODEL.model_json_schema())


@given(near_rows)
def test_the_gate_lets_through_what_its_schema_promises(row: dict[str, Any]) -> None:
    _, problems = told({**EXAMPLE, **row}, SIGNATURE, MODEL)
    assert VALIDATOR.is_valid({**EXAMPLE, **row}) == (not problems)
    assert all(one["field"] and one["problem"] and one["allowed"] for one in problems)


@given(
    st.dictionaries(
        st.sampled_from([*EXAMPLE, "unknown"]), st.text(max_size=12) | st.from_regex(r"[0-9.eE+-]{1,8}", fullmatch=True)
    )
)
def test_texts_of_a_form_become_values_or_refusals(texts: dict[str, str]) -> None:
    values, problems = told(from_text(texts, SIGNATURE), SIGNATURE, MODEL)
    assert bool(values) != bool(problems)
    if values:
        assert math.isfinite(values["trip_distance_mi"])


@pytest.mark.parametrize("text", ["1_000", "nan", "inf", "0x10", "1,5", "", " ", "١"])
def test_what_only_python_takes_for_a_number_is_refused(text: str) -> None:
    values, problems = told(
        from_text({**{n: str(v) for n, v in EXAMPLE.items()}, "trip_distance_mi": text}, SIGNATURE), SIGNATURE, MODEL
    )
    assert not values
    assert [one["field"] for one in problems] == ["trip_distance_mi"]


def test_a_form_of_the_example_gives_the_example() -> None:
    texts = {name: str(value) for name, value in EXAMPLE.items()}
    assert from_text(texts, SIGNATURE) == EXAMPLE


def test_what_is_wrong_with_a_row_is_described_in_bounds() -> None:
    row = validate_row({f"no{number}": 1 for number in range(700)}, SIGNATURE, MODEL, 5)
    assert len(row.problems) == 5
    missing = sum(not one.nullable for one in SIGNATURE.inputs)
    assert len(row.problems) + row.more == 700 + missing
    assert validate_row([], SIGNATURE, MODEL, 0) == Row(more=1)
    assert validate_row({**EXAMPLE, "no": 1, "nor": 2}, SIGNATURE, MODEL, 0) == Row(more=2)
