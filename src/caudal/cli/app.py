"""Parts that every command uses: the app, common options, and the printing of results and errors."""

from __future__ import annotations

import contextlib
import json
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, cast

import typer

from caudal.errors import CaudalError, EnvironmentProblem, printable
from caudal.extras import PYSPARK, check_pyspark
from caudal.secret import redact_logs, redacted

if TYPE_CHECKING:
    from caudal.json_value import JsonValue

app = typer.Typer(
    name="caudal",
    help="From raw data to a governed, served and watched model: a data product declared once, in Python.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

Folder = Annotated[Path, typer.Argument(help="The product's folder (holding product.py).", show_default=False)]
HomeOption = Annotated[
    Path | None, typer.Option("--home", help="Folder of lake, ledger, models and run pages.  [default: .caudal]")
]
LakeOption = Annotated[
    str | None,
    typer.Option(
        "--lake", help="Where raw files and tables lie: s3://bucket/…, hdfs://host:port/… or a folder.  [default: the home]"
    ),
]
EngineOption = Annotated[
    str | None,
    typer.Option(
        "--engine",
        help="What computes the tables: auto, Sail where it is installed and can, else Spark; spark; sail, without Java; or sc://host:port.  [default: auto]",
    ),
]
DataOption = Annotated[Path | None, typer.Option("--data", help="Folder that the sources' file patterns are looked up in.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON document on standard output, and nothing else.")]
ProductOption = Annotated[str | None, typer.Option("--product", help="The product's name; needed when the home holds several.")]
WaitOption = Annotated[float, typer.Option("--wait", help="Seconds to wait for another run of the product to end.")]


def main() -> None:
    """Run the command line."""
    redact_logs()
    app()


@contextlib.contextmanager
def exit_on_error(as_json: bool) -> Iterator[None]:
    """Print errors as sentences, or as JSON, and exit with their code; a stack trace of caudal is never printed."""
    try:
        yield
    except CaudalError as error:
        show_problem(error, as_json)
        raise typer.Exit(error.exit_code) from None
    except KeyboardInterrupt:
        sys.stderr.write("\nStopped; nothing half done is left. Run the same command to go on.\n")
        raise typer.Exit(130) from None
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise typer.Exit(1) from None
    except (typer.Exit, typer.Abort, SystemExit):
        raise
    except Exception as error:
        if os.environ.get("CAUDAL_TRACE"):
            raise
        if (translated := _translate_unexpected_error(error)) is not None:
            show_problem(translated, as_json)
            raise typer.Exit(translated.exit_code) from None
        show_problem(
            CaudalError(
                f"caudal itself failed: {type(error).__name__}: {error}.", fix="Set CAUDAL_TRACE=1 to see where, and report it."
            ),
            as_json,
        )
        raise typer.Exit(70) from None
    except BaseException as error:  # a Rust panic is not an Exception
        if isinstance(error, Exception) or type(error).__name__ != "PanicException" or os.environ.get("CAUDAL_TRACE"):
            raise
        translated = _translate_unexpected_error(error) or CaudalError(
            f"Delta's library failed: {error}.", fix="Give the same command again; nothing half done is left."
        )
        show_problem(translated, as_json)
        raise typer.Exit(translated.exit_code) from None


def _translate_unexpected_error(error: BaseException) -> CaudalError | None:
    """Return an unexpected error as an error of the machine or the storage; None where it is a bug of caudal."""
    try:
        if isinstance(error, ModuleNotFoundError) and str(error.name).partition(".")[0] == PYSPARK:
            check_pyspark()
        from caudal.runtime.faults import translate_machine_error

        return translate_machine_error(error)
    except EnvironmentProblem as damaged:  # so is what else is imported of PySpark
        return damaged
    except OSError as again:  # the import itself failed
        return EnvironmentProblem(
            f"The machine refuses: {again.strerror or again}.", fix="Correct that, and run the same command again."
        )


def show_problem(error: CaudalError, as_json: bool) -> None:
    """Print an error as a sentence, and with ``as_json`` also as JSON."""
    if as_json:
        print_json(error.as_dict())
    sys.stderr.write(f"✗ {error.sentence()}\n")


@contextlib.contextmanager
def writing_to(path: Path) -> Iterator[None]:
    """Raise an EnvironmentProblem with a sentence where writing a user's file or folder fails."""
    try:
        yield
    except OSError as error:
        raise EnvironmentProblem(
            f"'{path}' cannot be written: {error.strerror or error}.", fix="Give another place, or see to this one."
        ) from None


@contextlib.contextmanager
def show_progress(as_json: bool) -> Iterator[Any]:
    """Yield the progress display of a run; with ``as_json`` one that prints nothing."""
    if as_json:
        from caudal.runtime.progress import NoProgress

        yield NoProgress()
        return
    from caudal.report.terminal import TerminalProgress

    with TerminalProgress() as progress:
        yield progress


def finish_run(as_json: bool, result: Any) -> None:
    """Print the end of a run, and exit with its code where it failed."""
    if as_json:
        follows = {} if result.before is None else {"follows": result.before["run_id"]}
        print_json({**result.document, **follows})
    else:
        from caudal.report.terminal import print_summary

        if result.before is not None:
            print_summary(result.before)
        print_summary(result.document)
    if result.error is not None:
        sys.stderr.write(f"✗ {result.error.sentence()}\n")
        raise typer.Exit(result.error.exit_code)


def print_result(as_json: bool, document: Mapping[str, object], sentence: str) -> None:
    """Print a sentence, or with ``as_json`` the document."""
    if as_json:
        print_json(document)
    else:
        print(printable(sentence))


def print_rows(as_json: bool, rows: Sequence[Mapping[str, object]], columns: tuple[str, ...], nothing: str) -> None:
    """Print rows as a table, or with ``as_json`` as JSON; without rows the sentence ``nothing``."""
    if as_json:
        return print_json(rows)
    if not rows:
        return print(nothing)
    from caudal.report.terminal import table

    table(rows, columns)
    return None


def print_json(document: object) -> None:
    """Print a document as JSON, without secrets."""
    print(json.dumps(redacted(cast("JsonValue", document)), indent=2, default=str, ensure_ascii=False))
