"""docs/slas.md as a user follows it: the product that it shows, and its commands in order."""

from __future__ import annotations

import json
import re
import shlex
import sys
from pathlib import Path

import pytest
from tests import here

from caudal.ledger.ledger import open_ledger
from caudal.ledger.records import runs

GUIDE = (Path(__file__).parents[2] / "docs" / "slas.md").read_text("utf-8")


def block(language: str) -> str:
    """Return the guide's first block of a language."""
    match = re.search(rf"```{language}\n(.*?)```", GUIDE, re.DOTALL)
    assert match is not None
    return match[1]


@pytest.fixture(scope="module")
def printed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """What each command printed."""
    folder = tmp_path_factory.mktemp("guide")
    (folder / "shop").mkdir()
    (folder / "data").mkdir()
    (folder / "shop" / "product.py").write_text(block("python"))
    (folder / "data" / "sales_1.csv").write_text("id,amount\n" + "".join(f"{row},{row - 1.5}\n" for row in range(20)))
    outputs = {}
    for line in block("sh").splitlines():
        command = [sys.executable, "-m", "caudal", *shlex.split(line)[1:]]
        done = here.run(command, cwd=folder, capture_output=True, text=True, timeout=300)
        assert done.returncode == 0, done.stderr
        outputs[line] = done.stdout
    ledger = open_ledger(f"sqlite:///{folder / '.caudal' / 'ledger.db'}")
    outputs["page"] = Path(ledger.find(runs)[0]["summary"]["page"]).read_text("utf-8")
    ledger.close()
    return outputs


def test_what_is_promised_is_shown_with_what_was_measured(printed: dict[str, str]) -> None:
    text = printed["caudal sla"]
    assert "26 hours, 99 %" in text
    assert "over 30 days, Mon-Fri 08:00-18:00" in text
    assert re.search(r"valid +98 % +90 % +-400 %.*breached", text)


def test_the_document_has_the_figures(printed: dict[str, str]) -> None:
    (product,) = json.loads(printed["caudal sla shop --json"])["products"]
    simple, level = product["service_levels"]
    assert [objective["objective"] for objective in level["objectives"]] == ["fresh", "complete", "valid"]
    assert (simple["subject"], level["subject"], level["kind"]) == ("sales", "good", "table")
    fresh, complete, valid = level["objectives"]
    assert fresh["due_at"] > 0
    assert (complete["state"], complete["total"]) == ("no figures", 0)
    assert (valid["bad"], valid["total"], valid["unit"], valid["state"]) == (2, 20, "rows", "breached")


def test_status_and_page_tell_of_the_breach(printed: dict[str, str]) -> None:
    assert "'good' had 90 % valid rows in the last 30 days; its SLA promises 98 %." in " ".join(printed["caudal status"].split())
    assert 'id="service-levels"' in printed["page"]
    assert "90 %" in printed["page"]
