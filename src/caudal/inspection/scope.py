"""What probes may ask: files, variables, commands, HTTP addresses and the Spark session, each with a limit of time and size."""

from __future__ import annotations

import json
import os
import subprocess
import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Callable, Mapping, Optional, Sequence, TypeVar
from urllib.error import HTTPError, URLError
from urllib.request import HTTPRedirectHandler, ProxyHandler, Request, build_opener

LINK_LOCAL = "http://169.254.169.254"
"""Where Amazon, Microsoft and Google answer a machine's questions about itself; the address leads nowhere beyond its own network."""
_MOST_BYTES = 16 << 20
V = TypeVar("V")


class _NoRedirect(HTTPRedirectHandler):
    """Whoever answers is the one who was asked: a redirection could lead a token or a question elsewhere."""

    def redirect_request(self, *_: Any, **__: Any) -> None:
        return None


@dataclass
class InspectionScope:
    """What an inspection looks at.

    Parameters
    ----------
    root : the folder that stands for ``/``
    environment : the variables
    metadata : address of the metadata services
    spark : a running session
    spark_missing : why there is none
    master : address of a Spark master, ``spark://host:port`` or its page ``http://host:8080``
    ui : addresses of pages of running applications, such as ``http://127.0.0.1:4040``
    timeout_s : until what does not answer counts as away
    tables : the most tables that are listed of a database
    """

    root: Path = Path("/")
    environment: Mapping[str, str] = field(default_factory=lambda: dict(os.environ))
    metadata: str = LINK_LOCAL
    spark: Any = None
    spark_missing: str = "no Spark session runs in this process"
    master: Optional[str] = None
    ui: Sequence[str] = ()
    timeout_s: float = 1.0
    tables: int = 1000
    kept: dict[str, Any] = field(default_factory=dict)
    """Answers that several probes use, by name."""

    def once(self, name: str, find: Callable[[], V]) -> V:
        """Return what ``find`` returns, called for the first probe that asks."""
        if name not in self.kept:
            self.kept[name] = find()
        answer: V = self.kept[name]
        return answer

    def path(self, path: str) -> Path:
        """Return a path below the root."""
        return self.root / path.lstrip("/")

    def text(self, path: str) -> str | None:
        """Return the text of a small file, without white space around it; None where it cannot be read."""
        try:
            with self.path(path).open("rb") as file:
                return file.read(_MOST_BYTES).decode("utf-8", errors="replace").strip("\0 \t\r\n")
        except (OSError, ValueError):
            return None

    def number(self, path: str) -> int | None:
        """Return the whole number that a file holds; None where it holds none, or cannot be read."""
        text = self.text(path)
        try:
            return None if text is None else int(text)
        except ValueError:
            return None

    def run(self, *command: str, timeout_s: float = 10.0) -> str:
        """Return what a command prints, on either stream.

        Raises
        ------
        OSError : it is not there, failed, or did not end; the message says which
        """
        try:
            done = subprocess.run(
                command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=timeout_s, check=False,
                env=dict(self.environment),
            )  # fmt: skip
        except FileNotFoundError:
            raise OSError(f"{command[0]} is not there") from None
        except PermissionError:
            raise OSError(f"{command[0]} may not be run") from None
        except subprocess.TimeoutExpired:
            raise OSError(f"{command[0]} did not end within {timeout_s:g} s") from None
        text = done.stdout.decode("utf-8", errors="replace").strip()
        if done.returncode:
            raise OSError(f"{command[0]} ended with {done.returncode}: {text[-200:] or 'without a word'}")
        return text

    def get(self, url: str, headers: Mapping[str, str] | None = None, method: str = "GET") -> tuple[str, Mapping[str, str]]:
        """Return the answer of an HTTP address and its headers; no proxy is used and no redirection followed.

        Raises
        ------
        OSError : no answer in time, or one that is an error; the message says which
        """
        opener = build_opener(ProxyHandler({}), _NoRedirect())
        try:
            with opener.open(Request(url, headers=dict(headers or {}), method=method), timeout=self.timeout_s) as answer:
                return answer.read(_MOST_BYTES).decode("utf-8", errors="replace"), dict(answer.headers.items())
        except HTTPError as error:
            raise OSError(f"{url} answers {error.code}") from None
        except URLError as error:
            why = f"within {self.timeout_s:g} s" if isinstance(error.reason, TimeoutError) else f"({error.reason})"
            raise OSError(f"no answer from {url} {why}") from None
        except TimeoutError:
            raise OSError(f"no answer from {url} within {self.timeout_s:g} s") from None
        except Exception as error:  # what speaks no HTTP may raise anything
            raise OSError(f"{url} does not answer as HTTP does: {type(error).__name__}") from None

    def json(self, url: str, headers: Mapping[str, str] | None = None) -> Any:
        """Return the JSON of an HTTP address.

        Raises
        ------
        OSError : as `get`, or the answer is no JSON
        """
        text, _ = self.get(url, headers)
        try:
            return json.loads(text)
        except ValueError:
            raise OSError(f"{url} answers with what is no JSON") from None


def within(seconds: float, ask: Callable[[], V]) -> V:
    """Return what ``ask`` returns: a look-up in the kernel that may hang, such as of a network disk that is away.

    Raises
    ------
    OSError : not in time; the thread is left behind
    """
    answers: list[V] = []
    errors: list[OSError] = []

    def look() -> None:
        try:
            answers.append(ask())
        except OSError as error:
            errors.append(error)

    thread = threading.Thread(target=look, daemon=True)
    thread.start()
    thread.join(seconds)
    if answers:
        return answers[0]
    raise errors[0] if errors else OSError(f"no answer within {seconds:g} s")
