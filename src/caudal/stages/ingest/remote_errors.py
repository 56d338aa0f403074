"""Translate the errors of remote file systems into one sentence with the nearest existing name and the fix."""

from __future__ import annotations

from typing import TYPE_CHECKING

from caudal.errors import CaudalError, EnvironmentProblem, SourceProblem, nearest
from caudal.stages.ingest.secret import mask_secrets

if TYPE_CHECKING:
    from fsspec import AbstractFileSystem

_CREDENTIALS = {
    "s3": "Set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE; of a public bucket pass storage={'anon': True}.",
    "sftp": "Write the user into the address (sftp://ann@host/…); keys come from ~/.ssh or the agent, a password by "
    "storage={'password': cd.env('NAME')}.",
    "hdfs": "Name the user by HADOOP_USER_NAME.",
    "webhdfs": "Name the user by storage={'user': …}, or Kerberos by storage={'kerberos': True}.",
}
_FORBIDDEN = "AccessControlException"  # Hadoop's exception for a missing permission
_ALIKE = {"s3a": "s3", "ssh": "sftp"}
_NO_LOGIN = (
    "NoCredentialsError",
    "PartialCredentialsError",
    "PermissionDenied",
    "AuthenticationException",
    "UnauthorizedSSOTokenError",
)


def is_final(error: BaseException) -> bool:
    """Return whether a retry cannot help."""
    return (
        isinstance(error, FileNotFoundError | PermissionError | IsADirectoryError | NotImplementedError | TypeError | ValueError)
        or type(error).__name__ in (*_NO_LOGIN, "HostKeyNotVerifiable", "KeyImportError")
        or (isinstance(error, OSError) and error.errno in (28, 122))
        or _FORBIDDEN in str(error)
    )


def translate_file_system_error(error: BaseException, address: str, user: str | None = None) -> CaudalError:
    """Return an error of a file system as a CaudalError."""
    if isinstance(error, CaudalError):
        return error
    protocol = address.partition("://")[0]
    protocol = _ALIKE.get(protocol, protocol)
    name = type(error).__name__
    if isinstance(error, OSError) and error.errno in (28, 122):  # no space, quota
        return EnvironmentProblem(
            f"The disk is full: '{address}' could not be downloaded.",
            fix="Free space where --home lies and run again.",
            url=address,
        )
    if name in _NO_LOGIN or isinstance(error, PermissionError) or _FORBIDDEN in str(error):
        user_text = f" to '{user}'" if user else ""
        return SourceProblem(
            f"'{address}' may not be read{user_text}: {short_error(error)}.", fix=_CREDENTIALS.get(protocol), url=address
        )
    if name == "HostKeyNotVerifiable":
        host = address.partition("://")[2].partition("/")[0]
        return SourceProblem(
            f"The host '{host}' is not known: its key is not among the known hosts.",
            fix=f"Check its key and add it to ~/.ssh/known_hosts (ssh {host.partition(':')[0]} asks), or pass storage={{'known_hosts': 'FILE'}}.",
            url=address,
        )
    if isinstance(error, FileNotFoundError):
        return SourceProblem(f"'{address}' is not there any more.", fix="Run again.", url=address)
    if isinstance(error, ValueError) and "rotocol not known" in str(error):
        import fsspec

        return SourceProblem(
            f"'{address}' has an unknown protocol.", nearest=nearest(protocol, fsspec.available_protocols()), url=address
        )
    return SourceProblem(
        f"'{address}' cannot be read: {short_error(error)}.", fix="Check the host and the storage= options.", url=address
    )


def no_match_problem(fs: AbstractFileSystem, pattern: str, address: str) -> SourceProblem:
    """Return why nothing matches a pattern: no such bucket or folder, or no such file in it."""
    parts = pattern.split("/")
    fixed = parts[: next((i for i, part in enumerate(parts[:-1]) if any(sign in part for sign in "*?[")), len(parts) - 1)]
    file_pattern = "/".join(parts[len(fixed) :])
    for depth in range(len(fixed), 0, -1):
        folder = "/".join(fixed[:depth]) or "/"
        names = _names(fs, folder)
        if names is None:
            continue
        if depth == len(fixed):
            names_text = ", ".join(repr(name) for name in names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")
            return SourceProblem(
                f"No file matches '{file_pattern}' of '{address}'; there is {names_text or 'no file'}.",
                nearest=nearest(file_pattern, names),
                pattern=address,
            )
        return SourceProblem(
            f"'{fixed[depth]}' of '{address}' does not exist in '{folder}'.", nearest=nearest(fixed[depth], names), pattern=address
        )
    buckets = _names(fs, "") or []
    if address.startswith(("s3://", "s3a://", "gs://")):
        return SourceProblem(f"The bucket '{fixed[0]}' does not exist.", nearest=nearest(fixed[0], buckets), pattern=address)
    return SourceProblem(f"Nothing is at '{address}'.", nearest=nearest(fixed[0], buckets), pattern=address)


def _names(fs: AbstractFileSystem, folder: str) -> list[str] | None:
    """Return the names in a folder, None when it does not exist or may not be listed."""
    try:
        entries = fs.ls(folder, detail=False)
    except (FileNotFoundError, PermissionError):
        return None
    names = [str(entry).rstrip("/").rpartition("/")[2] for entry in entries]
    return sorted(name for name in names if name)


def short_error(error: BaseException) -> str:
    """Return an error as one short line without passwords."""
    lines = str(error).strip().splitlines()
    text = mask_secrets(lines[0].rstrip(".")) if lines else ""
    name = type(error).__name__
    return f"{name}: {text}"[:300] if text else name
