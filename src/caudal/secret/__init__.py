"""Secrets: values that cannot be shown or stored, and addresses whose text leaves them out."""

from caudal.secret.address import Address, hide_in_addresses, passwords_of, shown, without_secret_parameters
from caudal.secret.logs import redact_logs
from caudal.secret.names import is_secret_name, secrets_hidden
from caudal.secret.value import Secret, redact, redacted, register_secret

__all__ = [
    "Address",
    "Secret",
    "hide_in_addresses",
    "is_secret_name",
    "passwords_of",
    "redact",
    "redact_logs",
    "redacted",
    "register_secret",
    "secrets_hidden",
    "shown",
    "without_secret_parameters",
]
