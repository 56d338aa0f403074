"""Two server processes share callers out alike, follow the end of a trial without a lost request, and add up what they have seen."""

from __future__ import annotations

import json
import signal
from typing import Any

import pytest
from tests.unit.serve.test_processes import PATIENCE_S, PREDICT, ask, counter, serving, until

from caudal import registry
from caudal.registry.seen import seen_in
from caudal.tables.home import Home
from caudal.web.processes import can_fork

PROGRAM = """
import os, sys
from pathlib import Path
import pandas as pd
from caudal.registry.row_frames import PredictsFrames
from caudal.serve import serve
from caudal.tables.home import Home

class Constant(PredictsFrames):
    candidate = "mean"
    signature = {"inputs": [{"name": "x", "type": "double"}], "output": {"name": "y", "type": "double"}, "example": {"x": 0.0}}
    def __init__(self, version):
        self.version = version
    def predict(self, frame):
        return pd.DataFrame({"prediction": [float(os.getpid())] * len(frame)}, index=frame.index)

load = lambda product, model, version: Constant(version)
serve(Path(sys.argv[1]), f"sqlite:///{sys.argv[1]}/ledger.db", port=0, loader=load, processes=2)
"""

pytestmark = pytest.mark.skipif(not can_fork(), reason="processes cannot be forked here")


def test_two_processes_share_callers_out_alike(place: Any) -> None:
    place.promote("taxi", "duration", 2)
    decision = registry.start_trial(Home(place.home), place.ledger, "taxi", "duration", 1, share=0.5, who="ada")
    with serving(place.home, program=PROGRAM) as (process, url):
        until(lambda: ask(f"{url}/ready")[0] == 200)
        versions: dict[int, set[int]] = {}
        predicted_by, asked = set[float](), 0
        while len(predicted_by) < 2 or asked < 40:
            status, text = ask(f"{url}{PREDICT}", {"x": float(asked % 20)})
            assert status == 200, text
            answer = json.loads(text)
            versions.setdefault(asked % 20, set()).add(answer["version"])
            predicted_by.add(answer["prediction"])
            asked += 1
            assert asked < 2000
        assert all(len(of_key) == 1 for of_key in versions.values())
        assert set.union(*versions.values()) == {1, 2}

        def counted() -> float:
            text = ask(f"{url}/metrics")[1]
            labels = 'model="duration",product="taxi"'
            return sum(
                counter(text, f'caudal_trial_rows_total{{{labels},role="{role}",version="{version}"}}')
                for role, version in (("champion", 2), ("canary", 1))
            )

        until(lambda: counted() == asked)
        registry.withdraw(place.ledger, "taxi", "duration", who="ada")
        until(lambda: all(json.loads(ask(f"{url}/ready")[1])["models"][0]["trial"] is None for _ in range(30)))
        for key in range(20):
            status, text = ask(f"{url}{PREDICT}", {"x": float(key)})
            assert (status, json.loads(text)["version"]) == (200, 2)
        process.send_signal(signal.SIGTERM)
        _, err = process.communicate(timeout=PATIENCE_S)
    assert "Traceback" not in err
    assert sum(each["rows"] for each in seen_in(place.ledger, decision)) == asked
