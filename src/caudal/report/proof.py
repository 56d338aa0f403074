"""The HTML page of the proof of an erasure."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from caudal.report.figures import count_text, plural, time_text

FOLDER = Path(__file__).parent / "templates"


def proof_page(proof: Mapping[str, Any]) -> str:
    """Return the page of a proof as HTML."""
    from jinja2 import Environment, FileSystemLoader

    environment = Environment(loader=FileSystemLoader(FOLDER), autoescape=True, trim_blocks=True, lstrip_blocks=True)
    before, after = proof["before"], proof["after"]
    names = {
        "raw": "Raw files",
        "table": "Tables, features, predictions",
        "quarantine": "Quarantine",
        "stream": "Logs of streams",
        "requests": "Logged requests",
        "view": "Online views",
    }
    return environment.get_template("proof.html").render(
        proof=proof,
        facts=[
            ("Product", proof["product"]), ("Answered for by", proof["owner"] or "–"), ("Done by", proof["who"]),
            ("Began", time_text(proof["started_at"])), ("Ended", time_text(proof["finished_at"])), ("Column", proof["column"]),
        ],
        counts=[(names[kind], count_text(before["rows"].get(kind, 0)), count_text(after["rows"].get(kind, 0))) for kind in names if kind in before["rows"] or kind in after["rows"]],
        searched=[(name, plural(number, "file")) for name, number in after["searched"].items()],
    )  # fmt: skip
