"""What a compiler of estimators is, and how the one for an estimator is found."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, cast

from caudal.compiled.arrays import Arrays
from caudal.compiled.outputs import ScoreOutput
from caudal.kinds import COMPILERS

Document = dict[str, Any]


class NotCompiled(ValueError):
    """An estimator, or an option of it, has no compiled form; the message says which."""


@dataclass(frozen=True)
class CompiledPart:
    """The description of a fitted estimator's part; ``output`` says what its scores mean, None for what prepares rows."""

    document: Document
    output: ScoreOutput | None = None


@dataclass(frozen=True)
class Compiler:
    """Reads fitted estimators of some types into arrays.

    Parameters
    ----------
    name : that of its file
    types : the types of estimators that it reads; subclasses may predict differently, and are not read. A type is named with its module, such as
        ``"lightgbm.sklearn.LGBMRegressor"``, where its library may not be installed
    compile : callable ``(estimator, sample, arrays)``; ``sample`` are some rows as the estimator is given them (frame, array or sparse matrix)
    """

    name: str
    types: Sequence[type | str]
    compile: Callable[[Any, Any, Arrays], CompiledPart]

    def reads(self, estimator: object) -> bool:
        """Return whether an estimator is of one of its types."""
        own = type(estimator)
        return any(kind == (f"{own.__module__}.{own.__qualname__}" if isinstance(kind, str) else own) for kind in self.types)


def compile_part(estimator: Any, sample: Any, arrays: Arrays) -> CompiledPart:
    """Return the part of a fitted estimator.

    Raises
    ------
    NotCompiled : no compiler reads its type, or it has an option that its compiler does not know
    """
    for compiler in COMPILERS.values():
        if cast(Compiler, compiler).reads(estimator):
            part: CompiledPart = compiler.compile(estimator, sample, arrays)
            return part
    raise NotCompiled(f"{type(estimator).__name__} has no compiled form")


def labels_of(estimator: Any) -> tuple[str, ...]:
    """Return the classes of a fitted classifier, which in caudal are texts.

    Raises
    ------
    NotCompiled : they are something else
    """
    labels = list(estimator.classes_)
    if not all(isinstance(label, str) for label in labels):
        raise NotCompiled("classes that are no texts have no compiled form")
    return tuple(str(label) for label in labels)
