"""What is wrong with the rows that a model holds out: tables, columns and times that are not there."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping

from caudal.declarations.build_context import called
from caudal.declarations.model import Model
from caudal.declarations.node import Features
from caudal.declarations.product import Product
from caudal.errors import DeclarationProblem, nearest
from caudal.graph.build import build


def holdouts_declared(product: Product, model: Model, features: Features) -> Iterator[DeclarationProblem]:
    """Yield what is wrong with a holdout by what is declared: no data, no engine."""
    holdout = model.holdout
    if holdout is None:
        return
    if (holdout.newest_s is not None or holdout.newest_rows is not None) and not features.as_of:
        yield _problem(
            model,
            f"holds {holdout.described} out, and features '{features.name}' have no as_of that tells which are the newest",
            fix='Hold a table or flagged rows out, cd.holdout(table=…) or cd.holdout(flag="…"), or declare when a row was known: '
            '@product.features(as_of="…").',
        )
    if holdout.table is None:
        return
    if holdout.table not in product.nodes:
        among = [name for name in product.nodes if name != features.name]
        yield _problem(
            model,
            f"holds out the rows of '{holdout.table}', which nothing declares",
            nearest=nearest(holdout.table, among),
            fix=f"There are {', '.join(among)}.",
        )
    elif holdout.table == features.name:
        yield _problem(
            model,
            f"holds out the rows of '{holdout.table}', which are all that it learns from",
            fix='Name another table with the same columns, or flag rows of it: cd.holdout(flag="…").',
        )
    else:
        schemas = [node.schema for node in (features, product.nodes[holdout.table])]
        own, other = ([] if schema is None else list(schema.names) for schema in schemas)
        if own and other:
            yield from table_serves(model, features, own, other)


def flag_there(model: Model, features: Features, flag: str, names: Collection[str]) -> Iterator[DeclarationProblem]:
    """Yield where the column that flags held-out rows is not there, or is not its own.

    Parameters
    ----------
    names : the columns of the features
    """
    if flag not in names:
        what = f"names '{flag}' in its holdout, cd.holdout(flag=), and features '{features.name}' have no such column"
        yield _no_column(model, what, flag, names, "There are")
    elif flag in (*features.entity, *features.labels, features.as_of):
        yield _problem(
            model,
            f"flags the rows of its holdout by '{flag}', which is a key, the time or a label of features '{features.name}'",
            fix="Give a boolean column of its own.",
            column=flag,
        )


def table_serves(model: Model, features: Features, own: Collection[str], other: Collection[str]) -> Iterator[DeclarationProblem]:
    """Yield the columns of the features that the table of a holdout lacks.

    Parameters
    ----------
    own, other : the columns of the features and of the table
    """
    assert model.holdout is not None
    for column in own:
        if column not in other and column not in features.keep and not column.startswith("_"):
            what = f"is scored by the table '{model.holdout.table}' of its holdout, which has no column '{column}' of features '{features.name}'"
            yield _no_column(model, what, column, other, "It has")


def holdouts_found(product: Product, types: Mapping[str, Mapping[str, object]]) -> Iterator[DeclarationProblem]:
    """Yield what is wrong with holdouts by the columns that functions give.

    Parameters
    ----------
    types : by node whose columns are known, the type of each column, in the words of Spark's JSON
    """
    for model in product.models.values():
        features = product.feature_tables.get(model.features)
        if model.holdout is None or features is None or model.features not in types:
            continue
        own, flag, table = types[model.features], model.holdout.flag, model.holdout.table
        if flag is not None and flag in own and own[flag] != "boolean":
            yield _problem(
                model,
                f"flags the rows of its holdout by '{flag}', which is a {own[flag]}",
                fix="Give a boolean column: true for the rows that are held out.",
                column=flag,
            )
        if table is not None and table in types and table != model.features:
            yield from table_serves(model, features, list(own), list(types[table]))


def fits_apart(model: Model, product: Product, fits: Mapping[str, Collection[str]]) -> Iterator[DeclarationProblem]:
    """Yield what is fitted to the rows that a model holds out: a function of a table sees all of its rows when it fits.

    Parameters
    ----------
    fits : by table, the names of what its function fits to rows
    """
    if model.holdout is None or model.features not in product.nodes:
        return
    graph = build(product)
    for table in [name for name in (*graph.upstream(model.features), model.features) if fits.get(name)]:
        yield _problem(
            model,
            f"holds {model.holdout.described} out, and {' and '.join(called(name) for name in sorted(fits[table]))} of table '{table}' "
            "is fitted to all rows, the held-out ones among them",
            fix="Fit in the candidate's pipeline, which sees training rows only, or leave holdout= out.",
            table=table,
        )


def _no_column(model: Model, what: str, column: str, names: Collection[str], these: str) -> DeclarationProblem:
    return _problem(model, what, nearest=nearest(column, names), fix=f"{these} {', '.join(names)}.", column=column)


def _problem(model: Model, what: str, **more: object) -> DeclarationProblem:
    where = str(model.where)
    return DeclarationProblem(f"Model '{model.name}' {what}.", where=where, model=model.name, **more)  # type: ignore[arg-type]
