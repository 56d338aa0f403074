"""Commands on access: the keys of the servers, and the log of who did what."""

from __future__ import annotations

from typing import Annotated, Literal

import typer

from caudal.cli.app import HomeOption, JsonOption, app, exit_on_error, print_json, print_result, print_rows
from caudal.declarations.settings import settings

RoleOption = Annotated[
    Literal["predict", "observe", "admin"],
    typer.Option(
        help="What the key opens: predict, predictions; observe, metrics and the console; admin, all of it. Cards and the list of models are open to each."
    ),
]

key_app = typer.Typer(help="Keys to the servers: add, list, revoke.", no_args_is_help=True)
app.add_typer(key_app, name="key")


@key_app.command("add")
def key_add(name: Annotated[str, typer.Argument(help="Whose key it is, such as 'dispatch'.")], role: RoleOption = "predict",
            expires: Annotated[str | None, typer.Option(help="When it ends: a duration from now such as '90 days', or a date of UTC such as 2027-01-31.")] = None,
            rate: Annotated[str | None, typer.Option(help="Most rows within a period, such as '600/minute' or '20000/hour'.")] = None,
            home: HomeOption = None, as_json: JsonOption = False) -> None:  # fmt: skip
    """Add a key and print it, once: the ledger keeps only its hash. Servers that run accept it at once."""
    from caudal.commands.keys import add_access_key

    with exit_on_error(as_json):
        document = add_access_key(settings(home=home), name, role, expires, rate)
        if as_json:
            return print_json(document)
        print(document["key"])
        typer.echo(
            f"The key '{name}' ({document['role']}) is valid {document['until']}. It is shown this once: send it as 'Authorization: Bearer KEY'.",
            err=True,
        )
    return None


@key_app.command("list")
def key_list(ended: Annotated[bool, typer.Option("--all", help="Also those that are revoked or have expired.")] = False,
             home: HomeOption = None, as_json: JsonOption = False) -> None:  # fmt: skip
    """List the keys: name, first characters, role, limit, expiry, who added them."""
    from caudal.commands.keys import list_access_keys

    with exit_on_error(as_json):
        columns = ("name", "start", "role", "rate", "expires", "state")
        print_rows(as_json, list_access_keys(settings(home=home), ended=ended), columns, "No key is valid.")


@key_app.command("revoke")
def key_revoke(name: Annotated[str, typer.Argument(help="The key's name.")],
               reason: Annotated[str, typer.Option(help="Why; kept with the key.")] = "by hand",
               home: HomeOption = None, as_json: JsonOption = False) -> None:  # fmt: skip
    """End a key at once: servers refuse it, and who has signed in with it is signed out, within a second or two."""
    from caudal.commands.keys import revoke_access_key

    with exit_on_error(as_json):
        document = revoke_access_key(settings(home=home), name, reason)
        print_result(as_json, document, f"The key '{name}' is revoked.")


@app.command("log")
def log_command(since: Annotated[str | None, typer.Option(help="How far back: a duration such as '7 days', or a date of UTC.  [default: all]")] = None,
                limit: Annotated[int, typer.Option(min=1, help="Most lines; the newest are shown.")] = 200,
                home: HomeOption = None, as_json: JsonOption = False) -> None:  # fmt: skip
    """Show who did what and when: runs, decisions on models, keys, sign-ins, deletions and erasures."""
    from caudal.commands.audit_log import audit_log

    with exit_on_error(as_json):
        print_rows(
            as_json, audit_log(settings(home=home), since, limit), ("at", "who", "what", "subject", "why"), "Nothing was done yet."
        )
