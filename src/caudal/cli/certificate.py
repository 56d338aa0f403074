"""The options of the servers' certificate."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from caudal.errors import DeclarationProblem

if TYPE_CHECKING:
    from caudal.web.tls import Certificate

CertificateOption = Annotated[
    Path | None,
    typer.Option(
        "--tls-certificate",
        envvar="CAUDAL_TLS_CERTIFICATE",
        help="PEM file of the certificate and its chain: the server encrypts, and reads the file again when it is renewed.",
    ),
]
TlsKeyOption = Annotated[
    Path | None,
    typer.Option(
        "--tls-key", envvar="CAUDAL_TLS_KEY", help="PEM file of the certificate's private key, where it is not in the same file."
    ),
]


def certificate(chain: Path | None, key: Path | None) -> Certificate | None:
    """Return the certificate of two options; None where there is none."""
    if chain is None:
        if key is not None:
            raise DeclarationProblem("--tls-key is given without --tls-certificate.", fix="Give the file of the certificate too.")
        return None
    from caudal.web.tls import Certificate

    return Certificate(chain, key)
