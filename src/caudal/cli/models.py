"""Commands on models: versions, cards, decisions."""

from __future__ import annotations

from typing import Annotated

import typer

from caudal.cli.app import HomeOption, JsonOption, ProductOption, app, exit_on_error, print_json, print_result, print_rows
from caudal.declarations.settings import settings
from caudal.errors import DeclarationProblem

model_app = typer.Typer(
    help="Model versions and decisions: list, show, promote, rollback, history, shadow, canary, withdraw, compare.",
    no_args_is_help=True,
)
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
def model_promote(model: Annotated[str, typer.Argument(help="The model.")],
                  version: Annotated[int | None, typer.Argument(help="The version; with --from-trial the one on trial, when left out.")] = None,
                  from_trial: Annotated[bool, typer.Option("--from-trial", help="Only if it has shown in its trial what its gate asks for.")] = False,
                  reason: Annotated[str, typer.Option(help="Why; kept with the decision.")] = "by hand", product: ProductOption = None,
                  home: HomeOption = None, as_json: JsonOption = False) -> None:  # fmt: skip
    """Put a version into production by hand, whatever the results of its gates, or by what was seen of it in its trial; the decision is recorded."""
    from caudal.commands.models import promote_version
    from caudal.commands.trials import promote_from_trial

    with exit_on_error(as_json):
        if from_trial:
            decision = promote_from_trial(settings(home=home), model, version, reason, product)
        elif version is None:
            raise DeclarationProblem("No version is named.", fix=f"'caudal model promote {model} VERSION', or with --from-trial.")
        else:
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


@model_app.command("shadow")
def model_shadow(model: Annotated[str, typer.Argument(help="The model.")], version: Annotated[int, typer.Argument(help="The version to try.")],
                 reason: Annotated[str, typer.Option(help="Why; kept with the decision.")] = "by hand", product: ProductOption = None,
                 home: HomeOption = None, as_json: JsonOption = False) -> None:  # fmt: skip
    """Try a version in shadow: it predicts from what callers of the champion send, and is not answered."""
    from caudal.commands.trials import try_version

    with exit_on_error(as_json):
        decision = try_version(settings(home=home), model, version, reason=reason, product=product)
        print_result(as_json, decision, f"{model} version {decision['version']} predicts in shadow.")


@model_app.command("canary")
def model_canary(model: Annotated[str, typer.Argument(help="The model.")], version: Annotated[int, typer.Argument(help="The version to try.")],
                 share: Annotated[float, typer.Option(help="Share of the keys whose requests it answers.", min=0.0001, max=0.9999)] = 0.1,
                 by: Annotated[str, typer.Option(help="What the keys are: an input, row, caller or header:NAME.")] = "row",
                 reason: Annotated[str, typer.Option(help="Why; kept with the decision.")] = "by hand", product: ProductOption = None,
                 home: HomeOption = None, as_json: JsonOption = False) -> None:  # fmt: skip
    """Try a version as a canary: it answers a share of the keys, the same key always."""
    from caudal.commands.trials import try_version

    with exit_on_error(as_json):
        decision = try_version(settings(home=home), model, version, share=share, by=by, reason=reason, product=product)
        print_result(as_json, decision, f"{model} version {decision['version']} answers {share:.4g} of the keys ({by}).")


@model_app.command("withdraw")
def model_withdraw(model: Annotated[str, typer.Argument(help="The model.")], reason: Annotated[str, typer.Option(help="Why; kept with the decision.")] = "withdrawn by hand",
                   product: ProductOption = None, home: HomeOption = None, as_json: JsonOption = False) -> None:  # fmt: skip
    """End the trial of a model's version, in shadow or as a canary."""
    from caudal.commands.trials import withdraw_version

    with exit_on_error(as_json):
        decision = withdraw_version(settings(home=home), model, reason, product)
        print_result(as_json, decision, f"{model} version {decision['version']} is not tried any more.")


@model_app.command("compare")
def model_compare(model: Annotated[str, typer.Argument(help="The model.")],
                  versions: Annotated[list[int] | None, typer.Argument(help="Two versions, or one beside the champion; the one on trial, or tried last, when left out.")] = None,
                  product: ProductOption = None, home: HomeOption = None, as_json: JsonOption = False) -> None:  # fmt: skip
    """Show two versions side by side: scores of their training, and what was seen while one was tried beside the other."""
    from caudal.commands.trials import compare_versions

    with exit_on_error(as_json):
        if len(versions or ()) > 2:
            raise DeclarationProblem("More than two versions are named.", fix="Name two.")
        document = compare_versions(settings(home=home), model, versions or (), product)
        if as_json:
            return print_json(document)
        from caudal.report.terminal.compared_versions import print_compared_versions

        print_compared_versions(document)
    return None
