"""Translate errors of S3 and HDFS to sentences, whether Arrow, ``deltalake`` or Spark reports them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import PurePath
from typing import Protocol

from caudal.errors import CaudalError, EnvironmentProblem
from caudal.storage.remote import endpoint

_NO_BUCKET = ("NO_SUCH_BUCKET", "NoSuchBucket", "bucket does not exist", "UnknownStoreException")
_REFUSED = (
    "ACCESS_DENIED", "AccessDenied", "INVALID_ACCESS_KEY_ID", "InvalidAccessKeyId", "SIGNATURE_DOES_NOT_MATCH", "SignatureDoesNotMatch",
    "ExpiredToken", "INVALID_CLIENT_TOKEN_ID", "InvalidToken", "403 Forbidden", "HTTP response code 403", "Status Code: 403",
    "MISSING_AUTHENTICATION_TOKEN",
)  # fmt: skip
_NO_KEY = (
    "Unable to load credentials",
    "NoAuthWithAWSException",
    "NoAwsCredentialsException",
    "CredentialsNotLoaded",
    "no providers in chain",
)
_FORBIDDEN = ("AccessControlException", "Permission denied: user=")
_AWAY = (
    "NETWORK_CONNECTION", "curlCode", "Connection refused", "ConnectException", "error sending request", "ConnectTimeout", "timed out",
    "Connection reset", "connection closed", "SERVICE_UNAVAILABLE", "SLOW_DOWN", "INTERNAL_FAILURE", "REQUEST_TIMEOUT", "SdkClientException",
    "NoHttpResponseException", "ServiceUnavailable", "InternalError", "IO error occurred while communicating", "SafeModeException",
    "Name node is in safe mode", "could only be written to 0 of", "Premature EOF", "BlockMissingException", "failed to lookup address",
    "UnknownHostException", "Broken pipe", "unexpected end of file", "UnexpectedEof", "early eof",
    "RPC listener disconnected",
)  # fmt: skip
_REMOTE = (
    "fs.s3a", "s3a://", "software.amazon.awssdk", "AWSClientIOException", "org.apache.hadoop.hdfs", "org.apache.hadoop.ipc", "hdfs://",
    "AWS Error", "Generic S3 error", "Generic HdfsObjectStore",
)  # fmt: skip


class Rooted(Protocol):
    """A path below a root."""

    @property
    def root(self) -> str:
        """``s3://bucket`` or ``hdfs://host:port``."""


@contextmanager
def translate_storage_errors(path: Rooted | PurePath) -> Iterator[None]:
    """Translate the block's errors of S3 and HDFS to sentences; a missing file stays `FileNotFoundError`."""
    if isinstance(path, PurePath):
        yield
        return
    try:
        yield
    except (CaudalError, FileNotFoundError):
        raise
    except Exception as error:
        translated = storage_problem(str(error), path.root)
        if translated is None:
            raise
        raise translated from error


def of_spark(text: str, lake: object = "") -> EnvironmentProblem | None:
    """Return what a Spark error means for S3 or HDFS; None if it is about something else.

    Parameters
    ----------
    lake : the lake's address, for errors that name no place
    """
    if not any(sign in text for sign in _REMOTE):
        return None
    url = re.search(r"(s3a|hdfs)://[^/\s\"'\]]+", text)
    kind = "s3://" if "s3a" in text or "amazon" in text else "hdfs://"
    if url is None and (lake_root := re.match(r"\w+://[^/]+", str(lake))) and lake_root.group().startswith(kind):
        return storage_problem(text, lake_root.group())
    root = url.group().replace("s3a://", "s3://") if url else kind
    return storage_problem(text, root)


def storage_problem(text: str, root: str) -> EnvironmentProblem | None:
    """Return what an error's text means; None if it is not about S3 or HDFS."""
    kind, _, name = root.partition("://")
    if any(sign in text for sign in _NO_BUCKET):
        return EnvironmentProblem(
            f"There is no bucket '{name}'.", fix="Make it, or set CAUDAL_LAKE to one that is there.", lake=root, transient=False
        )
    if any(sign in text for sign in _NO_KEY):
        return EnvironmentProblem(
            f"No credentials for bucket '{name}' were found.",
            fix="Set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE, or give the machine a role.",
            lake=root,
            transient=False,
        )
    if kind == "s3" and any(sign in text for sign in _REFUSED):
        return EnvironmentProblem(
            f"S3 refuses the credentials for bucket '{name}'.",
            fix="Check the key, the profile or the role: it has to list, read, write and delete there.",
            lake=root,
            transient=False,
        )
    if kind == "hdfs" and any(sign in text for sign in _FORBIDDEN):
        return EnvironmentProblem(
            f"HDFS at {name} refuses: {_line(text, _FORBIDDEN)}.", fix="Give the user (HADOOP_USER_NAME) access.", lake=root, transient=False
        )  # fmt: skip
    if any(sign in text for sign in _AWAY):
        where = (endpoint() or "Amazon") if kind == "s3" else name
        return EnvironmentProblem(
            f"{kind.upper()}{f' at {where}' if where else ''} does not answer.",
            fix="Nothing is lost. Check that it is up and reachable, then run again.",
            lake=root,
            transient=True,
        )
    return None


def _line(text: str, about: tuple[str, ...]) -> str:
    lines = [line.strip() for line in text.splitlines() if any(sign in line for sign in about)]
    return (lines or [text])[0].removeprefix("↳").strip()[:200].rstrip(".")
