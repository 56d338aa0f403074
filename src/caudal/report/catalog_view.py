"""What the pages of a catalog say; the template only lays it out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from markupsafe import Markup

from caudal.graph.draw import as_svg
from caudal.graph.registered import labels_where, with_columns
from caudal.graph.shape import Graph, GraphNode
from caudal.report.figures import age, count, duration, moment, plural, share, size, value

Thing = Mapping[str, Any]


class Pages:
    """The pages of one catalog: each a name and the content of its template."""

    def __init__(self, told: Thing, made_at: float) -> None:
        self._told, self._made_at = told, made_at

    def all(self) -> Iterator[tuple[str, dict[str, object]]]:
        yield "index.html", self._home()
        for product in self._told["products"]:
            yield page(product["name"]), self._product(product)
            for thing in product["things"]:
                yield page(product["name"], thing["name"]), self._thing(product, thing)

    def index(self) -> list[list[str]]:
        """Return what can be searched for: kind, where, name, about, address."""
        found = []
        for product in self._told["products"]:
            name = product["name"]
            found.append(["product", "", name, product["description"] or "", page(name)])
            for thing in product["things"]:
                found.append([thing["kind"], name, thing["name"], _line(thing["description"]), page(name, thing["name"])])
                found += [
                    ["column", f"{name}.{thing['name']}", column["name"], " ".join(filter(None, (column["about"], column["unit"] and f"[{column['unit']}]"))),
                     f"{page(name, thing['name'])}#{column['name']}"]
                    for column in thing["columns"] if thing["kind"] in with_columns()
                ]  # fmt: skip
        return found

    def _home(self) -> dict[str, object]:
        things = [thing for product in self._told["products"] for thing in product["things"]]
        counted = Counter(thing["kind"] for thing in things)
        columns = [column for thing in things if thing["kind"] in with_columns() for column in thing["columns"]]
        tables = [thing for thing in things if thing["kind"] in labels_where(columns="built")]
        told = sum(bool(column["about"]) for column in columns)
        tiles = [
            ("Products", count(len(self._told["products"])), plural(counted["source"], "source")),
            ("Tables", count(len(tables)), plural(sum(table["rows"] or 0 for table in tables), "row")),
            ("Models", count(counted["model"]), plural(counted["prediction"], "table of predictions", "tables of predictions")),
            ("Columns", count(len(columns)), f"{told:,} described"),
        ]
        products = [
            {"name": product["name"], "href": page(product["name"]), "owner": product["owner"], "description": product["description"], "state": _state(product),
             "things": self._lines(product)}
            for product in self._told["products"]
        ]  # fmt: skip
        return {**self._frame("", [("Catalog", None)], "Catalog"), "tiles": tiles, "products": products}

    def _product(self, product: Thing) -> dict[str, object]:
        last = product["last_run"]
        facts = [("Owner", product["owner"] or "none declared"), ("Time zone", product["tz"])]
        facts += [("Last run", moment(last["started_at"]))] if last else []
        nodes = {name: _node(name, node) for name, node in product["nodes"].items()}
        return {
            **self._frame("../", [("Catalog", "index.html"), (product["name"], None)], product["name"]),
            "about": product["description"], "facts": facts, "state": _state(product), "graph": self._drawing(product, nodes),
            "things": self._lines(product),
        }  # fmt: skip

    def _thing(self, product: Thing, thing: Thing) -> dict[str, object]:
        columns = [self._column(product, thing, column) for column in thing["columns"]]
        names = {thing["name"], *thing["inputs"], *(reader["name"] for reader in thing["readers"])}
        near = {name: _node(name, node, names) for name, node in product["nodes"].items() if name in names}
        deciding = thing["rows_decided_by"].get("indirect", ())
        return {
            **self._frame("../", [("Catalog", "index.html"), (product["name"], page(product["name"])), (thing["name"], None)], thing["name"]),
            "title": f"{product['name']}.{thing['name']}", "thing": thing, "about": thing["description"], "facts": self._facts(thing),
            "state": _checked(thing), "graph": self._drawing(product, near) if len(near) > 1 else None, "columns": columns,
            "has_text": any(column["about"] for column in columns), "has_distinct": any(column["distinct"] for column in columns), "has_figures": any(column["measured"] for column in columns),
            "rows_decided": self._links(product, deciding), "checks": [_check(check) for check in thing["checks"]],
            "readers": [{**reader, "href": self._address(product, reader["name"])} for reader in thing["readers"]], "sample": [{name: value(cell) for name, cell in row.items()} for row in thing["sample"]],
            "sql": (thing["sql"] or "").strip("\n") or None, "scores": _scores(thing),
        }  # fmt: skip

    def _frame(self, root: str, crumbs: list[tuple[str, str | None]], heading: str) -> dict[str, object]:
        return {
            "root": root,
            "title": heading,
            "crumbs": crumbs,
            "heading": heading,
            "footer": f"Made {moment(self._made_at)} by caudal from what its runs have told.",
        }

    def _lines(self, product: Thing) -> list[dict[str, object]]:
        return [
            {"name": thing["name"], "kind": thing["kind"], "href": page(product["name"], thing["name"]), "line": _line(thing["description"]),
             "rows": "" if thing["rows"] is None else count(thing["rows"]), "columns": len(thing["columns"]),
             "updated": age(self._made_at - thing["updated_at"]) if thing["updated_at"] else "never", "checks": _checked(thing)}
            for thing in product["things"]
        ]  # fmt: skip

    def _drawing(self, product: Thing, nodes: Mapping[str, GraphNode]) -> Markup:
        links = {name: f"../{page(product['name'], name)}" for name in nodes if self._address(product, name)}
        return Markup(as_svg(Graph(nodes), links=links))  # noqa: S704 it escapes its texts

    def _facts(self, thing: Thing) -> list[tuple[str, str]]:
        late = thing["fresh_within_s"]
        old = None if thing["updated_at"] is None else self._made_at - thing["updated_at"]
        told: list[tuple[str, object]] = [
            ("Owner", thing["owner"]), ("Comes from", thing["from"]),
            ("Rows", count(thing["rows"]) if thing["rows"] is not None else None), ("Size", size(thing["bytes"]) if thing["bytes"] else None),
            ("Version", f"{thing['version']} ({plural(thing['versions'], 'version')})" if thing["version"] is not None else "none yet"),
            ("Updated", f"{moment(thing['updated_at'])}, {age(old)}" if old is not None else "never"),
            ("Promised within", f"{duration(late)}{'' if old is None or old <= late else ' – late'}" if late else None),
            ("Event time", thing["event_time"]), ("Days", " to ".join(thing["days"]) if thing["days"] else None),
            ("In quarantine", plural(thing["set_aside"], "row") if thing["set_aside"] is not None else None),
            *((name.replace("_", " ").capitalize(), one if isinstance(one, str) else ", ".join(one)) for name, one in thing["more"].items()),
            ("Declared in", thing["where"]),
        ]  # fmt: skip
        return [(name, str(one)) for name, one in told if one]

    def _column(self, product: Thing, thing: Thing, one: Thing) -> dict[str, object]:
        figures = one["figures"]
        nulls, rows = figures.get("nulls"), figures.get("rows")
        none = (
            "The raw file."
            if thing["kind"] in labels_where(columns="raw")
            else "No column: a constant, a count of rows, or made by the engine."
        )
        comes = self._links(product, one["from"])
        if thing["kind"] in labels_where(columns="raw") and one["raw"]:
            comes = [{"name": one["raw"], "href": None, "how": "in the raw files"}]
        return {
            **{name: one[name] for name in ("name", "type", "unit", "about", "unknown")}, "measured": bool(figures),
            "nulls": share(nulls, rows) if nulls else ("0" if nulls == 0 else ""), "null_share": round(100 * nulls / rows, 1) if nulls and rows else None,
            **{name: _short(value(figures[name])) if figures.get(name) is not None else "" for name in ("min", "mean", "max", "distinct")},
            "comes": comes, "decided": self._links(product, one["indirect"]), "goes": self._links(product, one["to"]), "none": none,
        }  # fmt: skip

    def _links(self, product: Thing, said: Sequence[Thing]) -> list[dict[str, object]]:
        """Return columns as links, each once, with all that is said of how."""
        found: dict[tuple[str, str | None], list[str]] = {}
        for one in said:
            how = one.get("kind") or one.get("how", "").replace("_", " ")
            found.setdefault((one["table"], one["column"]), []).append(
                "unchanged" if how == "identity" else how + (" through a Python function" if one.get("python") else "")
            )
        return [
            {"name": f"{table}.{column}" if column else table, "how": ", ".join(dict.fromkeys(hows)),
             "href": address + (f"#{column}" if column else "") if (address := self._address(product, table)) else None}
            for (table, column), hows in found.items()
        ]  # fmt: skip

    def _address(self, product: Thing, name: str) -> str | None:
        return page(product["name"], name) if any(thing["name"] == name for thing in product["things"]) else None


def page(product: str, thing: str | None = None) -> str:
    """Return the file of a page, below the catalog's folder.

    Examples
    --------
    >>> page("taxi"), page("taxi", "trips")
    ('taxi/index.html', 'taxi/trips.html')
    """
    return f"{product}/{'index' if thing is None else 'index_' if thing == 'index' else thing}.html"


def _node(name: str, said: Thing, among: set[str] | None = None) -> GraphNode:
    inputs = tuple(input_ for input_ in said["inputs"] if among is None or input_ in among)
    return GraphNode(name, said["kind"], inputs, said["description"], said["where"])


def _line(text: str | None) -> str:
    return (text or "").strip().split("\n")[0]


def _state(product: Thing) -> tuple[str, str] | None:
    last = product["last_run"]
    if last is None:
        return None
    return (
        "succeeded" if last["state"] == "succeeded" else "failed" if last["state"] == "failed" else "skipped",
        f"last run {last['state']}",
    )


def _checked(thing: Thing) -> tuple[str, str] | None:
    """Return how the checks of a thing did, in one badge."""
    if not thing["checks"]:
        return None
    broken = [check for check in thing["checks"] if check["broken"] or not check["passed"]]
    stopped = any(_check(one)["state"] == "failed" for one in broken)
    words = f"{plural(len(thing['checks']), 'check')}" + (f", {len(broken)} found something" if broken else "")
    return ("failed" if stopped else "waiting" if broken else "succeeded", words)


def _check(row: Thing) -> dict[str, object]:
    if row["passed"] and not row["broken"]:
        outcome, state = "passed", "succeeded"
    elif row["action"] == "stop" or not row["published"]:
        outcome, state = "stopped", "failed"
    else:
        outcome, state = ("warned" if row["action"] == "warn" else "set aside"), "waiting"
    return {
        **row,
        "rows": count(row["rows"]),
        "broken": count(row["broken"]),
        "share": share(row["broken"], row["rows"]),
        "outcome": outcome,
        "state": state,
    }


def _scores(thing: Thing) -> list[tuple[str, str]]:
    if not thing.get("champion"):
        return []
    said = thing["champion"]
    told = [
        ("Version", str(said["version"])),
        ("Candidate", said["candidate"]),
        ("Decided", f"{moment(said['at'])} by {said['who']}"),
    ]
    told += [
        ("Learned from", f"{plural(said['training_rows'], 'row')} of {said['training_table']} version {said['training_version']}")
    ]
    told += [("Of", f"{said['training_from']} to {said['training_until']}")] if said["training_from"] else []
    return (
        told
        + [(name.replace("_", " "), value(metric)) for name, metric in said["metrics"].items() if isinstance(metric, int | float)][
            :6
        ]
    )


def _short(text: str) -> str:
    return text if len(text) <= 24 else text[:23] + "…"
