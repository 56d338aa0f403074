"""Commands on what is known of the data: where it comes from, what there is, how long it is kept."""

from __future__ import annotations

from typing import Annotated

import typer

from caudal.cli.app import Folder, HomeOption, JsonOption, app, print_json, problems_shown
from caudal.spec.settings import settings


@app.command()
def trace(folder: Folder, table: Annotated[str, typer.Argument(help="A table, features, or predictions.")],
          where: Annotated[str | None, typer.Option(help="Which rows: an SQL condition, such as 'zone_id = 7 and day >= \\'2023-01-01\\''.")] = None,
          version: Annotated[int | None, typer.Option("--version", help="An older version of the table.")] = None,
          run_id: Annotated[str | None, typer.Option("--run", help="The table as that run left it.")] = None,
          limit: Annotated[int, typer.Option(help="Rows to trace.")] = 100, home: HomeOption = None, as_json: JsonOption = False) -> None:  # fmt: skip
    """Tell where rows come from: model, features, tables, source rows, raw files with their hashes."""
    from caudal.run.governance.trace import trace as work

    with problems_shown(as_json):
        told = work(folder, settings(home=home), table, where=where, version=version, run_id=run_id, limit=limit)
        if as_json:
            return print_json(told)
        from caudal.report.terminal.governance import trace as show

        show(told)
    return None
