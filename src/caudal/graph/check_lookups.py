"""What is wrong with features that are to be looked up."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from caudal.declarations.lookup import OnlineLookup
from caudal.declarations.node import Features
from caudal.declarations.product import Product
from caudal.errors import DeclarationProblem, nearest

ORIGINS = "cd.calendar, cd.past_mean, cd.rolling, cd.lag or cd.as_of_join"


def tables_of_lookup(product: Product, lookup: OnlineLookup) -> tuple[str, ...]:
    """Return the tables that an online view is made of: the model's features, those that it names, and those with names."""
    features = product.features_by_model.get(lookup.model)
    named = [columns[0] for columns in lookup.given if len(columns) == 1 and columns[0] in product.nodes]
    tables = [*([] if features is None else [features.name]), *named, *(table.table for table in lookup.names.values())]
    return tuple(dict.fromkeys(tables))


def problems_of_lookup(product: Product, lookup: OnlineLookup) -> Iterator[DeclarationProblem]:
    """Yield tables of names that nothing declares; a model that nothing declares is the serving's problem."""
    for input_, table in lookup.names.items():
        if table.table not in product.nodes:
            yield DeclarationProblem(
                f"Names for '{input_}' of model '{lookup.model}' are to come from '{table.table}', which nothing declares.",
                nearest=nearest(table.table, product.nodes), where=str(lookup.where),
            )  # fmt: skip


def problems_of_lookup_columns(
    product: Product, columns: Mapping[str, Sequence[str]], origins: Mapping[str, Mapping[str, Sequence[str]]]
) -> Iterator[DeclarationProblem]:
    """Yield lookups that bind to nothing.

    Parameters
    ----------
    columns : by table, where they are known
    origins : by table of features and column, the time and the keys by which its values are found
    """
    for lookup in product.lookups.values():
        features = product.features_by_model.get(lookup.model)
        if features is None or features.name not in columns:
            continue
        model = product.models[lookup.model]
        flag = model.holdout.flag if model.holdout else None
        inputs = [name for name in columns[features.name] if name not in (*features.not_inputs, flag) and not name.startswith("_")]
        found = origins.get(features.name, {})
        if lookup.inferred and not any(name in found for name in inputs):
            yield DeclarationProblem(
                f"The lookup of model '{lookup.model}' binds to nothing: no input of features '{features.name}' comes from {ORIGINS} as it is.",
                fix='Name columns and their keys: lookup={"a_feature": "its_key"}.', where=str(lookup.where), model=lookup.model,
            )  # fmt: skip
        for of, keys in lookup.given.items():
            yield from _given(product, lookup, features, of, keys, inputs, columns, found)
        for input_, table in lookup.names.items():
            if input_ not in inputs and not any(input_ in keys[1:] for keys in found.values()):
                yield _missing(lookup, f"has names for '{input_}', which is no input of its model", input_, inputs)
            for column in (table.key, table.name, table.also):
                if column is not None and table.table in columns and column not in columns[table.table]:
                    yield _missing(
                        lookup,
                        f"takes names from column '{column}' of '{table.table}', which has no such column",
                        column,
                        columns[table.table],
                    )


def _given(
    product: Product, lookup: OnlineLookup, features: Features, of: tuple[str, ...], keys: tuple[str, ...], inputs: Sequence[str],
    columns: Mapping[str, Sequence[str]], origins: Mapping[str, Sequence[str]],
) -> Iterator[DeclarationProblem]:  # fmt: skip
    table = of[0] if len(of) == 1 and of[0] in product.nodes else features.name
    names = columns.get(table)
    if names is None:
        return
    looked_up = of if table not in of else tuple(name for name in inputs if name in names and name not in keys)
    if not looked_up:
        yield _missing(lookup, f"binds to nothing: table '{table}' has no column that is an input of the model", table, ())
    for column in looked_up:
        if column not in inputs:
            yield _missing(lookup, f"binds '{column}' to a key, and that is no input of the model", column, inputs)
    for key in keys:
        inferred = any(key in found[1:] for column, found in origins.items() if column in looked_up)
        if key not in names and not inferred:
            yield _missing(lookup, f"has the key '{key}', which is no column of '{table}'", key, names)
    for column in looked_up:
        found = origins.get(column, ())[1:]
        if found and set(found) != set(keys):
            yield DeclarationProblem(
                f"The lookup of model '{lookup.model}' finds '{column}' by {', '.join(keys)}, and the features have made it by {', '.join(found)}.",
                fix=f"Give the key ({', '.join(found)}).", where=str(lookup.where), model=lookup.model, column=column,
            )  # fmt: skip


def _missing(lookup: OnlineLookup, sentence: str, name: str, names: Sequence[str]) -> DeclarationProblem:
    return DeclarationProblem(
        f"The lookup of model '{lookup.model}' {sentence}.", nearest=nearest(name, names),
        fix=f"There are {', '.join(names)}." if names else "Name columns and their keys.", where=str(lookup.where), model=lookup.model,
    )  # fmt: skip
