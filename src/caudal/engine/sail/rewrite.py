"""Plans in which expressions that differ on Sail are replaced by others that do not."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import pyspark.sql.connect.proto as pb
from pyspark.sql.types import DataType

from caudal.engine.sail.analyzer import Analyzer, TypeScope
from caudal.engine.sail.expressions import Call, Cast, Expression, Over, walk
from caudal.engine.sail.messages import from_message
from caudal.engine.sail.plan_walker import PlanWalker, identity_of
from caudal.engine.sail.protocol import NotExpressible, to_message
from caudal.engine.sail.signature import MAKING_TEXTS, Construct, constructs_of, direction, in_explicit_texts, is_cast_to_text
from caudal.engine.sail.sql import parse_expression
from caudal.engine.sail.table import EqualityTable
from caudal.engine.sail.types import UNKNOWN

Variables = dict[str, DataType]


@dataclass
class Rewriter:
    """Replaces expressions in a plan.

    Attributes
    ----------
    table : names what replaces what
    walker : has walked the plan and knows its types
    falls_back : whether the caller computes the frame on JVM Spark when Sail raises; then what replaces something may raise for rows for which
        Spark does not
    replaced : what was replaced, wherever it stands in the plan but within queries in SQL
    """

    table: EqualityTable
    walker: PlanWalker
    falls_back: bool = False
    replaced: set[Construct] = field(default_factory=set)

    def rewrite(self, plan: pb.Relation) -> bool:
        """Replace expressions in a plan; return whether there were any.

        Raises
        ------
        NotExpressible : an expression cannot be looked into, or replaced; the plan may be changed in part
        """
        changed = False
        for relation in list(_relations(plan)):
            kind = relation.WhichOneof("rel_type") or "common"
            if kind == "map_partitions" or not any(_expressions(getattr(relation, kind))):  # a function is given whole rows
                continue
            scopes = self.walker.scopes.get(identity_of(relation))
            if not scopes:
                raise NotExpressible("a relation whose types are not known")
            changed |= self._relation(relation, scopes)
        return changed

    def _relation(self, relation: pb.Relation, scopes: Sequence[TypeScope]) -> bool:
        changed = False
        kind = relation.WhichOneof("rel_type") or ""
        named = kind in ("project", "aggregate")
        for message in list(_expressions(getattr(relation, kind))):
            before = pb.Expression()
            before.CopyFrom(message)
            if self._visit(message, scopes, {}):
                changed = True
                if named and message.WhichOneof("expr_type") != "alias":
                    self._keep_name(message, before, scopes)
        return changed

    def _keep_name(self, message: pb.Expression, before: pb.Expression, scopes: Sequence[TypeScope]) -> None:
        for scope in scopes:
            for make in (scope.make, scope.make_whole):
                try:
                    name = _name_of(self.walker.analyzer, make, before)
                except Exception:  # noqa: S112
                    continue
                value = pb.Expression()
                value.CopyFrom(message)
                message.alias.expr.CopyFrom(value)
                message.alias.name.append(name)
                return
        raise NotExpressible("a column whose name cannot be told")

    def _visit(
        self, message: pb.Expression, scopes: Sequence[TypeScope], variables: Variables, *, within_window: bool = False
    ) -> bool:
        """Rewrite an expression from the inside outwards; return whether anything changed."""
        if message.WhichOneof("expr_type") == "expression_string":
            return self._text(message, scopes, variables)
        tree = from_message(message)
        texts = self._texts(tree, scopes, variables)
        keys = self._window_keys(tree, scopes, variables)
        template = self._rewriting(tree, scopes, variables) if not within_window else None
        changed = False
        if isinstance(tree, Call) and message.WhichOneof("expr_type") == "unresolved_function":
            for place, argument in enumerate(message.unresolved_function.arguments):
                changed |= self._argument(tree, place, argument, scopes, variables)
        else:
            inner = isinstance(tree, Over)
            for child in list(_expressions(message)):
                changed |= self._visit(child, scopes, variables, within_window=inner and child is message.window.window_function)
        for place, to_text in texts.items():
            argument = message.unresolved_function.arguments[place]
            argument.CopyFrom(_filled(to_text, [argument]))
        for (role, place), to_key in keys.items():
            key = message.window.order_spec[place].child if role == "order" else message.window.partition_spec[place]
            key.CopyFrom(_filled(to_key, [key]))
        if template is None:
            return changed or bool(texts) or bool(keys)
        message.CopyFrom(_filled(template, _given(message), message.window))
        return True

    def _texts(self, tree: Expression, scopes: Sequence[TypeScope], variables: Variables) -> dict[int, str]:
        """Return the texts of the casts that an expression makes by itself and that are to be made another way, by argument."""
        if not isinstance(tree, Call) or tree.name not in MAKING_TEXTS:
            return {}
        (construct,) = constructs_of(tree, lambda argument: self._class(argument, scopes, variables))
        explicit = in_explicit_texts(construct)
        if self._allows(construct) or explicit is None:
            return {}
        if not all(self._allows(part) or self._template(part) for part in explicit):
            return {}
        self.replaced.add(construct)
        casts = {}
        for place, argument in enumerate(tree.arguments):
            kind = self._class(argument, scopes, variables)
            if is_cast_to_text(kind):
                casts[place] = self._template(Construct("cast", (kind, "string"))) or "cast({0} AS string)"
        return casts

    def _window_keys(self, tree: Expression, scopes: Sequence[TypeScope], variables: Variables) -> dict[tuple[str, int], str]:
        """Return the texts to compute in the place of a window's keys, by ``order`` or ``partition`` and the key's place."""
        if not isinstance(tree, Over):
            return {}
        constructs = {
            ("order", place): Construct("window order", (self._class(each.key, scopes, variables), direction(each)))
            for place, each in enumerate(tree.order)
        }
        constructs |= {
            ("partition", place): Construct("partition by", (self._class(each, scopes, variables),))
            for place, each in enumerate(tree.partition)
        }
        keys = {}
        for place, construct in constructs.items():
            if (template := self._template(construct)) is not None:
                self.replaced.add(construct)
                keys[place] = template
        return keys

    def _argument(self, call: Call, place: int, argument: pb.Expression, scopes: Sequence[TypeScope], variables: Variables) -> bool:
        if argument.WhichOneof("expr_type") != "lambda_function":
            return self._visit(argument, scopes, variables)
        types = next((found for scope in scopes if (found := scope.parameters(call, place, variables)) is not None), None)
        if types is None:
            raise NotExpressible("a lambda whose parameters have types that are not known")
        names = [".".join(variable.name_parts) for variable in argument.lambda_function.arguments]
        return self._visit(argument.lambda_function.function, scopes, {**variables, **dict(zip(names, types, strict=False))})

    def _text(self, message: pb.Expression, scopes: Sequence[TypeScope], variables: Variables) -> bool:
        tree = parse_expression(message.expression_string.expression)
        parts = (find(part, scopes, variables) for part in walk(tree) for find in (self._rewriting, self._texts, self._window_keys))
        if not any(parts):
            return False
        parsed = to_message(tree)
        self._visit(parsed, scopes, variables)
        message.CopyFrom(parsed)
        return True

    def _rewriting(self, tree: Expression, scopes: Sequence[TypeScope], variables: Variables) -> str | None:
        if not isinstance(tree, Call | Cast | Over):
            return None
        constructs = constructs_of(tree, lambda argument: self._class(argument, scopes, variables))
        # A window has constructs for its keys and its frame; the last one is that of the function.
        template = self._template(constructs[-1]) if constructs else None
        if template is not None:
            self.replaced.add(constructs[-1])
        return template

    def _template(self, construct: Construct) -> str | None:
        return None if self._allows(construct) else self.table.rewriting(construct, falls_back=self.falls_back)

    def _allows(self, construct: Construct) -> bool:
        return self.table.allows(construct, falls_back=self.falls_back)

    def _class(self, argument: Expression, scopes: Sequence[TypeScope], variables: Variables) -> str:
        return next((found for scope in scopes if (found := scope.class_of(argument, variables)) != UNKNOWN), UNKNOWN)


def _given(message: pb.Expression) -> Sequence[pb.Expression]:
    """Return the arguments of a function, of a function over a window, or of a cast."""
    kind = message.WhichOneof("expr_type")
    if kind == "cast":
        return [message.cast.expr]
    called = message.window.window_function if kind == "window" else message
    return list(called.unresolved_function.arguments)


def _name_of(analyzer: Analyzer, make: Any, message: pb.Expression) -> str:
    """Return the name that an expression has as a column."""
    relation = make([message])
    body = relation.project if relation.WhichOneof("rel_type") == "project" else relation.aggregate
    selected = body.expressions if relation.WhichOneof("rel_type") == "project" else body.aggregate_expressions
    bare = pb.Expression()
    bare.CopyFrom(selected[-1].alias.expr)
    selected[-1].CopyFrom(bare)
    name: str = analyzer.schema(relation).fields[-1].name
    return name


@cache
def _template(text: str) -> pb.Expression:
    numbered = text
    for place in range(4):
        numbered = numbered.replace(f"{{{place}}}", f"argument_{place}")
    return to_message(parse_expression(numbered))


def _filled(template: str, arguments: Sequence[pb.Expression], window: pb.Expression.Window | None = None) -> pb.Expression:
    """Return the expression of a template for its arguments; a window without keys in it is the one that is given."""
    filled = pb.Expression()
    filled.CopyFrom(_template(template))
    for part in reversed(list(_all_expressions(filled))):  # what is within a window before the window
        kind = part.WhichOneof("expr_type")
        if kind == "unresolved_attribute":
            place = int(part.unresolved_attribute.unparsed_identifier.strip("`").removeprefix("argument_"))
            copied = pb.Expression()
            copied.CopyFrom(arguments[place])
            part.CopyFrom(copied)
        elif kind == "window" and window is not None:
            function = pb.Expression()
            function.CopyFrom(part.window.window_function)
            part.window.CopyFrom(window)
            part.window.window_function.CopyFrom(function)
    return filled


def _expressions(message: Any) -> Iterator[pb.Expression]:
    """Return the expressions directly within a message, not those within other relations."""
    for descriptor, value in message.ListFields():
        if descriptor.message_type is None:
            continue
        for each in value if not hasattr(value, "ListFields") else (value,):
            if isinstance(each, pb.Expression):
                yield each
            elif hasattr(each, "ListFields") and not isinstance(each, pb.Relation):
                yield from _expressions(each)


def _all_expressions(message: pb.Expression) -> Iterator[pb.Expression]:
    yield message
    for inner in _expressions(message):
        yield from _all_expressions(inner)


def _relations(relation: Any) -> Iterator[pb.Relation]:
    """Return a relation and all below it."""
    if isinstance(relation, pb.Relation):
        yield relation
    for descriptor, value in relation.ListFields():
        if descriptor.message_type is None or isinstance(relation, pb.Expression):
            continue
        for each in value if not hasattr(value, "ListFields") else (value,):
            if hasattr(each, "ListFields"):
                yield from _relations(each)
