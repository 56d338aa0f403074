"""Check the holdouts of models: tables, columns and times that do not exist."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping

from caudal.declarations.build_context import fit_label
from caudal.declarations.model import Model
from caudal.declarations.node import Features
from caudal.declarations.product import Product
from caudal.errors import DeclarationProblem, nearest
from caudal.graph.build import build


def problems_of_holdout(product: Product, model: Model, features: Features) -> Iterator[DeclarationProblem]:
    """Yield the problems of a holdout that its declaration shows, without data or an engine."""
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
        feature_columns, table_columns = ([] if schema is None else list(schema.names) for schema in schemas)
        if feature_columns and table_columns:
            yield from missing_columns(model, features, feature_columns, table_columns)


def flag_problems(model: Model, features: Features, flag: str, names: Collection[str]) -> Iterator[DeclarationProblem]:
    """Yield a problem where the column that flags held-out rows does not exist, or already is a key, time or label.

    Parameters
    ----------
    names : the columns of the features
    """
    if flag not in names:
        sentence = f"names '{flag}' in its holdout, cd.holdout(flag=), and features '{features.name}' have no such column"
        yield _no_column(model, sentence, flag, names, "There are")
    elif flag in (*features.entity, *features.labels, features.as_of):
        yield _problem(
            model,
            f"flags the rows of its holdout by '{flag}', which is a key, the time or a label of features '{features.name}'",
            fix="Give a separate boolean column.",
            column=flag,
        )


def missing_columns(
    model: Model, features: Features, feature_columns: Collection[str], table_columns: Collection[str]
) -> Iterator[DeclarationProblem]:
    """Yield the columns of the features that the table of a holdout lacks.

    Parameters
    ----------
    feature_columns, table_columns : the columns of the features and of the table
    """
    assert model.holdout is not None
    for column in feature_columns:
        if column not in table_columns and column not in features.keep and not column.startswith("_"):
            sentence = f"is scored by the table '{model.holdout.table}' of its holdout, which has no column '{column}' of features '{features.name}'"
            yield _no_column(model, sentence, column, table_columns, "It has")


def problems_of_column_types(product: Product, types: Mapping[str, Mapping[str, object]]) -> Iterator[DeclarationProblem]:
    """Yield the problems of holdouts that the types of computed columns show.

    Parameters
    ----------
    types : by node whose columns are known, the type of each column, in the words of Spark's JSON
    """
    for model in product.models.values():
        features = product.feature_tables.get(model.features)
        if model.holdout is None or features is None or model.features not in types:
            continue
        column_types, flag, table = types[model.features], model.holdout.flag, model.holdout.table
        if flag is not None and flag in column_types and column_types[flag] != "boolean":
            yield _problem(
                model,
                f"flags the rows of its holdout by '{flag}', which is a {column_types[flag]}",
                fix="Give a boolean column: true for the rows that are held out.",
                column=flag,
            )
        if table is not None and table in types and table != model.features:
            yield from missing_columns(model, features, list(column_types), list(types[table]))


def problems_of_fits(model: Model, product: Product, fits: Mapping[str, Collection[str]]) -> Iterator[DeclarationProblem]:
    """Yield tables that fit something to the rows that a model holds out: a table's function sees all rows when it fits.

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
            f"holds {model.holdout.described} out, and {' and '.join(fit_label(name) for name in sorted(fits[table]))} of table '{table}' "
            "is fitted to all rows, the held-out ones among them",
            fix="Fit in the candidate's pipeline, which sees training rows only, or leave holdout= out.",
            table=table,
        )


def _no_column(model: Model, sentence: str, column: str, names: Collection[str], introduction: str) -> DeclarationProblem:
    return _problem(model, sentence, nearest=nearest(column, names), fix=f"{introduction} {', '.join(names)}.", column=column)


def _problem(model: Model, sentence: str, **more: object) -> DeclarationProblem:
    where = str(model.where)
    return DeclarationProblem(f"Model '{model.name}' {sentence}.", where=where, model=model.name, **more)  # type: ignore[arg-type]
