"""check: what is wrong with a join, with its place and its fix; and what a join that is right looks like."""

from __future__ import annotations

import pytest

import caudal as cd
from caudal.declarations.join import join_shape, stream_columns
from caudal.declarations.statistics import EEG_BANDS
from caudal.errors import DeclarationProblem
from caudal.graph.build import build
from caudal.graph.check import check
from caudal.graph.draw import as_svg, as_text
from caudal.graph.fingerprint import code_of
from caudal.stages.statistics import window_schema


def product() -> cd.Product:
    made = cd.Product("p")
    made.source("samples", cd.stream(channels=["x", "y"]), late="1 second", partition="day")
    made.source("labels", cd.stream(channels=["y", "closed"]), late="1 minute")
    made.source("headsets", cd.files("*.csv"), schema=cd.schema(device="long", owner="string"))
    made.source("cities", cd.files("*.csv"), schema=cd.schema(city="string"))
    made.statistics("seconds", made.sources["samples"], quantiles=(0.5, 0.999), ranges=(1,), bands=EEG_BANDS, rate_hz=128)
    return made


def problem(*inputs: str, **options: object) -> DeclarationProblem:
    made = product()
    made.join("j", *inputs, **{"on": "device", **options})
    found = check(made)[0]
    assert __file__.rsplit("/", 1)[-1] in str(found.where)
    assert found.fix
    return found


def test_a_join_that_is_right_has_no_problem_and_is_drawn() -> None:
    made = product()
    both = made.join("noted", "samples", "labels", on=("device", "seq"), within="2 minutes", how="left")
    made.join("known", "seconds", "headsets", on="device", columns=["owner", "mean"])
    assert check(made) == []
    assert both.partition == "day"
    assert both.event_time == "at"
    shown = join_shape(both, made.nodes["samples"], made.nodes["labels"])
    assert shown.columns == ("device", "seq", "at", "x", "y", "labels_at", "labels_y", "closed")
    assert shown.matched == "labels_at"
    assert both.known == {"labels_y": "labels_at", "closed": "labels_at"}
    known = join_shape(made.nodes["known"], made.nodes["seconds"], made.nodes["headsets"], ["device", "owner", "_file"])
    assert known.columns == ("device", "sensor", "window_start", "window_end", "mean", "owner")
    drawn = as_text(build(made))
    assert "noted      join     ← samples, labels" in drawn
    assert "var(--join)" in as_svg(build(made))


def test_columns_that_are_asked_for_come_with_keys_and_times() -> None:
    made = product()
    one = made.join("j", "labels", "seconds", on="device", within=1, columns=["closed", "mean"])
    shown = join_shape(one, made.nodes["labels"], made.nodes["seconds"])
    assert shown.columns == ("device", "seq", "at", "closed", "window_start", "window_end", "mean")
    assert one.known == {"mean": "window_end"}


def test_the_columns_of_statistics_are_those_that_are_computed() -> None:
    made = product()
    assert stream_columns(made.nodes["seconds"]) == tuple(window_schema(made.nodes["seconds"]).names)


def test_another_declaration_is_another_code() -> None:
    codes = set()
    for options in ({"within": 1}, {"within": 2}, {"within": 1, "how": "left"}, {"within": 1, "columns": ["closed"]}):
        codes.add(code_of(product().join("j", "samples", "labels", on="device", **options)))
    assert len(codes) == 4


@pytest.mark.parametrize(
    ("inputs", "options", "said"),
    [
        (("samples", "labels"), {}, ["how far apart", 'within="2 minutes"']),
        (("samples", "headsets"), {"within": 1}, ["'headsets' is no stream", "Leave within= away"]),
        (("samples", "labels"), {"within": -1}, ["negative"]),
        (("headsets", "samples"), {}, ["'headsets' on its left", "product.join('j', samples, headsets"]),
        (("headsets", "cities"), {}, ["neither of which is a stream", "@product.table, def j(headsets, cities)"]),
        (("samples", "samples"), {"within": 1}, ["and itself"]),
        (("samples", "labels"), {"within": 1, "on": ()}, ["no column that has to be equal", 'on="device"']),
        (("samples", "labels"), {"within": 1, "on": "devices"}, ["'devices'", "Did you mean 'device'", "It has device, seq, at"]),
        (("samples", "headsets"), {"on": "seq"}, ["on 'seq', which 'headsets' does not have", "It has device, owner"]),
        (("samples", "labels"), {"within": 1, "on": ("device", "at")}, ["on the event time 'at'", "within=0"]),
        (("samples", "labels"), {"within": 1, "columns": ["label_y"]}, ["column 'label_y'", "Did you mean 'labels_y'"]),
        (("samples", "headsets"), {"columns": ["name"]}, ["column 'name'", "It has device, seq, at, x, y, owner"]),
        (("samples", "labels"), {"within": 1, "how": "outer"}, ["how='outer'", "Use inner or left"]),
    ],
)
def test_what_is_wrong_is_told_with_its_fix(inputs: tuple[str, str], options: dict[str, object], said: list[str]) -> None:
    sentence = problem(*inputs, **options).sentence()
    for part in said:
        assert part in sentence, sentence


def test_a_join_of_a_join_is_refused() -> None:
    made = product()
    made.join("one", "samples", "labels", on="device", within=1)
    made.join("two", "samples", "one", on="device")
    (found,) = check(made)
    assert "a join itself" in found.sentence()
    assert "@product.table" in found.sentence()


def test_a_column_that_would_be_there_twice() -> None:
    made = cd.Product("p")
    made.source("a", cd.stream(channels=["b_at"]))
    made.source("b", cd.stream(channels=["y"]))
    made.join("j", "a", "b", on="device", within=1)
    (found,) = check(made)
    assert "column 'b_at' twice" in found.sentence()


def test_what_nothing_has_declared_is_told_at_once() -> None:
    with pytest.raises(DeclarationProblem, match="Did you mean 'labels'"):
        product().join("j", "samples", "label", on="device", within=1)
