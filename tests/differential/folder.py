"""A product as a user writes it: a folder with ``product.py``, a second module, and a file of settings."""

from __future__ import annotations

import json
from pathlib import Path

from tests.differential.grammar import EVENTS, OPERATIONS, QUERIES, Product, Shape, Source, Table

HEAD = '''"""Made by tests/differential."""

import json
from pathlib import Path

import rules
from pyspark.sql import functions as F

import caudal as cd
from caudal import expect as ex

FACTOR = {constant}
SETTINGS = json.loads((Path(__file__).parent / "settings.json").read_text())

product = cd.Product("drawn", tz="{zone}")


def totals(rows, column, name):
    frame = rows.select("k", column).toPandas().astype({{column: "float64"}})
    return frame.groupby("k", dropna=False)[column].sum(min_count=1).rename(name).reset_index()

'''
RULES = '''"""What more than one table needs."""

FACTOR = {module}


def scaled(column):
    return column * FACTOR
'''


def write(product: Product, folder: Path) -> None:
    """Write the product's files."""
    folder.mkdir(parents=True, exist_ok=True)
    shapes: dict[str, Shape] = {source.name: EVENTS for source in product.sources} | {
        table.name: table.shape for table in product.tables
    }
    text = HEAD.format(zone=product.zone, constant=product.numbers["constant"])
    text += "".join(_source(source) for source in product.sources)
    text += "".join(
        _table(table, shapes[table.inputs[0]]).replace("{inline}", str(product.numbers["inline"])) for table in product.tables
    )
    for name, body in {
        "product.py": text, "rules.py": RULES.format(module=product.numbers["module"]),
        "settings.json": json.dumps({"factor": product.numbers["settings"]}) + "\n",
    }.items():  # fmt: skip
        file = folder / name
        if not file.exists() or file.read_text() != body:
            file.write_text(body)


def _source(source: Source) -> str:
    rules = [
        *(['ex.between("v", -20, 20).quarantine()'] if source.between else []),
        *(['ex.unique("id").quarantine()'] if source.unique else []),
    ]
    said = f", partition={source.partition!r}" if source.partition else ""
    said += f", expect=[{', '.join(rules)}]" if rules else ""
    return (
        f'product.source(\n    "{source.name}",\n    cd.files("{source.name}_*.{source.format}", required=False),\n'
        f'    schema=cd.schema(id="long", k="string", at="{source.clock}", until="{source.clock}", v="double", n=cd.column("long", required=False)),\n'
        f'    event_time="at"{said},\n)\n'
    )


def _table(table: Table, shape: Shape) -> str:
    options = []
    if table.shape.time is not None:
        options.append(f'event_time="{table.shape.time}"')
    if table.partition:
        options.append(f'partition="{table.partition}"')
    if table.unique:
        key = ", ".join(f'"{column}"' for column in ("k", table.shape.time) if column)
        options.append(f"expect=[ex.unique({key}).quarantine()]")
    first = table.steps[0]
    if first.name in QUERIES:
        if first.name == "sql_window" and table.partition == "day":
            options.append('lookback="1 day"')
        query = OPERATIONS[first.name].query.format(input=table.inputs[0], **first.options)  # type: ignore[attr-defined]
        return f'\nproduct.sql(\n    "{table.name}",\n    "{query}",\n    {", ".join(options)}\n)\n'
    lines = [f"    rows = {table.inputs[0]}"]
    for step in table.steps:
        operation = OPERATIONS[step.name]
        lines.append(f"    rows = {operation.line(step.options, shape)}")
        shape = operation.shape(shape, step.options)
    body = "\n".join(lines)
    return f"\n\n@product.table({', '.join(options)})\ndef {table.name}({', '.join(table.inputs)}):\n{body}\n    return rows\n"
