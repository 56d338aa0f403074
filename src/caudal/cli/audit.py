"""``caudal audit``: the figures of an audit, and the guide to a metric."""

from __future__ import annotations

import sys
from typing import Annotated, Any, Literal

import typer
from typer.core import TyperGroup

from caudal.cli.app import HomeOption, JsonOption, app, exit_on_error, print_json
from caudal.declarations.settings import settings
from caudal.errors import DeclarationProblem


class ShowsByDefault(TyperGroup):
    """A group whose command ``show`` is meant where none is named: ``caudal audit income`` is ``caudal audit show income``."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Return the arguments, ``show`` before those that begin with no command."""
        if args and args[0] not in self.commands and args[0] not in ctx.help_option_names:
            args = ["show", *args]
        parsed: list[str] = super().parse_args(ctx, args)
        return parsed


audit_app = typer.Typer(
    help="Fairness: figures of groups of a model's test rows (caudal audit PRODUCT [MODEL]), and the guide to a metric.",
    no_args_is_help=True, cls=ShowsByDefault,
)  # fmt: skip
app.add_typer(audit_app, name="audit")


@audit_app.command("show")
def audit_show(product: Annotated[str, typer.Argument(help="The product's name.")], model: Annotated[str | None, typer.Argument(help="The model; the only audited one when left out.")] = None,
               version: Annotated[int | None, typer.Option(help="The newest audited one when left out.")] = None,
               home: HomeOption = None, as_json: JsonOption = False) -> None:  # fmt: skip
    """Show figures by group of a model version's test rows, with intervals."""
    from caudal.commands.audit import audit

    with exit_on_error(as_json):
        document = audit(settings(home=home), product, model, version)
        if as_json:
            return print_json(document)
        from caudal.report.terminal.audit import print_audit

        return print_audit(document)


@audit_app.command("guide")
def audit_guide(use: Annotated[bool | None, typer.Option("--punitive/--assistive", help="Whether a positive prediction harms or helps the person.")] = None,
                limited: Annotated[bool | None, typer.Option("--limited/--unlimited", help="Whether only few of those predicted positive can be acted on.")] = None,
                to: Annotated[Literal["everyone", "affected", "needing", "not-needing"] | None, typer.Option("--to", help="To whom it is to be fair.")] = None,
                by: Annotated[str, typer.Option("--by", help="The column that holds the groups.")] = "sex", as_json: JsonOption = False) -> None:  # fmt: skip
    """Ask what a prediction is used for, and name the metric that fits; questions that options answer are not asked."""
    from caudal.commands.audit_guide import QUESTIONS, guide

    with exit_on_error(as_json):
        answers = {"use": None if use is None else "punitive" if use else "assistive", "limited": None if limited is None else "yes" if limited else "no", "whom": to}  # fmt: skip
        choices = {
            "use": ["punitive", "assistive"],
            "limited": ["yes", "no"],
            "whom": ["everyone", "affected", "needing", "not-needing"],
        }
        for name, answer in answers.items():
            if answer is None:
                answers[name] = _ask(QUESTIONS[name], choices[name], as_json)
        document = guide(answers["use"], answers["limited"] == "yes", answers["whom"], by=by)  # type: ignore[arg-type]
        if as_json:
            return print_json(document)
        from caudal.report.terminal.audit import print_guide

        return print_guide(document)


def _ask(question: str, choices: list[str], as_json: bool) -> str:
    """Return the answer that a person chooses; without a terminal, the options have to say it."""
    if as_json or not sys.stdin.isatty():
        raise DeclarationProblem(
            f"The guide has a question that no option answers: {question}",
            fix="Give --punitive or --assistive, --limited or --unlimited, and --to everyone, affected, needing or not-needing.",
        )
    while (answer := typer.prompt(f"{question} [{', '.join(choices)}]").strip().lower()) not in choices:
        print(f"Answer one of {', '.join(choices)}.")
    return str(answer)
