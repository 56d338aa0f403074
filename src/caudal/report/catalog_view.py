"""The content of the pages of a catalog; the template only lays it out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from markupsafe import Markup

from caudal.graph.draw import as_svg
from caudal.graph.registered import labels_where, labels_with_table
from caudal.graph.shape import Graph, GraphNode
from caudal.report.figures import age, count_text, duration, plural, share_text, size, time_text, value

Entry = Mapping[str, Any]  # a product, a node or a column, as the catalog document describes it


class CatalogPages:
    """Yields the pages of one catalog: for each its file name and the content of its template."""

    def __init__(self, document: Entry, made_at: float) -> None:
        self._document, self._made_at = document, made_at

    def all(self) -> Iterator[tuple[str, dict[str, object]]]:
        yield "index.html", self._home_page()
        for product in self._document["products"]:
            yield page(product["name"]), self._product_page(product)
            for entry in product["things"]:
                yield page(product["name"], entry["name"]), self._entry_page(product, entry)

    def index(self) -> list[list[str]]:
        """Return what the search of the pages covers: kind, parent, name, description and address of each product, node and column."""
        rows = []
        for product in self._document["products"]:
            name = product["name"]
            rows.append(["product", "", name, product["description"] or "", page(name)])
            for entry in product["things"]:
                rows.append([entry["kind"], name, entry["name"], _first_line(entry["description"]), page(name, entry["name"])])
                rows += [
                    ["column", f"{name}.{entry['name']}", column["name"], " ".join(filter(None, (column["about"], column["unit"] and f"[{column['unit']}]"))),
                     f"{page(name, entry['name'])}#{column['name']}"]
                    for column in entry["columns"] if entry["kind"] in labels_with_table()
                ]  # fmt: skip
        return rows

    def _home_page(self) -> dict[str, object]:
        entries = [entry for product in self._document["products"] for entry in product["things"]]
        counts = Counter(entry["kind"] for entry in entries)
        columns = [column for entry in entries if entry["kind"] in labels_with_table() for column in entry["columns"]]
        tables = [entry for entry in entries if entry["kind"] in labels_where(columns="built")]
        described = sum(bool(column["about"]) for column in columns)
        tiles = [
            ("Products", count_text(len(self._document["products"])), plural(counts["source"], "source")),
            ("Tables", count_text(len(tables)), plural(sum(table["rows"] or 0 for table in tables), "row")),
            ("Models", count_text(counts["model"]), plural(counts["prediction"], "table of predictions", "tables of predictions")),
            ("Columns", count_text(len(columns)), f"{described:,} described"),
        ]
        products = [
            {"name": product["name"], "href": page(product["name"]), "owner": product["owner"], "description": product["description"], "state": _state_badge(product),
             "things": self._entry_rows(product)}
            for product in self._document["products"]
        ]  # fmt: skip
        return {**self._frame("", [("Catalog", None)], "Catalog"), "tiles": tiles, "products": products}

    def _product_page(self, product: Entry) -> dict[str, object]:
        last = product["last_run"]
        facts = [("Owner", product["owner"] or "none declared"), ("Time zone", product["tz"])]
        facts += [("Last run", time_text(last["started_at"]))] if last else []
        nodes = {name: _node(name, node) for name, node in product["nodes"].items()}
        return {
            **self._frame("../", [("Catalog", "index.html"), (product["name"], None)], product["name"]),
            "about": product["description"], "facts": facts, "state": _state_badge(product), "graph": self._drawing(product, nodes),
            "things": self._entry_rows(product),
        }  # fmt: skip

    def _entry_page(self, product: Entry, entry: Entry) -> dict[str, object]:
        columns = [self._column(product, entry, column) for column in entry["columns"]]
        names = {entry["name"], *entry["inputs"], *(reader["name"] for reader in entry["readers"])}
        neighbours = {name: _node(name, node, names) for name, node in product["nodes"].items() if name in names}
        deciding_columns = entry["rows_decided_by"].get("indirect", ())
        return {
            **self._frame("../", [("Catalog", "index.html"), (product["name"], page(product["name"])), (entry["name"], None)], entry["name"]),
            "title": f"{product['name']}.{entry['name']}", "thing": entry, "about": entry["description"], "facts": self._facts(entry),
            "state": _checks_badge(entry), "graph": self._drawing(product, neighbours) if len(neighbours) > 1 else None, "columns": columns,
            "has_text": any(column["about"] for column in columns), "has_distinct": any(column["distinct"] for column in columns), "has_figures": any(column["measured"] for column in columns),
            "rows_decided": self._links(product, deciding_columns), "checks": [_check(check) for check in entry["checks"]],
            "readers": [{**reader, "href": self._address(product, reader["name"])} for reader in entry["readers"]], "sample": [{name: value(cell) for name, cell in row.items()} for row in entry["sample"]],
            "sql": (entry["sql"] or "").strip("\n") or None, "scores": _scores(entry),
        }  # fmt: skip

    def _frame(self, root: str, crumbs: list[tuple[str, str | None]], heading: str) -> dict[str, object]:
        return {
            "root": root,
            "title": heading,
            "crumbs": crumbs,
            "heading": heading,
            "footer": f"Made {time_text(self._made_at)} by caudal from what its runs recorded.",
        }

    def _entry_rows(self, product: Entry) -> list[dict[str, object]]:
        return [
            {"name": entry["name"], "kind": entry["kind"], "href": page(product["name"], entry["name"]), "line": _first_line(entry["description"]),
             "rows": "" if entry["rows"] is None else count_text(entry["rows"]), "columns": len(entry["columns"]),
             "updated": age(self._made_at - entry["updated_at"]) if entry["updated_at"] else "never", "checks": _checks_badge(entry)}
            for entry in product["things"]
        ]  # fmt: skip

    def _drawing(self, product: Entry, nodes: Mapping[str, GraphNode]) -> Markup:
        links = {name: f"../{page(product['name'], name)}" for name in nodes if self._address(product, name)}
        return Markup(as_svg(Graph(nodes), links=links))  # noqa: S704 it escapes its texts

    def _facts(self, entry: Entry) -> list[tuple[str, str]]:
        promised_s = entry["fresh_within_s"]
        age_s = None if entry["updated_at"] is None else self._made_at - entry["updated_at"]
        facts: list[tuple[str, object]] = [
            ("Owner", entry["owner"]), ("Comes from", entry["from"]),
            ("Rows", count_text(entry["rows"]) if entry["rows"] is not None else None), ("Size", size(entry["bytes"]) if entry["bytes"] else None),
            ("Version", f"{entry['version']} ({plural(entry['versions'], 'version')})" if entry["version"] is not None else "none yet"),
            ("Updated", f"{time_text(entry['updated_at'])}, {age(age_s)}" if age_s is not None else "never"),
            ("Promised within", f"{duration(promised_s)}{'' if age_s is None or age_s <= promised_s else ' – late'}" if promised_s else None),
            ("Event time", entry["event_time"]), ("Days", " to ".join(entry["days"]) if entry["days"] else None),
            ("In quarantine", plural(entry["set_aside"], "row") if entry["set_aside"] is not None else None),
            *((name.replace("_", " ").capitalize(), fact if isinstance(fact, str) else ", ".join(fact)) for name, fact in entry["more"].items()),
            ("Declared in", entry["where"]),
        ]  # fmt: skip
        return [(name, str(fact)) for name, fact in facts if fact]

    def _column(self, product: Entry, entry: Entry, column: Entry) -> dict[str, object]:
        figures = column["figures"]
        nulls, rows = figures.get("nulls"), figures.get("rows")
        no_origin = (
            "The raw file."
            if entry["kind"] in labels_where(columns="raw")
            else "No column: a constant, a count of rows, or made by the engine."
        )
        origins = self._links(product, column["from"])
        if entry["kind"] in labels_where(columns="raw") and column["raw"]:
            origins = [{"name": column["raw"], "href": None, "how": "in the raw files"}]
        return {
            **{name: column[name] for name in ("name", "type", "unit", "about", "unknown")}, "measured": bool(figures),
            "nulls": share_text(nulls, rows) if nulls else ("0" if nulls == 0 else ""), "null_share": round(100 * nulls / rows, 1) if nulls and rows else None,
            **{name: _shortened(value(figures[name])) if figures.get(name) is not None else "" for name in ("min", "mean", "max", "distinct")},
            "comes": origins, "decided": self._links(product, column["indirect"]), "goes": self._links(product, column["to"]), "none": no_origin,
        }  # fmt: skip

    def _links(self, product: Entry, links: Sequence[Entry]) -> list[dict[str, object]]:
        """Return columns as links, each once, with every way in which it takes part."""
        hows_by_column: dict[tuple[str, str | None], list[str]] = {}
        for link in links:
            how = link.get("kind") or link.get("how", "").replace("_", " ")
            hows_by_column.setdefault((link["table"], link["column"]), []).append(
                "unchanged" if how == "identity" else how + (" through a Python function" if link.get("python") else "")
            )
        return [
            {"name": f"{table}.{column}" if column else table, "how": ", ".join(dict.fromkeys(hows)),
             "href": address + (f"#{column}" if column else "") if (address := self._address(product, table)) else None}
            for (table, column), hows in hows_by_column.items()
        ]  # fmt: skip

    def _address(self, product: Entry, name: str) -> str | None:
        return page(product["name"], name) if any(entry["name"] == name for entry in product["things"]) else None


def page(product: str, entry: str | None = None) -> str:
    """Return the file of a page, below the catalog's folder.

    Examples
    --------
    >>> page("taxi"), page("taxi", "trips")
    ('taxi/index.html', 'taxi/trips.html')
    """
    return f"{product}/{'index' if entry is None else 'index_' if entry == 'index' else entry}.html"


def _node(name: str, entry: Entry, neighbours: set[str] | None = None) -> GraphNode:
    inputs = tuple(input_ for input_ in entry["inputs"] if neighbours is None or input_ in neighbours)
    return GraphNode(name, entry["kind"], inputs, entry["description"], entry["where"])


def _first_line(text: str | None) -> str:
    return (text or "").strip().split("\n")[0]


def _state_badge(product: Entry) -> tuple[str, str] | None:
    last = product["last_run"]
    if last is None:
        return None
    return (
        "succeeded" if last["state"] == "succeeded" else "failed" if last["state"] == "failed" else "skipped",
        f"last run {last['state']}",
    )


def _checks_badge(entry: Entry) -> tuple[str, str] | None:
    """Return the outcome of an entry's checks as one badge: its state and its words; None where it has no checks."""
    if not entry["checks"]:
        return None
    broken = [check for check in entry["checks"] if check["broken"] or not check["passed"]]
    stopped = any(_check(check)["state"] == "failed" for check in broken)
    words = f"{plural(len(entry['checks']), 'check')}" + (f", {len(broken)} found something" if broken else "")
    return ("failed" if stopped else "waiting" if broken else "succeeded", words)


def _check(row: Entry) -> dict[str, object]:
    if row["passed"] and not row["broken"]:
        outcome, state = "passed", "succeeded"
    elif row["action"] == "stop" or not row["published"]:
        outcome, state = "stopped", "failed"
    else:
        outcome, state = ("warned" if row["action"] == "warn" else "set aside"), "waiting"
    return {
        **row,
        "rows": count_text(row["rows"]),
        "broken": count_text(row["broken"]),
        "share": share_text(row["broken"], row["rows"]),
        "outcome": outcome,
        "state": state,
    }


def _scores(entry: Entry) -> list[tuple[str, str]]:
    if not entry.get("champion"):
        return []
    champion = entry["champion"]
    scores = [
        ("Version", str(champion["version"])),
        ("Candidate", champion["candidate"]),
        ("Decided", f"{time_text(champion['at'])} by {champion['who']}"),
    ]
    scores += [
        (
            "Learned from",
            f"{plural(champion['training_rows'], 'row')} of {champion['training_table']} version {champion['training_version']}",
        )
    ]
    scores += [("Of", f"{champion['training_from']} to {champion['training_until']}")] if champion["training_from"] else []
    return (
        scores
        + [
            (name.replace("_", " "), value(metric))
            for name, metric in champion["metrics"].items()
            if isinstance(metric, int | float)
        ][:6]
    )


def _shortened(text: str) -> str:
    return text if len(text) <= 24 else text[:23] + "…"
