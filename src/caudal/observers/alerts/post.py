"""Send alerts: mail by SMTP, webhooks by HTTP. Each alert has an identifier, by which a receiver recognizes a second delivery."""

from __future__ import annotations

import base64
import os
import smtplib
import ssl
from email.message import EmailMessage
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import orjson
import requests
from requests.adapters import HTTPAdapter
from requests.auth import AuthBase

from caudal.declarations.address import address as checked_address
from caudal.declarations.alert import Webhook
from caudal.ledger.rows import AlertRow
from caudal.report.document import iso
from caudal.secret import Address, Secret, redact

if TYPE_CHECKING:
    from caudal.declarations.settings import Settings

_WAIT_S = 10.0
_PAGE_BYTES = 8 << 20  # a larger page is named, not attached


class Undelivered(Exception):
    """The server did not accept an alert."""


def send(row: AlertRow, settings: Settings, webhook: Webhook | None) -> None:
    """Send an alert; ``webhook`` is the declared one that it is for.

    Raises
    ------
    Undelivered : the server did not accept it; the message is the reason
    """
    try:
        if row["kind"] == "mail":
            _mail(row, settings.smtp)
        else:
            _post(row, webhook)
    except (OSError, smtplib.SMTPException, ValueError) as error:  # requests' are OSErrors
        raise Undelivered(redact(_reason(error))) from None


def subject(row: AlertRow) -> str:
    """Return the alert's subject line."""
    words = {
        "failure": f"failed in {row['subject']}", "recovery": "runs again", "quarantine": f"rows of {row['subject']} set aside",
        "sla": f"{row['subject']} is late", "slow": f"{row['subject']} takes longer than usual", "promoted": f"model {row['subject']} promoted", "refused": f"model {row['subject']} refused",
        "drift": f"drift: {row['subject']}",
    }  # fmt: skip
    return f"[caudal] {row['product']}: {row['document'].get('heading') or words[row['happening']]}"


def _mail(row: AlertRow, server: str) -> None:
    document, place = row["document"], row["place"]
    message = EmailMessage()
    message["Subject"], message["From"], message["To"] = subject(row), place["sender"], ", ".join(place["to"])
    message["Message-ID"] = f"<{_name(row)}@caudal>"
    again = f"It had happened {row['repeats']:,} times more when this was sent." if row["repeats"] else ""
    lines = [
        document["what"],
        document.get("fix") or "",
        again,
        f"Run {row['run_id']}, {iso(row['at'])}." if row["run_id"] else f"{iso(row['at'])}.",
    ]
    message.set_content("\n\n".join(line for line in lines if line) + "\n")
    page = Path(where) if (where := document.get("page")) else None
    if page is not None and page.is_file() and page.stat().st_size <= _PAGE_BYTES:
        message.add_attachment(page.read_bytes(), maintype="text", subtype="html", filename=page.name)
    with _server(server) as smtp:
        refused = smtp.send_message(message)
    if refused:
        raise ValueError(f"refused for {', '.join(refused)}")


def _server(address: str) -> smtplib.SMTP:
    """Return a connection to the server of ``smtp://``, ``smtp+starttls://`` or ``smtps://[user:password@]host:port``."""
    whole = checked_address(address if "://" in address else f"smtp://{address}", "CAUDAL_SMTP")
    parts = urlsplit(whole.bare)
    host = parts.hostname or "127.0.0.1"
    safe = ssl.create_default_context()
    if parts.scheme == "smtps":
        server: smtplib.SMTP = smtplib.SMTP_SSL(host, parts.port or 465, timeout=_WAIT_S, context=safe)
    else:
        server = smtplib.SMTP(host, parts.port or 25, timeout=_WAIT_S)
    if parts.scheme == "smtp+starttls":
        server.starttls(context=safe)
    if whole.user:
        server.login(whole.user, whole.password.reveal() if whole.password else "")
    return server


def _name(row: AlertRow) -> str:
    """Return an identifier that is unique across homes: numbers restart in each home, and alerts of the daemon belong to no run."""
    return f"{row['id']}-{row['run_id'] or int(row['at'] * 1e6)}"


def _post(row: AlertRow, webhook: Webhook | None) -> None:
    if webhook is None:
        raise ValueError("the product does not declare this webhook any more")
    place, to = row["place"], Address(webhook.url.reveal())
    body: dict[str, object] = {
        "id": row["id"], "product": row["product"], "happening": row["happening"], "subject": row["subject"], "title": subject(row),
        "run_id": row["run_id"], "at": iso(row["at"]), "repeats": row["repeats"], **row["document"],
    }  # fmt: skip
    headers = {"Content-Type": "application/json", "Idempotency-Key": f"caudal-{_name(row)}", "User-Agent": "caudal"}
    if place["secret"]:
        headers["Authorization"] = f"Bearer {Secret(os.environ.get(place['secret'], '')).reveal()}"
    elif to.user:
        login = base64.b64encode(f"{to.user}:{to.password.reveal() if to.password else ''}".encode()).decode()
        headers["Authorization"] = f"Basic {login}"
    with requests.Session() as session:
        session.mount("https://", _SystemsTrust())
        session.auth = _Nobody()  # else a login of ~/.netrc takes the place of the declared one
        with session.post(to.bare, orjson.dumps(body), headers=headers, timeout=_WAIT_S, stream=True) as answer:
            answer.raise_for_status()


class _Nobody(AuthBase):
    """Adds no login to a request."""

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        return request


class _SystemsTrust(HTTPAdapter):
    """Trusts the machine's certificate authorities, such as a company's, besides those of the requests package."""

    def init_poolmanager(self, *args: Any, **more: Any) -> None:
        super().init_poolmanager(*args, ssl_context=ssl.create_default_context(), **more)

    def proxy_manager_for(self, proxy: str, **more: object) -> object:
        return super().proxy_manager_for(proxy, ssl_context=ssl.create_default_context(), **more)


def _reason(error: Exception) -> str:
    if isinstance(error, requests.HTTPError) and error.response is not None:
        return f"{error.response.status_code} {error.response.reason}"
    if isinstance(error, requests.RequestException):
        return _innermost(error)
    if isinstance(error, smtplib.SMTPResponseException):
        return f"{error.smtp_code} {error.smtp_error.decode(errors='replace') if isinstance(error.smtp_error, bytes) else error.smtp_error}"
    return str(getattr(error, "reason", None) or getattr(error, "strerror", None) or error)


def _innermost(error: BaseException) -> str:
    """Return what an error of the network began with: ``[Errno 111] Connection refused``, not the layers around it."""
    while (below := error.__cause__ or error.__context__) is not None:
        error = below
    return str(error) or type(error).__name__
