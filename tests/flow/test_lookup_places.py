"""A product whose online view lies in Redis or PostgreSQL: runs write it there, a server on its own finds features there, and an erased person leaves it."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import requests
from tests import zygote
from tests.flow.test_lookup_erasure import CUSTOMER, PRODUCT, caudal

from caudal.engine.loopback import free_port
from caudal.serve import create_app
from caudal.tables.home import Home
from caudal.tables.views import opened_view, view_place

pytestmark = pytest.mark.slow
ASKED = {"customer_id": 103, "at": "2024-03-28T12:00"}


def customers(home: Path, url: str) -> set[str]:
    with closing(view_place(Home(home, views_url=url))) as place:
        view = opened_view(place, ("shop", "amount"))
        return {str(number) for number in range(100, 112) if view.rows.rows_of_key(0, [str(number)], 1)}


@pytest.mark.parametrize("kind", ["redis_url", "postgres_url"])
def test_runs_write_it_servers_find_it_and_an_erased_person_leaves_it(
    kind: str, tmp_path: Path, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = request.getfixturevalue(kind)
    product, home, data = tmp_path / "shop", tmp_path / "home", tmp_path / "data"
    product.mkdir()
    data.mkdir()
    (product / "product.py").write_text(PRODUCT)
    lines = [
        f"{number},{100 + number % 12},2024-03-{1 + number % 28:02d} {number % 24:02d}:{number % 60:02d}:00,{10 + number % 7}.5"
        for number in range(400)
    ]
    (data / "orders.csv").write_text("\n".join(["order_id,customer_id,at,amount", *lines]) + "\n")
    run = ("run", product, "--data", data, "--home", home)
    caudal(*run)
    by_file: Any = (
        create_app(home, f"sqlite:///{home / 'ledger.db'}").test_client().post("/api/v1/shop/amount/predict", json=ASKED).json
    )

    monkeypatch.setenv("CAUDAL_ONLINE", url)
    assert caudal(*run)["state"] == "succeeded", "the place that is set now has no view yet"
    assert {step["state"] for step in caudal(*run)["steps"]} == {"skipped"}
    assert len(customers(home, url)) == 12
    port = free_port()
    server = zygote.Popen(
        [sys.executable, "-m", "caudal", "serve", "--home", str(home), "--port", str(port), "--processes", "2"],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env={**os.environ},
    )  # fmt: skip
    try:
        base, end = f"http://127.0.0.1:{port}", time.monotonic() + 60
        while True:
            try:
                if requests.get(f"{base}/ready", timeout=5).json()["ready"]:
                    break
            except requests.ConnectionError:
                pass
            assert time.monotonic() < end
            time.sleep(0.1)
        for _ in range(10):
            answer = requests.post(f"{base}/api/v1/shop/amount/predict", json=ASKED, timeout=10).json()
            assert answer["prediction"] == by_file["prediction"]
            assert answer["looked_up"]["values"] == by_file["looked_up"]["values"]
        asked = ("erase", product, "--subject", f"customer_id={CUSTOMER}", "--home", home, "--data", data)
        assert caudal(*asked)["rows"]["view"] > 0
        assert caudal(*asked, "--yes")["done"]
        assert CUSTOMER not in customers(home, url)
        assert len(customers(home, url)) == 11
        until = time.monotonic() + 60
        person = {"customer_id": int(CUSTOMER), "at": "2024-03-28T12:00"}
        while (
            "usual"
            not in requests.post(f"{base}/api/v1/shop/amount/predict", json=person, timeout=10).json()["looked_up"]["not_found"]
        ):
            assert time.monotonic() < until, "the server that runs forgets the person too"
            time.sleep(0.2)
    finally:
        server.terminate()
        output, _ = server.communicate(timeout=60)
    assert "Traceback" not in output, output
