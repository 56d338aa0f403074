"""What a function fits by itself: kept as JSON, fitted anew only where training runs."""

from __future__ import annotations

import numpy as np
import pytest

import caudal as cd
from caudal.declarations.build_context import PUT_OFF, NothingFits, build_context
from caudal.errors import DeclarationProblem
from caudal.registry.fits import TableFits, read_fits, write_fits


def test_it_is_fitted_where_training_runs_and_kept_otherwise() -> None:
    values = iter([1.0, 2.0, 3.0])
    with build_context() as first:
        assert cd.fitted("mean", lambda: next(values)) == 1.0
    with build_context(first.kept, "keep") as second:
        assert cd.fitted("mean", lambda: next(values)) == 1.0
    assert second.kept == {**first.kept, PUT_OFF: b""}  # the next training fits
    with build_context(second.kept, "anew") as third:
        assert cd.fitted("mean", lambda: next(values)) == 2.0
    assert PUT_OFF not in third.kept
    with build_context(first.kept, "only"):
        assert cd.fitted("mean", lambda: next(values)) == 1.0


def test_a_version_s_own_fit_is_not_made_up() -> None:
    with build_context({}, "only"), pytest.raises(NothingFits, match="'mean' was not kept"):
        cd.fitted("mean", lambda: 1.0)
    with build_context({}, "keep") as made:  # the first rows of all: there is nothing yet
        assert cd.fitted("mean", lambda: 1.0) == 1.0
    assert PUT_OFF not in made.kept


def test_numbers_come_back_as_they_were() -> None:
    given = {"mean": 0.1 + 0.2, "classes": ["a", "ü"], "counts": np.array([1, 2]), "least": np.float64(5e-324), "none": None}
    with build_context():
        assert cd.fitted("x", lambda: given) == {**given, "counts": [1, 2]}


def test_what_json_cannot_hold_is_refused() -> None:
    with build_context(), pytest.raises(DeclarationProblem, match="'x' cannot be stored: it is a set"):
        cd.fitted("x", lambda: {1, 2})


def test_fits_are_files_of_a_version(tmp_path) -> None:
    fits = {"t": TableFits("code", {"fit:a": b"1", "pca:b": b"\0"}), "u": TableFits("other", {"fit:a": b"1"})}
    write_fits(tmp_path, fits)
    assert read_fits(tmp_path) == fits
    next((tmp_path / "fits").iterdir()).write_bytes(b"2")
    with pytest.raises(cd.CaudalError, match="has changed"):
        read_fits(tmp_path)
    (tmp_path / "none").mkdir()
    write_fits(tmp_path / "none", {})
    assert read_fits(tmp_path / "none") is None
