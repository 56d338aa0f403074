"""The model of scaling finds the parameters of curves that have them, tells its error, and says nothing of too few points."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from caudal.compare.scaling import best_cores, fit_scaling


def platforms(time: Callable[[int, float], float], places: list[tuple[int, float]], **changed: Any) -> list[Any]:
    repetitions = [
        {"warm_up": False, "state": "done", "cores": cores, "share": share, "work_s": time(cores, share) * factor, **changed}
        for cores, share in places
        for factor in (0.99, 1.0, 1.01)
    ]
    return [{"platform": "local[8]", "kind": "local", "repetitions": repetitions}]


def test_amdahl_with_sizes() -> None:
    places = [(cores, share) for cores in (1, 2, 4) for share in (0.25, 0.5, 1.0)]
    (model,) = fit_scaling(platforms(lambda n, s: 3 + s * (2 + 12 / n), places))
    assert model["law"] == "amdahl"
    assert [round(model["parameters"][name], 6) for name in ("fixed_s", "serial_s", "parallel_s")] == [3, 2, 12]
    assert model["parameters"]["sigma"] == pytest.approx(2 / 14)
    assert model["error"] == pytest.approx(0, abs=1e-9)
    assert {(point["cores"], point["share"]) for point in model["points"] if point["held_out"]} == {(1, 1.0), (2, 1.0), (4, 1.0)}
    predicted = {(point["cores"], point["share"]): point["predicted_s"] for point in model["predictions"]}
    assert predicted == pytest.approx({(8, 1.0): 6.5, (16, 1.0): 5.75, (32, 1.0): 5.375, (4, 2.0): 13.0, (4, 10.0): 53.0})
    assert all(point["work_s"] is None for point in model["predictions"])


def test_the_usl_with_cores_alone_says_where_more_cores_harm() -> None:
    (model,) = fit_scaling(platforms(lambda n, s: 1 + 16 / n + 0.25 * (n - 1), [(n, 1.0) for n in (1, 2, 4, 6, 12)]))
    assert model["law"] == "usl"
    assert model["parameters"]["kappa"] == pytest.approx(0.25 / 17)
    assert best_cores(model["parameters"]) == 8
    assert [point["cores"] for point in model["points"] if point["held_out"]] == [12]
    assert {point["share"] for point in model["predictions"]} == {1.0}


def test_sizes_alone() -> None:
    (model,) = fit_scaling(platforms(lambda n, s: 5 + 10 * s, [(2, s) for s in (0.1, 0.25, 0.5, 1.0)]))
    assert (model["law"], model["parameters"]) == ("size", pytest.approx({"fixed_s": 5, "size_s": 10}))
    assert {point["cores"] for point in model["predictions"]} == {2}


def test_an_error_is_the_one_on_what_was_held_out() -> None:
    (model,) = fit_scaling(platforms(lambda n, s: (5 + 10 * s) * (2 if s == 1 else 1), [(2, s) for s in (0.1, 0.25, 0.5, 1.0)]))
    assert model["error"] == pytest.approx(0.5)


def test_platforms_of_a_kind_are_one_curve() -> None:
    parts = [platforms(lambda n, s: 2 + 8 / n, [(n, 1.0)])[0] | {"platform": f"local[{n}]"} for n in (1, 2, 4, 8)]
    (model,) = fit_scaling(parts)
    assert (model["platform"], model["law"]) == ("local", "amdahl")


@pytest.mark.parametrize("changed", [{}, {"warm_up": True}, {"state": "failed"}, {"cores": None}])
def test_too_few_points_give_no_model(changed: dict[str, Any]) -> None:
    places = [(1, 1.0), (2, 1.0), (4, 1.0)] if not changed else [(n, 1.0) for n in (1, 2, 4, 8)]
    assert fit_scaling(platforms(lambda n, s: 1 / n, places, **changed)) == []
