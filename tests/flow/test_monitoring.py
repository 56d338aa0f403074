"""What docs/monitoring.md shows: its product, its data and its commands, as a reader types them."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from tests import here

from caudal.ledger.ledger import open_ledger
from caudal.ledger.records import alerts

GUIDE = (Path(__file__).parents[2] / "docs" / "monitoring.md").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def printed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Return the folder, and what each command of the guide prints."""
    folder = tmp_path_factory.mktemp("shop")
    for name, text in re.findall(r"<!-- file: (\S+) -->\n```python\n(.*?)```", GUIDE, re.DOTALL):
        (folder / name).write_text(text)
    (commands,) = re.findall(r"<!-- commands -->\n```sh\n(.*?)```", GUIDE, re.DOTALL)
    outputs: dict[str, Any] = {"folder": folder}
    for command in commands.splitlines():
        program, *words = shlex.split(command)
        if program == "python":
            subprocess.run([sys.executable, *words], cwd=folder, check=True)
            continue
        done = here.run([sys.executable, "-m", program, *words], cwd=folder, text=True, capture_output=True)
        assert done.returncode == 0, done.stdout + done.stderr
        outputs[command] = done.stdout
    return outputs


def test_the_change_is_found_and_nothing_else(printed: dict[str, Any]) -> None:
    (monitor,) = json.loads(printed["caudal monitor shop --name stay --json"])["monitors"]
    states = {figure["figure"]: figure["state"] for figure in monitor["figures"]}
    assert monitor["state"] == "alarm"
    assert {states["psi of amount"], states["superiority of amount"]} == {"alarm"}
    assert {states[name] for name in states if name.endswith("of hour") or name == "rows"} <= {"inside", "outside"}
    amount = next(figure for figure in monitor["figures"] if figure["figure"] == "superiority of amount")
    assert [window["state"] for window in amount["history"]].index("alarm") == 11  # the second day of four
    assert amount["reference"] == 1
    assert {"mae", "mae where channel = web", "estimated mae", "psi of prediction"} <= states.keys()


def test_the_terminal_shows_a_line_for_each_figure(printed: dict[str, Any]) -> None:
    lines = printed["caudal monitor shop"].splitlines()
    assert lines[0] == "shop stay  14 windows, compared with what version 1 learned from"
    assert re.fullmatch(r"psi of amount +\d\.\d+ +to 0\.\d+ +alarm +[▁▂▃▄▅▆▇█]+ *", lines[2]), lines[2]
    shown = GUIDE.split("The second finds the change:")[1].split("```")[1].strip().splitlines()
    assert [line.split()[:3] for line in shown[:4]] == [line.split()[:3] for line in lines[:4]]


def test_the_run_says_so_and_its_page_draws_it(printed: dict[str, Any]) -> None:
    second = printed["caudal run . --data ."]  # the later of the two
    assert "psi of amount is" in second.replace("\n", " ")
    page = max((printed["folder"] / ".caudal" / "runs" / "shop").glob("*.html"), key=lambda file: file.name).read_text()
    section = page.split('<section id="monitors">')[1].split("</section>")[0]
    assert section.count('<svg class="history"') > 5
    assert 'class="alarm"' in section


def test_an_alarm_is_an_alert(printed: dict[str, Any]) -> None:
    ledger = open_ledger(f"sqlite:///{printed['folder'] / '.caudal' / 'ledger.db'}")
    rows = ledger.find(alerts)
    ledger.close()
    assert {row["happening"] for row in rows} == {"drift"}
    assert "stay: psi of amount" in {row["subject"] for row in rows}
    assert (
        next(row for row in rows if row["subject"] == "stay: psi of amount")["document"]["fix"]
        == "See its history: caudal monitor shop --name stay"
    )
