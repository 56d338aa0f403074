"""What the terminal shows, at 80 and 120 columns, on a terminal and into a file."""

from __future__ import annotations

import io
import json
import subprocess
import sys
import time
import unicodedata
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console
from rich.text import Text

import caudal
from caudal.errors import CaudalError
from caudal.ledger.ledger import Ledger
from caudal.ledger.records import candidates, model_versions
from caudal.report.document import run_document
from caudal.report.terminal import TerminalProgress, print_document, print_status, print_summary, progress as module, table
from caudal.report.terminal.console import console
from caudal.report.terminal.governance import erasure


class Screen:
    """A console that writes into memory."""

    def __init__(self, width: int = 80, *, terminal: bool = False) -> None:
        self.stream = io.StringIO()
        self.console = console(self.stream)
        if terminal:
            self.console = Console(
                file=self.stream, force_terminal=True, highlight=False, markup=False, _environ={"TERM": "xterm-256color"}
            )
        self.console.width = width

    @property
    def text(self) -> str:
        return self.stream.getvalue()


def ended(progress: TerminalProgress, step: str, state: str, **more: Any) -> None:
    progress.finished(
        step, state, **{"rows_read": None, "rows_written": None, "quarantined": None, "seconds": 0.1, "why": None, **more}
    )


@pytest.mark.parametrize("width", [80, 120])
def test_no_summary_is_wider_than_the_terminal(ledger: Ledger, scene: str, width: int) -> None:
    screen = Screen(width)
    print_summary(run_document(ledger, scene), screen.console)
    assert max(map(len, screen.text.splitlines())) <= width


def test_the_summary_has_rows_reasons_scores_decision_and_times(ledger: Ledger, run_of: dict[str, str]) -> None:
    screen = Screen()
    print_summary({**run_document(ledger, run_of["success"]), "page": "runs/1.html"}, screen.console)
    for said in (
        "✓ taxi succeeded in 43.6 s",
        "68,211 rows",
        "2,297",
        "3.0 %  positive(distance_miles)",
        "●  boosting  3.422 ± 0.083",
        "chosen",
        "baseline",
        "✓ version 1 promoted",
        "49 % better",
        "65,912 rows  by version 1",
        "train:duration",
        "18.7 s",
        "runs/1.html",
    ):
        assert said in screen.text, said


def test_a_refused_model_does_not_print_as_a_promoted_one(ledger: Ledger, run_of: dict[str, str]) -> None:
    document = run_document(ledger, run_of["partly"])
    assert (document["state"], document["outcome"]) == ("succeeded", "succeeded, model duration refused")
    screen = Screen()
    print_summary(document, screen.console)
    assert "✗ taxi succeeded, model duration refused in" in screen.text
    assert "✗ version 2 refused; version 1 stays in production" in screen.text
    assert "✓ version" not in screen.text
    assert run_document(ledger, run_of["success"])["outcome"] == "succeeded"


def test_rows_that_are_predicted_only_are_told_apart(ledger: Ledger, run_of: dict[str, str]) -> None:
    document = run_document(ledger, run_of["success"])
    model = {**document["models"]["duration"], "rows": {"rows": 64_000, "unlabelled": 1_912, "older": 0}}
    screen = Screen()
    print_summary({**document, "models": {"duration": model}}, screen.console)
    assert "Learned from 64,000 rows; 1,912 rows without a label are predicted only." in screen.text


def test_a_step_line_tells_a_decision() -> None:
    screen = Screen(120)
    progress = TerminalProgress(screen.console)
    ended(progress, "promote:duration", "refused", why="version 2 refused")
    ended(progress, "promote:demand", "succeeded", why="version 3 promoted")
    assert "✗ promote:duration" in screen.text
    assert "version 2 refused" in screen.text
    assert "✓ promote:demand" in screen.text


def test_the_summary_of_a_failure_says_where_and_what_did_not_start(ledger: Ledger, run_of: dict[str, str]) -> None:
    screen = Screen()
    print_summary(run_document(ledger, run_of["failure"]), screen.console)
    assert "✗ taxi failed in table:trips" in screen.text
    assert "train:duration                a step before it failed" in screen.text
    assert "Model duration" not in screen.text  # nothing was done about it


def test_the_summary_of_nothing_to_do_is_one_line(ledger: Ledger, run_of: dict[str, str]) -> None:
    screen = Screen()
    print_summary(
        {**run_document(ledger, run_of["success"]), "state": "up to date", "seconds": 0.412, "page": None}, screen.console
    )
    assert screen.text.strip() == "✓ taxi is up to date: nothing new for 10 steps (412 ms)"


def test_into_a_file_each_step_is_one_whole_line() -> None:
    screen = Screen(40)
    with TerminalProgress(screen.console) as progress:
        progress.started("table:trips")
        ended(progress, "table:trips", "succeeded", rows_read=68_209, rows_written=65_912, quarantined=2297, seconds=7.9)
        ended(progress, "read:zones", "skipped", why="up to date")
        ended(progress, "table:hour", "failed", why="a long explanation that does not fit into forty columns")
    lines = screen.text.splitlines()
    assert len(lines) == 3
    assert "\x1b" not in screen.text
    assert "68,209 → 65,912 rows, 2,297 quarantined" in lines[0]
    assert lines[1].startswith("– read:zones")
    assert lines[1].endswith("up to date")
    assert lines[2].endswith("forty columns")


def test_into_a_file_a_slow_step_is_announced(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "SLOW_S", 0.05)
    screen = Screen()
    with TerminalProgress(screen.console) as progress:
        progress.started("train:duration")
        until = time.monotonic() + 5
        while "at work" not in screen.text and time.monotonic() < until:
            time.sleep(0.01)
        ended(progress, "train:duration", "succeeded")
    assert screen.text.splitlines()[0].startswith("▸ train:duration")
    assert len(screen.text.splitlines()) == 2


def test_on_a_terminal_the_step_at_work_is_shown_and_then_taken_away() -> None:
    screen = Screen(terminal=True)
    with TerminalProgress(screen.console) as progress:
        progress.started("table:trips")
        until = time.monotonic() + 5
        while "table:trips" not in screen.text and time.monotonic() < until:
            time.sleep(0.02)
        assert "table:trips" in screen.text
        assert "\x1b[?25l" in screen.text  # the cursor is hidden while the line is redrawn
        ended(progress, "table:trips", "succeeded", rows_written=10)
    assert screen.text.count("\x1b[?25h") == screen.text.count("\x1b[?25l")  # and shown again
    assert "10 rows" in screen.text


def test_quiet_says_nothing() -> None:
    screen = Screen()
    with TerminalProgress(screen.console, quiet=True) as progress:
        progress.started("a:b")
        ended(progress, "a:b", "succeeded")
    assert screen.text == ""


def test_a_stream_that_knows_no_unicode_does_not_stop_a_run(ledger: Ledger, run_of: dict[str, str]) -> None:
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding="latin-1")
    print_summary(run_document(ledger, run_of["success"]), console(stream))
    stream.flush()
    assert b"? taxi succeeded" in raw.getvalue()


def test_progress_leaves_standard_output_to_the_summary(capsys: pytest.CaptureFixture[str]) -> None:
    with TerminalProgress() as progress:
        ended(progress, "land:zones", "succeeded")
    out, err = capsys.readouterr()
    assert out == ""
    assert "land:zones" in err


def test_status_shows_runs_tables_and_champions() -> None:
    now = 1e9
    last = {
        "run_id": "r1",
        "state": "failed",
        "started_at": now - 7300,
        "finished_at": now - 7200,
        "seconds": 100.0,
        "error": {"what": "No."},
        "page": "r1.html",
    }
    tables = [{"table": "trips", "kind": "table", "version": 12, "rows": 65_912, "quarantined": 2297, "age_s": 86_400 * 3}]
    models = [
        {"model": "duration", "versions": 3, "champion": 2, "candidate": "boosting", "since": now - 7200},
        {"model": "forecast", "versions": 1, "champion": None, "candidate": None, "since": None},
    ]
    screen = Screen()
    products = [
        {"product": "taxi", "last_run": last, "tables": tables, "models": models},
        {"product": "eeg", "last_run": None, "tables": [], "models": []},
    ]
    print_status({"home": "h", "products": products}, screen.console, now=now)
    for said in (
        "✗ taxi  last run failed 2 hours ago",
        "No.",
        "65,912",
        "3 days ago",
        "version 2 (boosting) in production, for 2 hours",
        "none in production",
        "eeg  has not run yet",
    ):
        assert said in screen.text, said
    assert max(map(len, screen.text.splitlines())) <= 80


def test_status_of_an_empty_home_says_what_to_do() -> None:
    screen = Screen()
    print_status({"home": "h", "products": []}, screen.console)
    assert "caudal run FOLDER" in screen.text


def test_tables_put_numbers_to_the_right_and_fold_long_text() -> None:
    screen = Screen(60)
    table(
        [{"reason": "positive(distance_miles)", "rows": 2043}, {"reason": "x" * 80, "rows": 7}],
        ("reason", "rows"),
        screen.console,
    )
    lines = screen.text.splitlines()
    assert max(map(len, lines)) <= 60
    assert lines[2].rstrip().endswith("2,043")
    assert lines[3].rstrip().endswith("    7")


def test_a_card_shows_every_part() -> None:
    gate = {"gate": "beats_baseline", "passed": False, "message": "mae 7 against 6.7"}
    document = {
        "model": "duration",
        "version": 2,
        "candidate": "boosting",
        "metrics": {"mae": 3.42},
        "gates": [gate],
        "candidates": [{"candidate": "a", "score": 1.5}],
        "decision": {"gates": [gate]},
        "tags": ["a", "b"],
    }
    screen = Screen()
    print_document(document, screen.console)
    for said in (
        "duration version 2",
        "boosting",
        "Metrics",
        "3.42",
        "✗  beats_baseline",
        "mae 7 against 6.7",
        "1.5",
        "✗ beats_baseline",
        "a, b",
    ):
        assert said in screen.text, said


def test_a_card_tells_times_as_times_and_nothing_twice(ledger: Ledger, run_of: dict[str, str]) -> None:
    version = ledger.find(model_versions, model="duration", version=1)[0]
    screen = Screen(120)
    print_document({**version, "candidates": ledger.find(candidates, run_id=run_of["success"])}, screen.console)
    assert "2023-02-01 10:00:" in screen.text
    assert screen.text.count(run_of["success"]) == 1
    assert max(map(len, screen.text.splitlines())) <= 120


def test_the_document_can_be_made_without_the_libraries_of_the_displays(ledger: Ledger, run_of: dict[str, str]) -> None:
    """A run with nothing to do must be quick: no Jinja, no Rich, no engine for the document alone."""
    code = (
        "import sys, json\nfrom caudal.ledger.ledger import open_ledger\nfrom caudal.report.document import run_document\n"
        f"run_document(open_ledger({ledger.url!r}), {run_of['success']!r})\n"
        "print(json.dumps([one for one in ('jinja2', 'rich', 'pyspark', 'sklearn', 'pandas', 'mlflow') if one in sys.modules]))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        env={"PYTHONPATH": str(Path(caudal.__file__).parents[1])},
    )
    assert json.loads(done.stdout) == []


def test_text_from_outside_moves_no_cursor() -> None:
    stream = io.StringIO()
    console(stream).print(Text("a\x1b[2J\x07\u202eb\x9bc\td\n"))
    error = CaudalError("The server answers '\x1b]0;mine\x07'.", fix="\x1b[31mNothing.")
    for shown in (stream.getvalue(), error.sentence(), str(error)):
        assert not {character for character in shown if unicodedata.category(character) in ("Cc", "Cf")} - {"\n"}
    assert "␛[2J" in stream.getvalue()


@pytest.mark.parametrize("learned", [[], [{"model": "yes", "version": 2}]])
def test_an_erasure_does_not_claim_what_models_have_learned(learned: list[dict[str, Any]]) -> None:
    screen = Screen(200)
    found = {"places": [], "models": learned, "origins": [], "not_searched": []}
    erasure({"done": True, "before": found, "after": {"not_searched": []}, "page": "erase-1.html"}, screen.console)
    but = " but what the models named above have learned from it" if learned else ""
    assert f"Erased: nothing of the subject is left{but}. The proof: erase-1.html" in screen.text
    assert ("learned from it: yes version 2" in screen.text) == bool(learned)
