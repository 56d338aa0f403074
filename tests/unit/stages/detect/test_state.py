"""A stored state is taken up only if it is whole, of this version, and of this declaration."""

from __future__ import annotations

import numpy as np
import pytest

from caudal import half_space_trees, local_outlier, robust_z, surprise
from caudal.declarations.detector import Detector
from caudal.errors import DeclarationProblem
from caudal.stages.detect import operator, restore_operator
from caudal.stages.detect.state import StateProblem, pack, unpack


@pytest.fixture
def stored() -> bytes:
    one = operator(robust_z(window=16), 2)
    for i in range(30):
        one.score(i, np.array([i % 7, i % 5], dtype=np.float32))
    return one.state()


def test_numbers_and_arrays_come_back():
    given = {"a": 3, "b": 0.1, "c": np.arange(6, dtype=np.float32).reshape(2, 3), "d": np.array([np.inf, np.nan])}
    got = unpack(robust_z(), pack(robust_z(), given))
    assert (got["a"], got["b"]) == (3, 0.1)
    np.testing.assert_array_equal(got["c"], given["c"])
    np.testing.assert_array_equal(got["d"], given["d"])
    assert got["c"].dtype == np.float32


def test_one_flipped_bit_is_seen_wherever_it_lies(stored: bytes):
    for place in range(5, len(stored), 37):
        broken = bytearray(stored)
        broken[place] ^= 4
        with pytest.raises(StateProblem, match="digest"):
            restore_operator(robust_z(window=16), bytes(broken))


def test_a_torn_state_is_refused(stored: bytes):
    with pytest.raises(StateProblem, match="digest"):
        restore_operator(robust_z(window=16), stored[:-1])


def test_another_version_is_refused_by_its_number(stored: bytes):
    with pytest.raises(StateProblem, match="version 9"):
        restore_operator(robust_z(window=16), stored[:4] + b"\x09" + stored[5:])


def test_a_pickle_is_no_state():
    with pytest.raises(StateProblem, match="no detector's state"):
        restore_operator(robust_z(), b"\x80\x04cos\nsystem\n")


def test_an_array_of_objects_is_not_written():
    with pytest.raises(ValueError, match="pickle"):
        pack(robust_z(), {"a": np.array([object()])})


def test_a_detector_declared_otherwise_does_not_take_the_state(stored: bytes):
    with pytest.raises(StateProblem, match="'window': 17"):
        restore_operator(robust_z(window=17), stored)


def test_an_unknown_kind_names_the_nearest():
    with pytest.raises(DeclarationProblem, match="robust_z"):
        operator(Detector("robust_zz"), 1)


def test_bounds_of_parameters_are_held():
    with pytest.raises(DeclarationProblem, match=r"window=2 lies outside 8 to .*Write window=8"):
        robust_z(window=2)
    with pytest.raises(DeclarationProblem, match="no whole number"):
        half_space_trees(trees=2.5)  # type: ignore[arg-type]
    with pytest.raises(DeclarationProblem, match="too small for 100 neighbours"):
        local_outlier(neighbours=100, window=128)
    with pytest.raises(DeclarationProblem, match="no number"):
        surprise(quiet=True)
    with pytest.raises(DeclarationProblem, match="Did you mean 'window'"):
        robust_z()["windw"]


def test_declarations_are_values():
    assert robust_z(window=9) == robust_z(window=9) != robust_z(window=10)
    assert len({robust_z(), robust_z(), surprise()}) == 2
    assert robust_z(window=9).as_dict() == {"kind": "robust_z", "parameters": {"window": 9}}
