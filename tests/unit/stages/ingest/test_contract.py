"""Types that meet: what is said to be lossless is, for every value."""

from __future__ import annotations

import itertools
from decimal import Decimal

import hypothesis.strategies as st
from hypothesis import given

from caudal.declarations.schema import TYPES
from caudal.stages.ingest.added_columns import clean_name
from caudal.stages.ingest.widen import common, decimal_of, general, rule

EVERY = (*TYPES, "decimal(10,2)", "decimal(20,0)", "decimal(38,10)")


def test_common_is_the_same_from_both_sides_and_every_type_goes_into_it() -> None:
    for one, other in itertools.product((*EVERY, "null", "text"), repeat=2):
        both = common(one, other)
        assert both == common(other, one) or {one, other} == {"null", "text"}
        if both is not None and both not in ("null", "text"):
            assert rule(one, both, declared=False) is not None, (one, other, both)
            assert rule(other, both, declared=False) is not None, (one, other, both)


def test_what_nobody_declared_never_narrows() -> None:
    for one, other in itertools.permutations(EVERY, 2):
        if rule(one, other, declared=False) is not None and rule(other, one, declared=False) is not None:
            raise AssertionError(f"{one} and {other} go both ways: one of them loses something")
        if rule(one, other, declared=False) is not None:
            assert rule(one, other, declared=True) is not None, "a declaration asks for no less"


def test_general_types_stay_when_files_change_within_a_family() -> None:
    for one in EVERY:
        assert rule(one, general(one), declared=False) is not None
    assert general("int") == "long"
    assert general("float") == "double"


@given(st.integers(1, 38).flatmap(lambda precision: st.tuples(st.just(precision), st.integers(0, precision))), st.data())
def test_a_decimal_that_is_cast_keeps_every_digit(have: tuple[int, int], data: st.DataObject) -> None:
    precision = data.draw(st.integers(1, 38))
    want = (precision, data.draw(st.integers(0, precision)))
    if rule(f"decimal({have[0]},{have[1]})", f"decimal({want[0]},{want[1]})", declared=False) in ("cast", "same"):
        largest = Decimal((0, (9,) * have[0], -have[1]))  # made exactly; arithmetic would round to 28 digits
        digits, exponent = len(largest.as_tuple().digits), -int(largest.as_tuple().exponent)
        assert exponent <= want[1]
        assert digits - exponent <= want[0] - want[1]


@given(st.text(min_size=1, max_size=30))
def test_a_cleaned_name_is_one_that_tables_take_and_is_not_cleaned_twice(raw: str) -> None:
    name = clean_name(raw, set())
    assert name
    assert not name.startswith("_")
    assert not set(name) & set(" ,;{}()\n\t=.")
    assert clean_name(name, set()) == name
    assert clean_name(raw, {name.casefold()}).casefold() != name.casefold()


def test_decimals_are_told_by_their_form() -> None:
    assert decimal_of("decimal(10, 2)") == (10, 2)
    assert decimal_of("decimal") is None
