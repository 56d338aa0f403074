"""What servers have seen of the requests for predictions, in the terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.console import Console

from caudal.ledger.served import MISSING, RANGE
from caudal.report.figures import duration, number_text, plural
from caudal.report.terminal.console import console, heading

if TYPE_CHECKING:
    from caudal.report.documents.served import OddInput, ServedModel


def print_served(product: str, served: list[ServedModel], to: Console | None = None) -> None:
    """Print the requests for each model, and the inputs that it has not learned from."""
    out = to or console()
    for model in served:
        out.print()
        out.print(heading(f"Served {product} {model['model']}", requests_text(model)))
        for odd in model["odd_inputs"]:
            out.print(f"  {odd_text(odd, model['rows'])}", style="yellow")
        if not model["odd_inputs"]:
            out.print("  Every input was like those that the model has learned from.", style="bright_black")
        if model["unknown_ranges"]:
            names = ", ".join(model["unknown_ranges"])
            out.print(f"  What version {model['version']} has learned from is unknown of {names}.", style="bright_black")


def requests_text(model: ServedModel) -> str:
    """Return the requests for a model in words.

    Examples
    --------
    >>> requests_text({"requests": 1204, "hours": 24.0, "errors": 1, "slowest_p95_s": 0.012})
    '1,204 requests in the last 24 h, 1 error; 95 % within 12 ms in the slowest minute'
    """
    errors = "no error" if not model["errors"] else plural(model["errors"], "error")
    slowest = "" if model["slowest_p95_s"] is None else f"; 95 % within {duration(model['slowest_p95_s'])} in the slowest minute"
    return f"{plural(model['requests'], 'request')} in the last {model['hours']:.0f} h, {errors}{slowest}"


def odd_text(odd: OddInput, rows: int) -> str:
    """Return in how many rows an input was odd, in words.

    Examples
    --------
    >>> odd_text({"input": "amount", "kind": "range", "rows": 3, "learned_from": [0.5, 120.0]}, 1204)
    '3 of 1,204 rows with amount out of 0.5 to 120'
    >>> odd_text({"input": "channel", "kind": "category", "rows": 1, "learned_from": None}, 1)
    '1 of 1 row with an unknown channel'
    >>> odd_text({"input": "hour", "kind": "missing", "rows": 2, "learned_from": None}, 7)
    '2 of 7 rows without hour'
    """
    of = f"{odd['rows']:,} of {plural(rows, 'row')}"
    if odd["kind"] == RANGE:
        learned = odd["learned_from"]
        return f"{of} with {odd['input']} out of " + (
            "its range" if learned is None else f"{number_text(learned[0])} to {number_text(learned[1])}"
        )
    return f"{of} without {odd['input']}" if odd["kind"] == MISSING else f"{of} with an unknown {odd['input']}"
