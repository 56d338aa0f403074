"""Why a step ran or rested, in words."""

from __future__ import annotations

import io
from typing import Any

import pytest
from rich.console import Console

from caudal.batch.reasons import _changed, _joined, _why_skipped
from caudal.report.terminal import print_why


def row(**made_of):
    return {"detail": {"made_of": {name.replace("__", ":"): state for name, state in made_of.items()}}, "inputs": {}}


@pytest.mark.parametrize(
    ("before", "now", "said"),
    [
        ({"declaration": "a"}, {"declaration": "b"}, "its declaration changed"),
        ({"module:rates (rates.py)": "a"}, {"module:rates (rates.py)": "b"}, "module rates (rates.py) changed"),
        ({}, {"code:help (product.py)": "b"}, "code of help (product.py) is used now"),
        ({"value:RATE": "a"}, {"value:RATE": "b"}, "the value of RATE changed"),
        ({"value:RATE": "a", "code:f": "a"}, {"value:RATE": "b", "code:f": "b"}, "code of f changed"),
        ({"file:r.json": "a"}, {"file:r.json": "b"}, "file r.json changed"),
        ({"file:r.json": "nothing"}, {"file:r.json": "b"}, "file r.json is there now"),
        ({"file:r.json": "a"}, {"file:r.json": "nothing"}, "file r.json is gone"),
        ({"folder:rules": "a"}, {"folder:rules": "b"}, "the list of files in rules changed"),
        ({"variable:FEE": "nothing"}, {"variable:FEE": "b"}, "variable FEE was set"),
        ({"variable:FEE": "a"}, {"variable:FEE": "nothing"}, "variable FEE was unset"),
        ({"library:numpy": "1.26"}, {"library:numpy": "2.0"}, "numpy 1.26 → 2.0"),
        ({"library:numpy": "1.26"}, {}, "numpy 1.26 → is not used"),
    ],
)
def test_each_kind_of_change_has_its_words(before, now, said):
    assert _joined(_changed(now, {"detail": {"made_of": before}, "inputs": {}})) == said


def test_what_rested_says_what_it_was_compared_by():
    parts = {
        "declaration": "a",
        "code:f": "a",
        "code:g": "a",
        "module:m": "a",
        "variable:V": "a",
        "library:numpy": "2",
        "library:pandas": "3",
    }
    assert (
        _why_skipped(parts, "up to date")
        == "nothing that it reaches has changed: 2 statements, 1 module, 1 variable, 2 library versions"
    )
    assert _why_skipped({"declaration": "a"}, "no new file") == "no new file; its declaration is as it was"


def test_many_causes_are_counted():
    assert _joined(["a", "b", "c", "d", "e"]) == "a, b, c and 2 more things"


def test_a_step_of_an_older_caudal_says_so():
    assert _changed({"declaration": "a"}, {"detail": {}, "inputs": {}}) == ["an older caudal ran it before"]


def test_the_terminal_shows_a_line_a_step():
    out = io.StringIO()
    step = {
        "step": "table:t",
        "state": "succeeded",
        "run_id": "r",
        "at": 0.0,
        "why": "ran: the value of RATE changed",
        "made_of": {},
    }
    print_why({"home": "h", "products": [{"product": "p", "steps": [step]}]}, Console(file=out, width=120), now=3600.0)
    assert "table:t  1 hour ago  ran: the value of RATE changed" in out.getvalue()


def test_of_another_caudal_only_that_is_said() -> None:
    now = {"format": "3", "declaration": "a", "module:helpers": "b"}
    before: Any = {"detail": {"made_of": {"declaration": "c", "module:helpers": "d"}}, "inputs": {}}
    assert _changed(now, before) == ["caudal itself computes steps otherwise than before"]
    assert _changed(now, {**before, "detail": {"made_of": {**now, "declaration": "c"}}}) == ["its declaration changed"]
