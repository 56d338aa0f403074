"""Contributions to a prediction: they add up, are those of the definition, and are exact for sums."""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings, strategies as st

from caudal.stages.explain import shapley
from caudal.stages.explain.shapley import explain_prediction

NUMBERS = st.floats(-100, 100).map(lambda value: round(value, 2))


def one_row(values: list[float]) -> pd.DataFrame:
    return pd.DataFrame([values], columns=[f"x{number}" for number in range(len(values))])


def curved(frame: pd.DataFrame) -> Any:
    """Return a function with products of inputs, a step and a bend."""
    values = frame.to_numpy("float64")
    return values[:, 0] * values[:, -1] + np.maximum(values.sum(axis=1), 3) + 10 * (values[:, 0] > 2) + np.tanh(values).prod(axis=1)


@settings(max_examples=30, deadline=None)
@given(st.lists(st.tuples(NUMBERS, NUMBERS), min_size=1, max_size=14), st.integers(0, 5))
def test_contributions_add_up_to_the_prediction_less_the_typical_one(pairs: list[tuple[float, float]], seed: int) -> None:
    row, typical = one_row([own for own, _ in pairs]), one_row([usual for _, usual in pairs])
    found = explain_prediction(curved, row, typical, seed)
    assert found.prediction == pytest.approx(curved(row)[0])
    assert found.typical == pytest.approx(curved(typical)[0])
    scale = 1 + abs(found.prediction) + abs(found.typical)
    assert sum(found.contributions.values()) == pytest.approx(found.prediction - found.typical, abs=1e-9 * scale * 100)
    assert found.exact == (sum(own != usual for own, usual in pairs) <= shapley.MAX_EXACT)
    assert all(found.contributions[f"x{number}"] == 0 for number, (own, usual) in enumerate(pairs) if own == usual)


@settings(max_examples=20, deadline=None)
@given(st.lists(st.tuples(NUMBERS, NUMBERS), min_size=1, max_size=4))
def test_contributions_are_those_of_the_definition(pairs: list[tuple[float, float]]) -> None:
    row, typical = one_row([own for own, _ in pairs]), one_row([usual for _, usual in pairs])
    expected = np.zeros(len(pairs))
    for order in itertools.permutations(range(len(pairs))):
        mixed = typical.copy()
        for place in order:
            before = curved(mixed)[0]
            mixed.iloc[0, place] = row.iloc[0, place]
            expected[place] += (curved(mixed)[0] - before) / math.factorial(len(pairs))
    found = explain_prediction(curved, row, typical)
    assert list(found.contributions.values()) == pytest.approx(expected.tolist(), abs=1e-8 * (1 + np.abs(expected).max()) * 100)


@given(st.lists(st.tuples(NUMBERS, NUMBERS, NUMBERS), min_size=1, max_size=16))
@settings(max_examples=20, deadline=None)
def test_a_sum_is_taken_apart_exactly(triples: list[tuple[float, float, float]]) -> None:
    weights = np.array([weight for *_, weight in triples])
    row, typical = one_row([own for own, *_ in triples]), one_row([usual for _, usual, _ in triples])
    found = explain_prediction(lambda frame: frame.to_numpy("float64") @ weights + 7, row, typical)
    expected = [weight * (own - usual) for own, usual, weight in triples]
    assert list(found.contributions.values()) == pytest.approx(expected, abs=1e-6)


def test_texts_nulls_and_booleans_are_exchanged_whole() -> None:
    row = pd.DataFrame({"zone": ["C"], "km": [np.nan], "rush": [True], "seats": [4]})
    typical = pd.DataFrame({"zone": ["A"], "km": [2.0], "rush": [False], "seats": [4]})
    seen: list[pd.DataFrame] = []

    def predict(frame: pd.DataFrame) -> Any:
        seen.append(frame)
        return (3.0 * (frame["zone"] == "C") + frame["km"].fillna(10.0) + 5.0 * frame["rush"]).to_numpy("float64")

    found = explain_prediction(predict, row, typical)
    assert found.contributions == pytest.approx({"zone": 3.0, "km": 8.0, "rush": 5.0, "seats": 0.0})
    (frame,) = seen
    assert len(frame) == 8
    assert [frame[name].dtype for name in row] == [row[name].dtype for name in row]
