"""HTTP requests: authentication, rate limits and retries."""

from __future__ import annotations

import errno
import re
import threading
import time
from collections.abc import Callable, Mapping
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, TypeVar
from urllib.parse import urlsplit

import requests
from requests.adapters import HTTPAdapter
from tenacity import RetryCallState, Retrying, retry_if_exception_type, stop_after_attempt, wait_exponential

from caudal.declarations.connection import Http
from caudal.declarations.web import Env, rate_of
from caudal.errors import EnvironmentProblem, SourceProblem
from caudal.secret import Address, Secret
from caudal.stages.ingest.secret import mask_secrets, reveal, without_user

if TYPE_CHECKING:
    from requests import PreparedRequest, Response

ATTEMPTS = 5
BACKOFF_S = 0.25  # before the second attempt; doubled before each one after it
LONGEST_WAIT_S = 60.0  # where a server asks for a longer pause, the run ends
AGAIN = frozenset({408, 425, 429, 500, 502, 503, 504})
AT_ONCE = 4
_T = TypeVar("_T")


class TryAgain(Exception):
    """A failure that a retry may solve."""

    def __init__(self, reason: str, wait_s: float = 0.0) -> None:
        self.reason, self.wait_s = reason, wait_s
        super().__init__(reason)


class RateLimit:
    """Requests to one host at even intervals, so that no period has more than allowed."""

    def __init__(self, requests: float, period_s: float) -> None:
        self._interval_s, self._free_at, self._lock = period_s / requests, 0.0, threading.Lock()

    def wait(self) -> None:
        """Wait for this request's turn."""
        with self._lock:
            now_s = time.monotonic()
            at_s = max(now_s, self._free_at)
            self._free_at = at_s + self._interval_s
        time.sleep(at_s - now_s)


_RATE_LIMITS: dict[tuple[str, str], RateLimit] = {}
_RATE_LIMITS_LOCK = threading.Lock()


def _rate_limit(host: str, rate: str) -> RateLimit:
    with _RATE_LIMITS_LOCK:  # one for all sources of this process
        return _RATE_LIMITS.setdefault((host, rate), RateLimit(*rate_of(rate)))


class _Session(requests.Session):
    """A session that sends secrets only to the declared host."""

    secret_headers: tuple[str, ...] = ()

    def rebuild_auth(self, prepared_request: PreparedRequest, response: Response) -> None:
        super().rebuild_auth(prepared_request, response)
        if self.should_strip_auth(str(response.request.url), str(prepared_request.url)):
            for name in self.secret_headers:
                prepared_request.headers.pop(name, None)


class Client:
    """The HTTP client of a connection, with its rate limit and its login."""

    def __init__(self, connection: Http) -> None:
        self._connection = connection
        self._session = _Session()
        self._session.secret_headers = tuple(connection.headers)
        for scheme in ("http://", "https://"):
            self._session.mount(scheme, HTTPAdapter(pool_maxsize=AT_ONCE, max_retries=0))
        self._headers = {"User-Agent": "caudal", "Accept-Encoding": "identity"}
        self._headers |= {name: reveal(value) for name, value in connection.headers.items()}
        self._params = {name: reveal(value) for name, value in connection.params.items()}
        auth = connection.auth
        self._addresses: dict[str, Address] = dict(zip(connection.urls, connection.addresses or (), strict=True))
        self._login = (user := reveal(auth[0]), reveal(auth[1], user)) if isinstance(auth, tuple) else None
        if isinstance(auth, Env | Secret):
            self._headers["Authorization"] = f"Bearer {reveal(auth)}"
            self._session.secret_headers += ("Authorization",)

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *error: object) -> None:
        self._session.close()

    @property
    def secret_params(self) -> tuple[str, ...]:
        """Return the names of parameters whose values are secret."""
        declared = [name for name, value in self._connection.params.items() if isinstance(value, Env | Secret)]
        return (*declared, *(name for address in self._addresses.values() for name, _ in address.secret_parameters))

    def get(
        self,
        url: str,
        headers: Mapping[str, str] | None = None,
        params: Mapping[str, str | int | float] | None = None,
        *,
        link: bool = False,
    ) -> requests.Response:
        """Return the answer of a declared address (as shown) or of a ``link`` from a server, with its body unread.

        A link has all parameters except the secret ones, which are added.

        Raises
        ------
        TryAgain : a retry may help
        SourceProblem : the server refuses, and a retry cannot help
        """
        plain, declared = without_user(url), self._declared_address(url, link)
        user, password = (declared.user, declared.password) if declared else (None, None)
        if self._connection.rate:
            _rate_limit(urlsplit(plain).netloc, self._connection.rate).wait()
        login = self._login or ((user, password.reveal() if password else "") if user else None)
        declared_params = {name: value for name, value in self._params.items() if not link or name in self.secret_params}
        if link and declared:
            declared_params |= dict(declared.secret_parameters)
        try:
            answer = self._session.get(
                declared.bare if declared and not link else plain,
                headers={**self._headers, **(headers or {})},
                params={**declared_params, **(params or {})},
                auth=login,
                stream=True,
                timeout=self._connection.timeout_s,
            )
        except (requests.exceptions.InvalidURL, requests.exceptions.InvalidSchema, requests.TooManyRedirects) as error:
            raise SourceProblem(f"'{plain}' cannot be requested: {mask_secrets(str(error))}.", url=plain) from None
        except requests.RequestException as error:
            raise TryAgain(cause(error)) from None
        if answer.status_code in AGAIN:
            with answer:
                raise TryAgain(f"{answer.status_code} {answer.reason}", wait_s(answer.headers, plain))
        if answer.status_code >= 400 and answer.status_code != 416:
            with answer:
                raise refusal(plain, answer)
        return answer

    def _declared_address(self, url: str, link: bool) -> Address | None:
        """Return the declared address of a request; for a link, one of the same host."""
        if not link:
            return self._addresses.get(url)
        host = urlsplit(url).hostname
        return next((address for declared_url, address in self._addresses.items() if urlsplit(declared_url).hostname == host), None)

    def with_retries(self, url: str, attempt_once: Callable[[], _T]) -> _T:
        """Return the result of ``attempt_once``, retried while it raises `TryAgain`."""
        address = without_user(url)
        attempts = Retrying(
            retry=retry_if_exception_type((TryAgain, requests.RequestException)),
            stop=stop_after_attempt(ATTEMPTS),
            wait=_pause_s,
            reraise=True,
        )
        try:
            return attempts(attempt_once)
        except (TryAgain, requests.RequestException) as error:
            reason = error.reason if isinstance(error, TryAgain) else cause(error)
            raise SourceProblem(
                f"'{address}' could not be fetched in {ATTEMPTS} attempts; the last one ended with: {reason}.",
                fix="Run again when the server answers; the run continues with the downloaded part.",
                url=address,
                attempts=ATTEMPTS,
                transient=True,
            ) from None
        except OSError as error:
            if error.errno in (errno.ENOSPC, errno.EDQUOT):
                raise EnvironmentProblem(
                    f"The disk is full: '{address}' could not be downloaded.",
                    fix="Free space where --home lies and run again.",
                    url=address,
                ) from None
            raise


def _pause_s(state: RetryCallState) -> float:
    """Return how long to wait before the next attempt: twice as long as before the last one, or as long as the server asks, if that is longer."""
    error = state.outcome.exception() if state.outcome else None
    doubled: float = wait_exponential(BACKOFF_S)(state)
    return max(doubled, error.wait_s if isinstance(error, TryAgain) else 0.0)


def cause(error: BaseException) -> str:
    """Return the innermost reason of a network error, without addresses of objects."""
    innermost: BaseException = error
    while True:
        inner = (
            getattr(innermost, "reason", None)
            or next((arg for arg in innermost.args if isinstance(arg, BaseException)), None)
            or innermost.__cause__
            or innermost.__context__
        )
        if not isinstance(inner, BaseException):
            break
        innermost = inner
    message = re.sub(r"<[^>]*>: ", "", str(innermost))
    return mask_secrets(f"{type(innermost).__name__}: {message}" if message else type(innermost).__name__)


def wait_s(headers: Mapping[str, str], url: str) -> float:
    """Return how many seconds a server asks to wait, given as seconds or as a date.

    Raises
    ------
    SourceProblem : longer than a run waits
    """
    retry_after = headers.get("Retry-After")
    if not retry_after:
        return 0.0
    try:
        seconds = float(retry_after)
    except ValueError:
        try:
            now_s = parsedate_to_datetime(headers["Date"]).timestamp() if headers.get("Date") else time.time()
            seconds = parsedate_to_datetime(retry_after).timestamp() - now_s
        except ValueError:
            return 0.0
    if seconds > LONGEST_WAIT_S:
        raise SourceProblem(
            f"'{url}' asks for a pause of {seconds:.0f} s.",
            fix="Run again after that; the run continues with the downloaded part. A lower rate= avoids it.",
            url=url,
            wait_s=seconds,
            transient=True,
        )
    return max(0.0, seconds)


def refusal(url: str, answer: requests.Response) -> SourceProblem:
    """Return the problem of a server's refusal."""
    fixes = {
        400: "The server does not understand the request; check the address and params=.",
        401: "The server requires a login: pass auth=cd.env('TOKEN'), or headers=.",
        403: "The server does not let this machine read it.",
        404: "Check the address; the file may not be published yet.",
        410: "The file was removed permanently; find its new address.",
    }
    code = answer.status_code
    return SourceProblem(f"'{url}' answered {code} {answer.reason}.", fix=fixes.get(code), url=url, status=code)
