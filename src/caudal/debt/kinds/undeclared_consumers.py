"""What leaves the product without anybody who is said to use it, and alerts of which nobody is the owner."""

from __future__ import annotations

from collections.abc import Iterator

from caudal.debt.finding import Debt, DebtKind, Finding
from caudal.debt.scope import DebtScope
from caudal.declarations.warehouse import Publication


def find_debt(scope: DebtScope) -> Debt:
    """Return publications, predictions and served models without a declared reader, and a product without an owner."""
    return Debt([*_publications(scope), *_predictions(scope), *_servings(scope), *_owner(scope)])


def _publications(scope: DebtScope) -> Iterator[Finding]:
    for name, publication in scope.product.publications.items():
        tables = publication.tables if isinstance(publication, Publication) else ()
        if publication.grant or any(known in scope.consumed for known in (name, *tables)):
            continue
        place = publication.place if isinstance(publication, Publication) else publication.schema
        yield Finding(
            name,
            f"'{place}' is published to a warehouse, and nothing says who reads it there.",
            f'Grant it to a role: grant="…"; or say who reads it: product.consumer("…", of=["{name}"]).',
            str(publication.where),
        )


def _predictions(scope: DebtScope) -> Iterator[Finding]:
    for name, prediction in scope.product.predictions.items():
        if scope.readers.get(name) or name in scope.consumed or name in scope.read_elsewhere:
            continue
        yield Finding(
            name,
            f"The predictions '{name}' are written, and nothing reads them.",
            f'Publish them: product.publish({name}, to=…); or say who reads them: product.consumer("…", of=["{name}"]); or delete product.predict.',
            str(prediction.where),
        )


def _servings(scope: DebtScope) -> Iterator[Finding]:
    for model, serving in scope.product.servings.items():
        if model not in scope.consumed:
            yield Finding(
                model,
                f"Model '{model}' is served, and nothing says who asks it: whom a changed or withdrawn model breaks is not known.",
                f'Say who does: product.consumer("…", of=["{model}"]); or stop serving it.',
                str(serving.where),
            )


def _owner(scope: DebtScope) -> Iterator[Finding]:
    product = scope.product
    if product.owner:
        return
    what = f"Product '{product.name}' has no owner"
    if product.alerts:
        what += f", and its {'alert goes' if len(product.alerts) == 1 else f'{len(product.alerts)} alerts go'} to people of whom none is responsible"
    yield Finding(product.name, f"{what}.", f'Name a person or team: cd.Product("{product.name}", owner="…").', str(product.where))


DEBT = DebtKind("undeclared_consumers", "Consumers that nobody has declared", find_debt)
ORDER = 50
