"""Types of the ledger's columns: text and documents without secrets, and a few plain values as one text."""

from __future__ import annotations

import json
from collections.abc import Sequence

from sqlalchemy import JSON, Dialect, Text, TypeDecorator

from caudal.json_value import JsonValue, Scalar
from caudal.secret import redact, redacted


class Words(TypeDecorator[str]):
    """Text for people, written without secrets. Names, paths and keys are not touched: rows are known by them."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:  # noqa: ARG002
        """Return what is written."""
        return None if value is None else redact(value)


class Document(TypeDecorator[JsonValue]):
    """A document for people, written without secrets."""

    impl = JSON
    cache_ok = True

    def process_bind_param(self, value: JsonValue, dialect: Dialect) -> JsonValue:  # noqa: ARG002
        """Return what is written."""
        return redacted(value)


class Scalars(TypeDecorator[tuple[Scalar, ...]]):
    """A few plain values as one text, so that rows can be compared and found by them in every database; no value is null."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: Sequence[Scalar] | None, dialect: Dialect) -> str | None:  # noqa: ARG002
        """Return what is written."""
        return json.dumps(list(value), ensure_ascii=False, allow_nan=False) if value else None

    def process_result_value(self, value: str | None, dialect: Dialect) -> tuple[Scalar, ...]:  # noqa: ARG002
        """Return what was written."""
        return tuple(json.loads(value)) if value else ()
