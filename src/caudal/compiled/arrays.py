"""The arrays of a compiled model: written without pickle, and checked when they are read."""

from __future__ import annotations

import io
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


class Arrays:
    """The arrays of a compiled model, by name.

    Examples
    --------
    >>> store = Arrays()
    >>> name = store.add(np.array([0.5, 2.0]))
    >>> Arrays.of(store.content()).numbers(name)
    array([0.5, 2. ])
    """

    def __init__(self, by_name: Mapping[str, NDArray[Any]] | None = None) -> None:
        self._by_name = dict(by_name or {})

    @classmethod
    def of(cls, content: bytes) -> Arrays:
        """Return the arrays of a file.

        Raises
        ------
        ValueError, OSError, KeyError : the bytes are no such file, or hold Python objects
        """
        with np.load(io.BytesIO(content), allow_pickle=False) as file:
            return cls({name: file[name] for name in file.files})

    def add(self, array: NDArray[Any]) -> str:
        """Take an array, and return the name by which the description refers to it."""
        name = f"a{len(self._by_name)}"
        self._by_name[name] = array
        return name

    def content(self) -> bytes:
        """Return the file of the arrays; the same arrays give the same bytes."""
        file = io.BytesIO()
        named: dict[str, Any] = dict(self._by_name)
        np.savez(file, **named)
        return file.getvalue()

    def numbers(self, name: object, *shape: int | None) -> NDArray[np.float64]:
        """Return an array of doubles; ``shape`` has the length of each axis, None for any.

        Raises
        ------
        ValueError : there is none, or one of another type or shape
        """
        return self._checked(name, np.dtype("float64"), shape)

    def flags(self, name: object, *shape: int | None) -> NDArray[np.bool_]:
        """Return an array of truth values; see ``numbers``."""
        return self._checked(name, np.dtype("bool"), shape)

    def bits(self, name: object, *shape: int | None) -> NDArray[np.uint32]:
        """Return an array of words of 32 bits; see ``numbers``."""
        return self._checked(name, np.dtype("uint32"), shape)

    def indices(self, name: object, low: int, high: int, *shape: int | None) -> NDArray[np.int64]:
        """Return an array of whole numbers from ``low`` until, and without, ``high``; see ``numbers``."""
        whole = self._checked(name, np.dtype("int64"), shape)
        if whole.size and (int(whole.min()) < low or int(whole.max()) >= high):
            raise ValueError(f"an index of the array {name} is beyond {low} to {high - 1}")
        return whole

    def _checked(self, name: object, dtype: np.dtype[Any], shape: tuple[int | None, ...]) -> NDArray[Any]:
        array = self._by_name.get(name) if isinstance(name, str) else None
        if array is None:
            raise ValueError(f"there is no array {name!r}")
        wanted = shape or (None,)
        if array.dtype != dtype or array.ndim != len(wanted):
            raise ValueError(f"the array {name} is {array.dtype} {list(array.shape)}")
        if any(length is not None and length != has for length, has in zip(wanted, array.shape, strict=True)):
            raise ValueError(f"the array {name} has the shape {list(array.shape)}")
        return array
