"""What is read is checked: a description or an index that is not whole is an error, never a wrong prediction or a crash."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from tests.unit.compiled.test_same_bits import ESTIMATORS, compiled, fitted_to

from caudal.compiled import read_compiled
from caudal.compiled.arrays import Arrays
from caudal.compiled.model import ARRAYS, DESCRIPTION
from caudal.errors import EnvironmentProblem

Files = dict[str, bytes]


@pytest.fixture(scope="module")
def files() -> Files:
    fitted, frame = fitted_to(ESTIMATORS["histogram boosting"], 11)
    return compiled(fitted, frame).files


def changed(files: Files, change: Callable[[dict[str, np.ndarray], dict[str, Any]], None]) -> Files:
    """Return the files after a change to the arrays of the nodes, by their names, and to the description."""
    document = json.loads(files[DESCRIPTION])
    arrays = Arrays.of(files[ARRAYS])._by_name
    nodes = document["model"]["parts"][-1]["parts"][-1]["nodes"]
    change({name: arrays[array] for name, array in nodes.items()}, document)
    return {DESCRIPTION: json.dumps(document).encode(), ARRAYS: Arrays(arrays).content()}


def test_unchanged_files_are_read(files: Files) -> None:
    assert read_compiled(changed(files, lambda nodes, document: None), "a version") is not None
    assert read_compiled({}, "a version") is None


@pytest.mark.parametrize(("array", "place", "value"), [
    ("feature", 0, 99), ("feature", 0, -2), ("left", 0, 10**9), ("left", 0, 0), ("right", 0, -1), ("starts", 0, 1), ("starts", -1, 0), ("category", 0, 10**6),
])  # fmt: skip
def test_an_index_beyond_its_array_is_an_error(files: Files, array: str, place: int, value: int) -> None:
    def change(nodes: dict[str, np.ndarray], document: dict[str, Any]) -> None:
        nodes[array][place] = value

    with pytest.raises(EnvironmentProblem, match="cannot be read"):
        read_compiled(changed(files, change), "a version")


def test_a_node_of_two_parents_is_an_error(files: Files) -> None:
    def change(nodes: dict[str, np.ndarray], document: dict[str, Any]) -> None:
        inner = np.flatnonzero(nodes["feature"] >= 0)[0]
        nodes["left"][inner] = nodes["right"][inner]

    with pytest.raises(EnvironmentProblem, match="the child of several"):
        read_compiled(changed(files, change), "a version")


@pytest.mark.parametrize("key", ["form", "inputs", "model", "output"])
def test_a_description_that_lacks_something_is_an_error(files: Files, key: str) -> None:
    with pytest.raises(EnvironmentProblem):
        read_compiled(changed(files, lambda nodes, document: document.pop(key)), "a version")


def test_a_part_of_an_unknown_kind_is_an_error(files: Files) -> None:
    with pytest.raises(EnvironmentProblem, match="KeyError"):
        read_compiled(changed(files, lambda nodes, document: document["model"].update(kind="magic")), "a version")


def test_python_objects_are_not_loaded(files: Files) -> None:
    hidden = Arrays({"a0": np.array([object()], dtype=object)}).content()
    with pytest.raises(EnvironmentProblem, match="cannot be read"):
        read_compiled({**files, ARRAYS: hidden}, "a version")
