"""Commands on data governance: lineage, catalog, verification, retention and erasure."""

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
    exit_on_error,
    print_json,
    print_result,
    print_rows,
    show_progress,
    writing_to,
)
from caudal.declarations.settings import settings
from caudal.errors import StorageDamaged


@app.command("trace")
def trace_command(folder: Folder, table: Annotated[str, typer.Argument(help="A table, features, or predictions.")],
          where: Annotated[str | None, typer.Option(help="Which rows: an SQL condition, such as 'zone_id = 7 and day >= \\'2023-01-01\\''.")] = None,
          version: Annotated[int | None, typer.Option("--version", help="An older version of the table.")] = None,
          run_id: Annotated[str | None, typer.Option("--run", help="The table as that run left it.")] = None,
          limit: Annotated[int, typer.Option(help="Rows to trace.")] = 100, home: HomeOption = None, as_json: JsonOption = False) -> None:  # fmt: skip
    """Show where rows come from: model, features, tables, source rows, raw files with their hashes."""
    from caudal.governance import trace

    with exit_on_error(as_json):
        document = trace.trace(folder, settings(home=home), table, where=where, version=version, run_id=run_id, limit=limit)
        if as_json:
            return print_json(document)
        from caudal.report.terminal import governance

        governance.print_trace(document)
    return None


catalog_app = typer.Typer(help="What data there is, as pages that need no server.", no_args_is_help=True)
app.add_typer(catalog_app, name="catalog")


@catalog_app.command("build")
def catalog_build(folders: Annotated[list[Path] | None, typer.Argument(help="Folders of products, to show them as declared now; without, as they ran last.", show_default=False)] = None,
                  out: Annotated[Path, typer.Option("--out", help="Folder that the pages are written to.")] = Path("catalog"),
                  samples: Annotated[int, typer.Option(help="Rows of each table to show; columns that name a person are hidden.")] = 0,
                  home: HomeOption = None, as_json: JsonOption = False) -> None:  # fmt: skip
    """Write the catalog of a home as static pages."""
    from caudal.governance.catalog import catalog
    from caudal.report.catalog import write_catalog

    with exit_on_error(as_json):
        document = catalog(settings(home=home), folders or (), samples=samples)
        with writing_to(out):
            pages = write_catalog(document, out, time.time())
        print_result(as_json, {"out": str(out), "pages": pages}, f"Wrote {len(pages)} files. Open {out / 'index.html'}.")


@app.command("search")
def search_command(word: Annotated[str, typer.Argument(help="Part of a name or of a description.")], limit: Annotated[int, typer.Option(help="Lines to show.")] = 30,
           home: HomeOption = None, as_json: JsonOption = False) -> None:  # fmt: skip
    """Find tables, columns, models by name, description or owner."""
    from caudal.governance import catalog

    with exit_on_error(as_json):
        rows = catalog.search_catalog(catalog.catalog(settings(home=home)), word)[:limit]
        print_rows(as_json, rows, ("kind", "where", "name", "about"), f"Nothing is called '{word}'.")


@app.command("verify")
def verify_command(product: ProductOption = None, deep: Annotated[bool, typer.Option("--deep", help="Decode every page of every table too.")] = False,
           home: HomeOption = None, lake: LakeOption = None, as_json: JsonOption = False) -> None:  # fmt: skip
    """Check that a home's ledger, raw files, tables and models are unchanged, and say how to repair what is not."""
    from caudal.commands.verify import verify

    with exit_on_error(as_json):
        document = verify.verify(settings(home=home, lake=lake), product, deep=deep)
        if as_json:
            print_json(document)
        else:
            from caudal.report.terminal.verify import verification

            verification(document)
        if document["faults"]:
            raise typer.Exit(StorageDamaged.exit_code)


@app.command("debt")
def debt_command(folder: Folder, fail_above: Annotated[list[str] | None, typer.Option("--fail-above", help="KIND=N: exit with 1 where there is more than N of a kind. Can be given several times.", show_default=False)] = None,
                 history: Annotated[bool, typer.Option("--history", help="Show the counts of earlier times.")] = False,
                 home: HomeOption = None, lake: LakeOption = None, as_json: JsonOption = False) -> None:  # fmt: skip
    """Measure a product's technical debt: what nothing uses, declares, documents or can fail, with what to do, and how it has grown."""
    from caudal.commands.debt import product_debt

    with exit_on_error(as_json):
        document = product_debt(folder, settings(home=home, lake=lake), fail_above or ())
        if as_json:
            print_json(document)
        else:
            from caudal.report.terminal.debt import print_debt

            print_debt(document, with_history=history)
        if document["exceeded"]:
            raise typer.Exit(1)


@app.command("retain")
def retain_command(folder: Folder, yes: Annotated[bool, typer.Option("--yes", help="Delete; without it, only show what would be deleted.")] = False,
           home: HomeOption = None, as_json: JsonOption = False) -> None:  # fmt: skip
    """Show what is older than the declared retention times, and delete it with --yes."""
    from caudal.governance import retain

    with exit_on_error(as_json):
        document = retain.retain(folder, settings(home=home), yes=yes)
        if as_json:
            return print_json(document)
        from caudal.report.terminal.governance import retention

        retention(document)
    return None


@app.command("erase")
def erase_command(folder: Folder, subject: Annotated[str, typer.Option("--subject", help="Whose rows: column=value, a column declared by product.subject.")],
          yes: Annotated[bool, typer.Option("--yes", help="Erase; without it, only show where the rows are.")] = False,
          data: DataOption = None, home: HomeOption = None, as_json: JsonOption = False) -> None:  # fmt: skip
    """Erase one person's rows from raw files, tables, quarantine, predictions and old versions, and leave a proof."""
    from caudal.governance import erase
    from caudal.governance.erase import unsearched

    with exit_on_error(as_json):
        with show_progress(as_json) as progress:
            document = erase.erase(folder, settings(home=home, data=data), subject, yes=yes, progress=progress)
        if as_json:
            print_json(document)
        else:
            from caudal.report.terminal.governance import erasure

            erasure(document)
        if document.get("not_searched") or document.get("stays"):
            raise unsearched(document)
    return
