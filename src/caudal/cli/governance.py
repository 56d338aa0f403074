"""Commands on what is known of the data: where it comes from, what there is, how long it is kept."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated

import typer

from caudal.cli.app import (
    DataOption,
    Folder,
    HomeOption,
    JsonOption,
    LakeOption,
    ProductOption,
    app,
    print_json,
    problems_shown,
    progress_shown,
    say,
    say_rows,
    writing,
)
from caudal.declarations.settings import settings
from caudal.errors import StorageDamaged


@app.command()
def trace(folder: Folder, table: Annotated[str, typer.Argument(help="A table, features, or predictions.")],
          where: Annotated[str | None, typer.Option(help="Which rows: an SQL condition, such as 'zone_id = 7 and day >= \\'2023-01-01\\''.")] = None,
          version: Annotated[int | None, typer.Option("--version", help="An older version of the table.")] = None,
          run_id: Annotated[str | None, typer.Option("--run", help="The table as that run left it.")] = None,
          limit: Annotated[int, typer.Option(help="Rows to trace.")] = 100, home: HomeOption = None, as_json: JsonOption = False) -> None:  # fmt: skip
    """Tell where rows come from: model, features, tables, source rows, raw files with their hashes."""
    from caudal.governance.trace import trace as work

    with problems_shown(as_json):
        told = work(folder, settings(home=home), table, where=where, version=version, run_id=run_id, limit=limit)
        if as_json:
            return print_json(told)
        from caudal.report.terminal.governance import trace as show

        show(told)
    return None


catalog_app = typer.Typer(help="What data there is, as pages that need no server.", no_args_is_help=True)
app.add_typer(catalog_app, name="catalog")


@catalog_app.command("build")
def catalog_build(folders: Annotated[list[Path] | None, typer.Argument(help="Folders of products, to show them as declared now; without, as they ran last.", show_default=False)] = None,
                  out: Annotated[Path, typer.Option("--out", help="Folder that the pages are written to.")] = Path("catalog"),
                  samples: Annotated[int, typer.Option(help="Rows of each table to show; columns that name a person are blotted out.")] = 0,
                  home: HomeOption = None, as_json: JsonOption = False) -> None:  # fmt: skip
    """Write the catalog of a home as static pages."""
    from caudal.governance.catalog import catalog
    from caudal.report.catalog import write_catalog

    with problems_shown(as_json):
        told = catalog(settings(home=home), folders or (), samples=samples)
        with writing(out):
            pages = write_catalog(told, out, time.time())
        say(as_json, {"out": str(out), "pages": pages}, f"Wrote {len(pages)} files. Open {out / 'index.html'}.")


@app.command()
def search(word: Annotated[str, typer.Argument(help="Part of a name or of a description.")], limit: Annotated[int, typer.Option(help="Lines to show.")] = 30,
           home: HomeOption = None, as_json: JsonOption = False) -> None:  # fmt: skip
    """Find tables, columns, models by name, description or owner."""
    from caudal.governance.catalog import catalog, search as work

    with problems_shown(as_json):
        found = work(catalog(settings(home=home)), word)[:limit]
        say_rows(as_json, found, ("kind", "where", "name", "about"), f"Nothing is called '{word}'.")


@app.command()
def verify(product: ProductOption = None, deep: Annotated[bool, typer.Option("--deep", help="Decode every page of every table too.")] = False,
           home: HomeOption = None, lake: LakeOption = None, as_json: JsonOption = False) -> None:  # fmt: skip
    """Check that a home holds what was put there: ledger, raw files, tables, models; and say how to mend what it does not."""
    from caudal.commands.verify.verify import verify as work

    with problems_shown(as_json):
        told = work(settings(home=home, lake=lake), product, deep=deep)
        if as_json:
            print_json(told)
        else:
            from caudal.report.terminal.verify import verify as show

            show(told)
        if told["faults"]:
            raise typer.Exit(StorageDamaged.exit_code)


@app.command()
def retain(folder: Folder, yes: Annotated[bool, typer.Option("--yes", help="Delete; without it, only what would go is shown.")] = False,
           home: HomeOption = None, as_json: JsonOption = False) -> None:  # fmt: skip
    """Show what may go by the declared times, and delete it with --yes."""
    from caudal.governance.retain import retain as work

    with problems_shown(as_json):
        told = work(folder, settings(home=home), yes=yes)
        if as_json:
            return print_json(told)
        from caudal.report.terminal.governance import retention

        retention(told)
    return None


@app.command()
def erase(folder: Folder, subject: Annotated[str, typer.Option("--subject", help="Whose rows: column=value, a column declared by product.subject.")],
          yes: Annotated[bool, typer.Option("--yes", help="Erase; without it, only where the rows lie is shown.")] = False,
          data: DataOption = None, home: HomeOption = None, as_json: JsonOption = False) -> None:  # fmt: skip
    """Erase one person's rows from raw files, tables, quarantine, predictions and old versions, and leave a proof."""
    from caudal.governance.erase import erase as work, unsearched

    with problems_shown(as_json):
        with progress_shown(as_json) as progress:
            told = work(folder, settings(home=home, data=data), subject, yes=yes, progress=progress)
        if as_json:
            print_json(told)
        else:
            from caudal.report.terminal.governance import erasure

            erasure(told)
        if told.get("not_searched") or told.get("stays"):
            raise unsearched(told)
    return
