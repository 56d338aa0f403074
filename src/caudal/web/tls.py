"""TLS: the certificate of a server, which is read again when its file changes."""

from __future__ import annotations

import logging
import ssl
from dataclasses import dataclass, field
from pathlib import Path

from caudal.errors import EnvironmentProblem

log = logging.getLogger(__name__)


@dataclass
class Certificate:
    """A server's certificate with its chain, and its private key, as PEM files.

    Parameters
    ----------
    chain : the file of the certificate, and of those that vouch for it
    key : the file of the private key, where it is not in ``chain``

    Raises
    ------
    EnvironmentProblem : a file cannot be read, or key and certificate do not belong together
    """

    chain: Path
    key: Path | None = None
    context: ssl.SSLContext = field(init=False, repr=False)
    _state: object = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.minimum_version = ssl.TLSVersion.TLSv1_2
        self._state = self._files_state()
        try:
            self.context.load_cert_chain(self.chain, self.key, password=lambda: "")
        except (OSError, ssl.SSLError) as error:
            raise EnvironmentProblem(
                f"The certificate {self.chain} cannot be used: {_reason(error)}.",
                fix="Give a PEM file with --tls-certificate, and the file of its private key, without a password, with --tls-key.",
                where=str(self.chain),
            ) from None

    def follow(self) -> None:
        """Read the files again where they have changed; what cannot be used leaves the certificate as it was."""
        state = self._files_state()
        if state == self._state or None in state:
            return
        self._state = state
        try:
            # A context that took the certificate of new files but failed at their key would be of no use.
            ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(self.chain, self.key, password=lambda: "")
            self.context.load_cert_chain(self.chain, self.key, password=lambda: "")
        except (OSError, ssl.SSLError) as error:
            log.warning("the new certificate %s cannot be used, and the one before stays in use: %s", self.chain, _reason(error))
        else:
            log.info("the new certificate %s is in use", self.chain)

    def _files_state(self) -> tuple[object, ...]:
        return tuple(_state(file) for file in (self.chain, self.key) if file is not None)


def _state(file: Path) -> object:
    try:
        found = file.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino


def _reason(error: Exception) -> str:
    return (getattr(error, "reason", None) or getattr(error, "strerror", None) or str(error)).replace("_", " ").lower()
