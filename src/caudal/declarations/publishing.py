"""Declarations of publications: the tables that are copied to a warehouse, and their names there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from caudal.declarations.declared import Declared, Function, name_of, names_of
from caudal.declarations.duration import seconds
from caudal.declarations.location import Location, caller
from caudal.declarations.model import Prediction
from caudal.declarations.node import Node
from caudal.declarations.star import Dates, Dimension, Fact, Star
from caudal.declarations.warehouse import OWN_SCHEMA, Names, Publication, Warehouse, lists_of, too_long
from caudal.errors import DeclarationProblem


class Publishing(Declared):
    """The part of a product that declares publications to warehouses (see `caudal.declarations.product.Product`)."""

    def publish(
        self,
        of: Node | Function | Prediction | str,
        *,
        to: Warehouse,
        schema: str | None = None,
        name: str | None = None,
        key: Names = (),
        indexes: Sequence[Names] = (),
        columns: Sequence[str] | None = None,
        comments: Mapping[str, str] | None = None,
        grant: str | None = None,
        retry: int = 0,
        time_limit: str | float | None = None,
    ) -> Publication:
        """Declare that a table is published to a warehouse, with its key, indexes, comments and readers.

        Unless given, the name there is the table's name, and the schema is the product's name.
        """
        where = caller()
        named = of.name if isinstance(of, Prediction) else name_of(of)
        declared = Publication(
            name or named, named, to, schema or self.name, names_of(key), lists_of(indexes),
            None if columns is None else tuple(columns), dict(comments or {}), grant, retry,
            None if time_limit is None else seconds(time_limit), where,
        )  # fmt: skip
        self._check_publication(declared.name, declared.schema, to, where)
        self.publications[declared.name] = declared
        return declared

    def star(
        self,
        name: str,
        *,
        to: Warehouse,
        fact: Fact | Sequence[Fact],
        dimensions: Sequence[Dimension | Dates],
        schema: str | None = None,
        grant: str | None = None,
        retry: int = 0,
        time_limit: str | float | None = None,
    ) -> Star:
        """Declare a star schema in a warehouse: facts that point to the dimension rows that were valid when they happened.

        Unless given, the schema of its tables is the star's name.
        """
        where = caller()
        facts = (fact,) if isinstance(fact, Fact) else tuple(fact)
        calendars = [dimension for dimension in dimensions if isinstance(dimension, Dates)]
        declared = Star(
            name, to, schema or name, facts, tuple(dimension for dimension in dimensions if isinstance(dimension, Dimension)),
            calendars[0] if calendars else None, grant, retry, None if time_limit is None else seconds(time_limit), where,
        )  # fmt: skip
        self._check_publication(name, declared.schema, to, where)
        self.publications[name] = declared
        return declared

    def _check_publication(self, name: str, schema: str, to: Warehouse, where: Location) -> None:
        if not isinstance(to, Warehouse):
            raise DeclarationProblem(f"'{name}' has no warehouse to go to.", fix="Write to=cd.warehouse(...).", where=str(where))
        if name in self.publications:
            raise DeclarationProblem(
                f"Product '{self.name}' publishes '{name}' twice, first in {self.publications[name].where}.",
                fix="Call one of them otherwise: name=.",
                where=str(where),
            )
        for part in (schema, name):
            if not part or "\0" in part or too_long(part):
                raise DeclarationProblem(
                    f"'{part}' cannot name a table or schema in PostgreSQL.", fix="A name has 1 to 63 bytes.", where=str(where)
                )
        if schema == OWN_SCHEMA or schema.startswith("pg_") or "." in schema:
            raise DeclarationProblem(
                f"The schema '{schema}' is not for tables of products.", fix="Name another: schema=.", where=str(where)
            )
