"""``/predict/batch`` as a stream: rows as they come, an answer or a problem for each in its place, in whichever of the two forms is asked for."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from flask import Response, current_app, g, request
from werkzeug.exceptions import NotAcceptable, RequestEntityTooLarge, UnsupportedMediaType

from caudal.errors import CaudalError
from caudal.serve.inputs import Row
from caudal.serve.minute_log import SentRows, ServingMinuteLog
from caudal.serve.ndjson import NdjsonAnswers, NdjsonRows
from caudal.serve.predicting import Answer, is_problem, with_lookups
from caudal.serve.request_log import RequestLog
from caudal.serve.row_streams import CHUNK_ROWS, MOST_ROW_ERRORS, AnswerWriter, BodyBroken, RowErrors, RowReader
from caudal.serve.served import Served
from caudal.serve.trial import trial_answers
from caudal.web.access import caller_name, rows_at_once, rows_refused
from caudal.web.streams import ARROW, NDJSON, STREAMED_TYPES, StreamRefused, stream_response

log = logging.getLogger(__name__)

MOST_STREAM_BYTES = 4 * 2**30  # of a body
_TEXT_CHARSETS = ("utf-8", "utf8", "us-ascii", "ascii")


@dataclass(frozen=True)
class Asker:
    """Who sends the rows.

    Parameters
    ----------
    name : of the key
    environ : of the request
    refused : callable, counts further rows and says why no more are answered; see `caudal.web.access.rows_refused`
    most_rows : rows that are counted at a time
    """

    name: str | None
    environ: Mapping[str, Any]
    refused: Callable[[int], tuple[int, str, str] | None]
    most_rows: int


class _RowsRefused(Exception):
    """No more rows are answered; the message is a sentence."""

    def __init__(self, status: int, kind: str, sentence: str) -> None:
        super().__init__(sentence)
        self.status, self.kind = status, kind


class StreamedBatch:
    """Answers the rows of one request: a `caudal.web.streams.StreamAnswer`. All of them are answered by the version, and from the online view, of its beginning.

    Attributes
    ----------
    counted : called at the end with the status, and the longest that rows have waited for their answers, in seconds
    """

    def __init__(
        self,
        served: Served,
        reader: RowReader,
        writer: AnswerWriter,
        minute_log: ServingMinuteLog,
        requests: RequestLog,
        asker: Asker,
    ) -> None:
        self.is_over = False
        self.counted: Callable[[int, float], None] | None = None
        self._served, self._reader, self._writer, self._log = served, reader, writer, minute_log
        self._requests, self._asker = requests, asker
        self._bytes = self._row = 0
        self._longest_s = 0.0
        self._begun = False
        self._failed: int | None = None

    def feed(self, part: bytes) -> Iterator[bytes]:
        """Yield the answers to what is whole now."""
        self._bytes += len(part)
        if self._bytes > MOST_STREAM_BYTES:
            yield from self.break_off(f"A body of rows has {MOST_STREAM_BYTES} bytes at most.")
        else:
            yield from self._answered(self._reader.feed(part))

    def finish(self) -> Iterator[bytes]:
        """Yield the answers to the rest."""
        yield from self._answered(self._reader.finish())
        if not self.is_over:
            yield from self._end(self._writer.end())

    def break_off(self, sentence: str) -> Iterator[bytes]:
        """Yield the end of the answer to a body that is not read further."""
        yield from self._fail(400, "BadRequest", sentence, None)

    def close(self, status: int) -> None:
        """Count the request, once."""
        counted, self.counted = self.counted, None
        if counted is not None:
            counted(self._failed or status, self._longest_s)

    def _answered(self, chunks: Iterator[list[object]]) -> Iterator[bytes]:
        began = time.perf_counter()
        try:
            for sent in self._pieces(chunks):
                content = self._writer.rows(self._results(sent))
                self._longest_s = max(self._longest_s, time.perf_counter() - began)
                self._begun = True
                yield content
                began = time.perf_counter()
        except StreamRefused:
            self.is_over = True
            raise
        except _RowsRefused as refused:
            yield from self._fail(refused.status, refused.kind, str(refused), None)
        except BodyBroken as broken:
            yield from self._fail(400, "BadRequest", str(broken), None)
        except CaudalError as error:
            yield from self._fail(503, type(error).__name__, error.what, error.fix)
        except Exception as error:  # whatever it was, the caller learns that the answers end here
            log.critical("a fault of caudal's own in a stream for %s", self._served.title, exc_info=error)
            yield from self._fail(500, "Fault", "This is a fault of the server's own.", "Its log has the details.")

    def _fail(self, status: int, kind: str, sentence: str, fix: str | None) -> Iterator[bytes]:
        """End the answers with a sentence; where there are none yet, refuse the request with it."""
        document: dict[str, object] = {"error": kind, "what": sentence, "nearest": None, "fix": fix}
        self.is_over = True
        if not self._begun:
            raise StreamRefused(status, document)
        self._failed = status
        yield from self._end(self._writer.failure(document) + self._writer.end())

    def _end(self, content: bytes) -> Iterator[bytes]:
        self.is_over = True
        if content:
            yield content

    def _pieces(self, chunks: Iterator[list[object]]) -> Iterator[list[object]]:
        most = self._asker.most_rows
        for chunk in chunks:
            for start in range(0, len(chunk), most):
                yield chunk[start : start + most]

    def _results(self, sent: list[object]) -> list[Answer | RowErrors]:
        served, first = self._served, self._row
        if (refused := self._asker.refused(len(sent))) is not None:
            raise _RowsRefused(*refused)
        self._row += len(sent)
        rows = [each if isinstance(each, Row) else served.row(each, MOST_ROW_ERRORS) for each in sent]
        good = [index for index, row in enumerate(rows) if row.good]
        self._log.count_rows(SentRows(served, [row.values if row.good else each for row, each in zip(rows, sent, strict=True)]))
        results: list[Answer | RowErrors] = [RowErrors(first + index, row.problems, row.more) for index, row in enumerate(rows)]
        asked = [sent[index] if isinstance(sent[index], dict) else rows[index].values for index in good]
        answered = trial_answers(served, [rows[index].values for index in good], asked, self._asker.environ)
        logged: list[tuple[int, Row, Answer]] = []
        for index, answer in zip(good, answered, strict=True):
            if is_problem(answer):
                results[index] = RowErrors(first + index, [answer])
            else:
                logged.append((first + index, rows[index], answer))
                results[index] = with_lookups(answer, rows[index])
        self._requests.add(served, logged, self._asker.name)
        return results


def stream_of_request(served: Served) -> Response | None:
    """Return the streamed answer to the current request; None where its body is none of rows to be streamed.

    Raises
    ------
    UnsupportedMediaType, NotAcceptable, RequestEntityTooLarge : it is, but not as it may be
    """
    sent = request.mimetype
    if sent not in STREAMED_TYPES:
        return None
    if request.mimetype_params.get("charset", "utf-8").lower() not in _TEXT_CHARSETS:
        raise UnsupportedMediaType("The rows are not declared as UTF-8.")
    if request.headers.get("Content-Encoding", "identity").lower() != "identity":
        raise UnsupportedMediaType("The body is declared as compressed, and is not taken so.")
    given = sent if not request.accept_mimetypes.provided else request.accept_mimetypes.best_match(
        sorted(STREAMED_TYPES, key=lambda type_: type_ != sent)
    )  # fmt: skip
    if given is None:
        raise NotAcceptable(f"Rows are answered as {' or '.join(STREAMED_TYPES)}, and 'Accept' names neither.")
    if (request.content_length or 0) > MOST_STREAM_BYTES:
        raise RequestEntityTooLarge(f"A body of rows has {MOST_STREAM_BYTES} bytes at most.")
    request.max_content_length = MOST_STREAM_BYTES
    minute_log: ServingMinuteLog = current_app.extensions["minute log"]
    requests: RequestLog = current_app.extensions["request log"]
    asker = Asker(caller_name(), request.environ, rows_refused(current_app), rows_at_once(CHUNK_ROWS))
    batch = StreamedBatch(served, _reader(sent, served), _writer(given, served), minute_log, requests, asker)
    response = stream_response(batch, given)
    if response.status_code == 200:
        g.stream = batch
    return response


def _reader(type_: str, served: Served) -> RowReader:
    if type_ == NDJSON:
        return NdjsonRows()
    from caudal.serve.arrow_rows import ArrowRows

    return ArrowRows(served.asked, served.inputs)


def _writer(type_: str, served: Served) -> AnswerWriter:
    if type_ != ARROW:
        return NdjsonAnswers()
    from caudal.serve.arrow_answers import ArrowAnswers

    return ArrowAnswers(served)
