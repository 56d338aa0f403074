"""Answers as an Arrow stream. pyarrow is imported here, with the first request for one."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from typing import Any, cast

import pyarrow as pa

from caudal.declarations.signature import PREDICTION, class_name
from caudal.serve.predicting import Answer
from caudal.serve.row_streams import RowErrors
from caudal.serve.served import Served


class ArrowAnswers:
    """Answers in record batches of these columns, in the order of the rows.

    - ``prediction``: float64, or the class as text; null where the row has a problem
    - ``probability_<class>``: float64, one for each class of a classifier
    - ``version``: int32, the version that predicted
    - ``problem``: what is wrong with the row, as text; null where nothing is
    """

    def __init__(self, served: Served) -> None:
        output = served.signature.output
        self._version = served.version
        self._classes = [class_name(value) for value in output.classes or ()]
        self._is_number = output.type == "double" and not self._classes
        shares = [pa.field(f"probability_{name}", pa.float64()) for name in self._classes]
        self._schema = pa.schema(
            [
                pa.field(PREDICTION, pa.float64() if self._is_number else pa.string()),
                *shares,
                pa.field("version", pa.int32()),
                pa.field("problem", pa.string()),
            ]
        )
        self._written = io.BytesIO()
        self._writer: Any = None

    def rows(self, results: Sequence[Answer | RowErrors]) -> bytes:
        """Return a record batch with a row for each, behind the schema where it is the first."""
        answers = [None if isinstance(result, RowErrors) else result for result in results]
        problems = [_sentences(result) if isinstance(result, RowErrors) else None for result in results]
        return self._batch(answers, problems, self._version)

    def failure(self, document: dict[str, object]) -> bytes:
        """Return a row more than were sent, whose problem says why it is the last; it has no version."""
        return self._batch([None], [str(document["what"])], None)

    def end(self) -> bytes:
        """Return the end of the stream, behind the schema where there was no row."""
        self._open().close()
        return self._new_bytes()

    def _batch(self, answers: Sequence[Answer | None], problems: Sequence[str | None], version: int | None) -> bytes:
        predictions = [None if answer is None else answer["prediction"] for answer in answers]
        shares = [None if answer is None else cast("Mapping[str, float]", answer.get("probabilities") or {}) for answer in answers]
        columns = [
            predictions if self._is_number else [None if value is None else class_name(value) for value in predictions],
            *([None if share is None else share.get(name) for share in shares] for name in self._classes),
            [version] * len(answers),
            problems,
        ]
        arrays = [pa.array(column, field.type) for column, field in zip(columns, self._schema, strict=True)]
        self._open().write_batch(pa.record_batch(arrays, schema=self._schema))
        return self._new_bytes()

    def _open(self) -> Any:
        if self._writer is None:
            self._writer = pa.ipc.new_stream(self._written, self._schema)
        return self._writer

    def _new_bytes(self) -> bytes:
        content = self._written.getvalue()
        self._written.seek(0)
        self._written.truncate()
        return content


def _sentences(errors: RowErrors) -> str:
    """Return what is wrong with a row as text."""
    sentences = [
        f"{'' if problem['field'] is None else str(problem['field']) + ': '}{problem['problem']} Allowed: {problem['allowed']}."
        for problem in errors.problems
    ]
    return " ".join([*sentences, *([f"And {errors.more} more."] if errors.more else [])])
