r"""``matches``: texts match a pattern."""

from __future__ import annotations

import re
import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from caudal.stages.enforce.declared import RowExpectation

if TYPE_CHECKING:
    from pyspark.sql import Column
    from pyspark.sql.types import StructType

# Syntax that Java's regular expressions have and Python's lack. With it replaced, a pattern can be checked without a JVM.
_JAVA_ONLY = (
    (r"\\[pP](\{\^?\w+(=\w+)?\}|\w)", r"\\w"),
    (r"\\[hvRXzZG]", r"\\s"),
    (r"\(\?<(?=[A-Za-z])", "(?P<"),
    (r"\\k<(\w+)>", r"(?P=\1)"),
)


@dataclass(frozen=True)
class Matches(RowExpectation):
    """Every text matches a regular expression from its first character to its last. A null passes.

    Parameters
    ----------
    column : str, a column of texts
    pattern : str, in Java's syntax, which is what Spark runs
    """

    kind: ClassVar[str] = "matches"
    column: str
    pattern: str

    def __post_init__(self) -> None:
        if "(?P" in self.pattern:
            self.refuse(f"{self.name}: Spark does not know (?P…).", "Write a named group as (?<name>…).")
        pattern = self.pattern
        for java, python in _JAVA_ONLY:
            pattern = re.sub(java, python, pattern)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", FutureWarning)  # [a&&b] is an intersection in Java
                re.compile(pattern)
        except re.error as error:
            self.refuse(
                f"{self.name}: the pattern is no regular expression: {error}.",
                "Correct it, or escape literal characters with \\.",
            )

    @property
    def columns(self) -> tuple[str, ...]:
        """Return the column."""
        return (self.column,)

    def fits(self, schema: StructType) -> None:
        """Raise DeclarationProblem where the column holds no texts."""
        kind = schema[self.column].dataType
        if kind.typeName() not in ("string", "varchar", "char"):
            self.refuse(
                f"{self.name}: '{self.column}' is a {kind.simpleString()}, no text.",
                "Use between or one_of, or cast the column to string.",
            )

    def violation(self, schema: StructType) -> Column:  # noqa: ARG002
        r"""Return where the text does not match whole; ``\A`` and ``\z`` because ``$`` would let a line end pass."""
        from pyspark.sql import functions as F

        from caudal.engine.marks import quoted

        return ~F.col(quoted(self.column)).rlike(rf"\A(?:{self.pattern})\z")


def matches(column: str, pattern: str) -> Matches:
    r"""Return the expectation that a column's texts match a pattern whole.

    Examples
    --------
    >>> matches("invoice", r"C?\d{6}").name
    'matches(invoice, C?\\d{6})'
    """
    return Matches(column, pattern)
