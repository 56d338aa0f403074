"""Which names of options, headers and parameters are those of secrets."""

from __future__ import annotations

import re
from collections.abc import Mapping

from caudal.secret.value import Secret

_NAMES = re.compile(
    r"password|passwd|passphrase|pwd|secret|token|credential|signature|authorization|cookie|jaas|api[-_.]?key"
    r"|(?:^|[-_.])(?:access|account|private|shared|sas)?[-_.]?key$|(?:^|[-_.])(?:sig|auth|pat)$",
    re.IGNORECASE,
)


_NO_SECRET = re.compile(
    r"(?:provider|class|file|path|location|type|url|uri)$", re.IGNORECASE
)  # these names tell where a secret is, or how to get it


def is_secret_name(name: str) -> bool:
    """Return whether a value of this name is a secret.

    Examples
    --------
    >>> [is_secret_name(name) for name in ("api_key", "X-Amz-Signature", "kafka.sasl.jaas.config", "monkey", "token_file")]
    [True, True, True, False, False]
    """
    return _NAMES.search(name) is not None and _NO_SECRET.search(name) is None


def secrets_hidden(values: Mapping[str, object]) -> dict[str, object]:
    """Return nested settings in which every text with a secret name is a `Secret`."""
    return {
        name: secrets_hidden(value)
        if isinstance(value, Mapping)
        else Secret(value)
        if isinstance(value, str) and is_secret_name(name)
        else value
        for name, value in values.items()
    }
