"""Commands on tables: export, and quarantined rows."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from caudal.cli.app import (
    DataOption,
    Folder,
    HomeOption,
    JsonOption,
    LakeOption,
    ProductOption,
    app,
    exit_on_error,
    finish_run,
    print_result,
    print_rows,
    show_progress,
)
from caudal.declarations.settings import settings

quarantine_app = typer.Typer(help="Rows that broke an expectation: list, show, replay.", no_args_is_help=True)
app.add_typer(quarantine_app, name="quarantine")


@app.command("export")
def export_command(table: Annotated[str, typer.Argument(help="The table.")], to: Annotated[Path, typer.Argument(help="File or folder to write.")],
           format: Annotated[Literal["parquet", "avro", "csv"] | None, typer.Option("--format", help="Taken from the ending of TO when left out.")] = None,
           version: Annotated[int | None, typer.Option("--version", help="An older version of the table.")] = None,
           run_id: Annotated[str | None, typer.Option("--run", help="The table as that run left it.")] = None,
           product: ProductOption = None, home: HomeOption = None, lake: LakeOption = None, as_json: JsonOption = False) -> None:  # fmt: skip
    """Write a table as Parquet, Avro or CSV, as it is now or as an earlier run left it."""
    from caudal.commands import export

    with exit_on_error(as_json):
        document = export.export(
            settings(home=home, lake=lake), table, to, format=format, version=version, run_id=run_id, product=product
        )
        print_result(
            as_json, document, f"Wrote {document['rows']:,} rows of {table} (version {document['version']}) to {document['to']}."
        )


@quarantine_app.command("list")
def quarantine_list(
    product: ProductOption = None, home: HomeOption = None, lake: LakeOption = None, as_json: JsonOption = False
) -> None:
    """List quarantined rows by table and reason."""
    from caudal.commands.quarantine import count_quarantined

    with exit_on_error(as_json):
        rows = count_quarantined(settings(home=home, lake=lake), product)
        print_rows(as_json, rows, ("product", "table", "reason", "rows"), "Nothing is in quarantine.")


@quarantine_app.command("show")
def quarantine_show(table: Annotated[str, typer.Argument(help="The table.")], reason: Annotated[str | None, typer.Option(help="Part of the reason.")] = None,
                    limit: Annotated[int, typer.Option(help="Rows to show.")] = 20, product: ProductOption = None, home: HomeOption = None, lake: LakeOption = None,
                    as_json: JsonOption = False) -> None:  # fmt: skip
    """Show quarantined rows: reasons, source file, raw values."""
    from caudal.commands.quarantine import show

    with exit_on_error(as_json):
        rows = show(settings(home=home, lake=lake), table, reason=reason, limit=limit, product=product)
        print_rows(as_json, rows, ("reasons", "file", "raw"), f"Nothing of '{table}' is in quarantine.")


@quarantine_app.command("replay")
def quarantine_replay(folder: Folder, table: Annotated[str, typer.Argument(help="The table.")],
                      set_to: Annotated[list[str] | None, typer.Option("--set", help="A correction: column = SQL expression. May be given more than once.")] = None,
                      reason: Annotated[str | None, typer.Option(help="Only rows with this in their reason.")] = None,
                      where: Annotated[str | None, typer.Option(help="Only rows for which this SQL condition holds.")] = None,
                      data: DataOption = None, home: HomeOption = None, lake: LakeOption = None, as_json: JsonOption = False) -> None:  # fmt: skip
    """Judge quarantined rows again, as they are (after a change of rules) or with corrections; then bring the product up to date."""
    from caudal.commands.quarantine import replay_quarantine

    with exit_on_error(as_json):
        with show_progress(as_json) as progress:
            result = replay_quarantine(
                folder,
                settings(home=home, lake=lake, data=data),
                table,
                set_to or [],
                reason=reason,
                where=where,
                progress=progress,
            )
        finish_run(as_json, result)
