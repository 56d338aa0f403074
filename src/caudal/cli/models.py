"""Commands on models: versions, cards, decisions."""

from __future__ import annotations

from typing import Annotated

import typer

from caudal.cli.app import HomeOption, JsonOption, ProductOption, app, exit_on_error, print_json, print_result, print_rows
from caudal.declarations.settings import settings

model_app = typer.Typer(help="Model versions and decisions: list, show, promote, rollback, history.", no_args_is_help=True)
app.add_typer(model_app, name="model")


@model_app.command("list")
def model_list(product: ProductOption = None, home: HomeOption = None, as_json: JsonOption = False) -> None:
    """List models and their versions."""
    from caudal.commands.models import list_models

    with exit_on_error(as_json):
        print_rows(
            as_json,
            list_models(settings(home=home), product),
            ("product", "model", "version", "candidate", "metric", "score", "spread", "state", "created"),
            "No model yet.",
        )


@model_app.command("show")
def model_show(model: Annotated[str, typer.Argument(help="The model.")], version: Annotated[int | None, typer.Option(help="The champion when left out.")] = None,
               product: ProductOption = None, home: HomeOption = None, as_json: JsonOption = False) -> None:  # fmt: skip
    """Show a model version's card: data, code, parameters, metrics, gates, decision, environment."""
    from caudal.commands.models import model_card

    with exit_on_error(as_json):
        document = model_card(settings(home=home), model, version, product)
        if as_json:
            return print_json(document)
        from caudal.report import terminal

        terminal.print_document(document)
    return None


@model_app.command("promote")
def model_promote(model: Annotated[str, typer.Argument(help="The model.")], version: Annotated[int, typer.Argument(help="The version.")],
                  reason: Annotated[str, typer.Option(help="Why; kept with the decision.")] = "by hand", product: ProductOption = None,
                  home: HomeOption = None, as_json: JsonOption = False) -> None:  # fmt: skip
    """Put a version into production by hand, whatever the results of its gates; the decision is recorded."""
    from caudal.commands.models import promote_version

    with exit_on_error(as_json):
        decision = promote_version(settings(home=home), model, version, reason, product)
        print_result(
            as_json,
            decision,
            f"{model} version {decision['version']} is in production"
            + (f", instead of {decision['replaced']}." if decision["replaced"] else "."),
        )


@model_app.command("rollback")
def model_rollback(model: Annotated[str, typer.Argument(help="The model.")], to: Annotated[int | None, typer.Option("--to", help="The champion before, when left out.")] = None,
                   reason: Annotated[str, typer.Option(help="Why; kept with the decision.")] = "rolled back by hand", product: ProductOption = None,
                   home: HomeOption = None, as_json: JsonOption = False) -> None:  # fmt: skip
    """Put an earlier champion back into production."""
    from caudal.commands.models import rollback_version

    with exit_on_error(as_json):
        decision = rollback_version(settings(home=home), model, to, reason, product)
        print_result(
            as_json, decision, f"{model} version {decision['version']} is in production again, instead of {decision['replaced']}."
        )


@model_app.command("history")
def model_history(model: Annotated[str, typer.Argument(help="The model.")], product: ProductOption = None, home: HomeOption = None,
                  as_json: JsonOption = False) -> None:  # fmt: skip
    """Show every decision on a model: what, who, when, why, what it replaced."""
    from caudal.commands.models import decision_history

    with exit_on_error(as_json):
        print_rows(
            as_json,
            decision_history(settings(home=home), model, product),
            ("at", "decision", "version", "replaced", "who", "reason", "gates"),
            "No decision yet.",
        )
