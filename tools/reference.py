"""Write the signatures in ``docs/reference.md`` from the code: ``python tools/reference.py``. A test holds the two together."""

from __future__ import annotations

import inspect
import re
from pathlib import Path
from typing import Any, get_overloads

import caudal
import caudal.expect
from caudal.declarations.product import Product
from caudal.stages.tables.windows import Windows

FILE = Path(__file__).parent.parent / "docs" / "reference.md"
BEGIN, END = "<!-- signatures: written by tools/reference.py -->", "<!-- end of signatures -->"
WIDTH = 120
GROUPS = {
    "Sources": ["files", "http", "database", "events", "requests", "images", "simulated", "stream", "kafka", "folder", "socket", "schema", "column", "fixed_width",
                "pages", "since", "env"],
    "Tables": ["tumble", "fill_gaps", "in_zone"],
    "Features": ["lag", "rolling", "past_mean", "as_of_join", "calendar", "network", "embed", "pca", "fitted"],
    "Models": ["temporal", "hashed", "holdout", "best_mean", "best_worst", "most_stable", "smallest_regret", "simplest_within", "search", "beats_baseline", "beats_champion", "beats", "limit", "parity", "fair", "trial", "reweigh", "group_thresholds", "reduction"],
    "Triggers": ["on_arrival", "on_publish", "cron", "every"],
    "Streams and detectors": ["topic", "drop", "robust_z", "half_space_trees", "density", "local_outlier", "surprise"],
    "Publishing": ["warehouse", "fact", "dimension", "date_dimension"],
    "Alerts and SLAs": ["mail", "webhook", "sla", "working_hours"],
    "Homes": ["open", "open_product", "inspect_environment"],
}  # fmt: skip


def signatures() -> str:
    """Return the signatures of all that a product calls, with what each gives in one sentence."""
    parts = ["### Product\n", _entry("cd.Product", Product.__init__, inspect.getdoc(Product) or "")]
    parts += [_entry(f"product.{name}", function) for name, function in _methods()]
    for title, names in GROUPS.items():
        parts.append(f"### {title}\n")
        for name in names:
            parts.append(_entry(f"cd.{name}", getattr(caudal, name)))
            if name == "tumble":
                parts.append(_entry("cd.tumble(…).agg", Windows.agg))
    parts.append("### Expectations\n\nEach is followed by `.warn()`, `.quarantine(max_share=…)` or `.stop()`.\n")
    parts += [_entry(f"ex.{name}", getattr(caudal.expect, name)) for name in sorted(dir(caudal.expect)) if not name.startswith("_")]
    return "\n".join(parts)


def documented() -> str:
    """Return the signatures as the page has them."""
    text = FILE.read_text(encoding="utf-8")
    return text[text.index(BEGIN) + len(BEGIN) : text.index(END)].strip() + "\n"


def write() -> None:
    """Put the signatures of the code into the page."""
    text = FILE.read_text(encoding="utf-8")
    before, after = text[: text.index(BEGIN)], text[text.index(END) :]
    FILE.write_text(f"{before}{BEGIN}\n\n{signatures().strip()}\n\n{after}", encoding="utf-8")


def _methods() -> list[tuple[str, Any]]:
    """Return the product's methods, those of the batch first."""
    return [
        (name, function)
        for of in Product.__mro__
        for name, function in vars(of).items()
        if inspect.isfunction(function) and not name.startswith("_")
    ]


def _entry(name: str, function: Any, doc: str | None = None) -> str:
    asked = get_overloads(function)[-1] if get_overloads(function) else function
    doc = doc if doc is not None else inspect.getdoc(function) or ""
    summary = " ".join(doc.split("\n\n")[0].split())
    return f"```python\n{_call(name, asked)}\n```\n\n{summary}\n"


def _call(name: str, function: Any) -> str:
    parameters = [one for one in inspect.signature(function).parameters.values() if one.name != "self"]
    written: list[str] = []
    starred = False
    for one in parameters:
        if one.kind is one.VAR_POSITIONAL:
            starred = True
        elif one.kind is one.KEYWORD_ONLY and not starred:
            written.append("*")
            starred = True
        prefix = {one.VAR_POSITIONAL: "*", one.VAR_KEYWORD: "**"}.get(one.kind, "")
        written.append(f"{prefix}{one.name}: {_type(one.annotation)}" + ("" if one.default is one.empty else f" = {one.default!r}"))
    line = f"{name}({', '.join(written)})"
    return line if len(line) <= WIDTH else "\n".join([f"{name}(", *(f"    {one}," for one in written), ")"])


def _type(annotation: Any) -> str:
    return re.sub(
        r"\b(Sequence|Mapping)\[", lambda match: {"Sequence": "list[", "Mapping": "dict["}[match.group(1)], str(annotation)
    )


if __name__ == "__main__":
    write()
