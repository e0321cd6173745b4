"""One polite, guarded HTTP get: conditional, bounded in time, size and redirects.

The limits and their reasons are in docs/harvesting.md. Nothing here knows a database;
what was learnt (validators, a new address, when to ask again) comes back as values.
"""

import contextlib
import ssl
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from email.utils import parsedate_to_datetime
from functools import cache
from importlib.metadata import version
from urllib.parse import urljoin, urlsplit, urlunsplit

import httpx2

from library.errors import FetchFailed
from library.fetching.decoding import ACCEPTED, decode
from library.fetching.network import Deadline, GuardedBackend, Resolver, resolve
from library.settings import Settings

LONGEST_WAIT = 24 * 3600
_PERMANENT = frozenset([301, 308])
_REDIRECTS = _PERMANENT | {302, 303, 307}

Turn = Callable[[str], contextlib.AbstractContextManager[None]]
"""Given a host, holds our turn there while a request runs."""


@dataclass(frozen=True)
class Limits:
    """How much one exchange may cost."""

    size: int = 15 * 1024 * 1024
    seconds: float = 30.0
    redirects: int = 5


FEED = Limits()
OAI_PAGE = Limits(size=50 * 1024 * 1024, seconds=120.0)
FILE = Limits(size=64 * 1024 * 1024, seconds=300.0)


@dataclass(frozen=True)
class Fetcher:
    """How this installation fetches: who it says it is, and where it may go."""

    agent: str
    contact: str
    allow: tuple[str, ...] = ()
    resolver: Resolver = resolve
    limits: Limits | None = None
    """In place of each kind's own."""
    turn: Turn = field(default=lambda _: contextlib.nullcontext())
    pause: Callable[[float], None] = time.sleep
    """Waits between two tries of one page."""

    @classmethod
    def of(cls, settings: Settings) -> "Fetcher":
        """Make the fetcher of an installation."""
        return cls(
            agent=f"Hamkhan/{version('hamkhan')} (+{settings.base_url}; "
            f"{settings.contact})",
            contact=settings.contact,
            allow=settings.fetch_allow,
        )


@dataclass(frozen=True)
class Validators:
    """What a source said of its body last time, so that it need not send it again."""

    etag: str | None = None
    last_modified: str | None = None


@dataclass(frozen=True)
class Fetched:
    """An answer.

    Attributes:
        body: None where the source says that nothing changed.
        url: Where it came from, after redirects.
        moved_to: The new address, if every redirect on the way was permanent.
        headers: By lower-case name.
    """

    body: bytes | None
    url: str
    moved_to: str | None
    validators: Validators
    headers: Mapping[str, str]


def fetch(
    fetcher: Fetcher,
    url: str,
    *,
    at: datetime,
    validators: Validators = Validators(),
    headers: Mapping[str, str] | None = None,
    limits: Limits = FEED,
) -> Fetched:
    """Get a source's body, or the news that it did not change.

    Args:
        fetcher: Who asks.
        url: http or https.
        at: Now; a Retry-After date counts from it.
        validators: From the last answer.
        headers: More request headers, credentials among them; they are not sent on
            to another host.
        limits: For the whole exchange, redirects included.

    Raises:
        FetchFailed: There is no body; the cause says why, and `retry_after` when the
            server wants to be asked again.
    """
    limits = fetcher.limits or limits
    deadline = Deadline(limits.seconds)
    secrets = dict(headers or {})
    permanent, here = True, _checked(url, None)
    for _ in range(limits.redirects + 1):
        request = _request(fetcher, here, validators, secrets)
        with fetcher.turn(urlsplit(here).hostname or ""):
            answer = _exchange(fetcher, request, deadline, limits)
        if answer.status not in _REDIRECTS:
            moved = here if permanent and here != url else None
            return _fetched(answer, here, moved, at, asked=validators)
        there = _checked(urljoin(here, answer.headers.get("location", "")), here)
        if _origin(there) != _origin(here):
            secrets = {}
        permanent = permanent and answer.status in _PERMANENT
        here = there
    raise FetchFailed(f"more than {limits.redirects} redirects", cause="redirect")


def post(
    fetcher: Fetcher,
    url: str,
    body: bytes,
    *,
    headers: Mapping[str, str],
    at: datetime,
    limits: Limits = FEED,
) -> bytes:
    """Post a body and return what is answered.

    A redirect is a refusal, as the body is meant for this address.

    Raises:
        FetchFailed: It was not taken.
    """
    here = _checked(url, None)
    request = _request(fetcher, here, Validators(), headers, body=body)
    limits = fetcher.limits or limits
    with fetcher.turn(urlsplit(here).hostname or ""):
        answer = _exchange(fetcher, request, Deadline(limits.seconds), limits)
    if answer.status // 100 != 2:
        raise _refusal(answer, at)
    return answer.body


@dataclass(frozen=True)
class _Answer:
    status: int
    headers: Mapping[str, str]
    body: bytes


def _checked(url: str, before: str | None) -> str:
    """Return the address without fragment and credentials, if it may be asked."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise FetchFailed(f"no address: {url[:200]!r}", cause="not_allowed") from error
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise FetchFailed(f"not http or https: {url[:200]!r}", cause="not_allowed")
    if before and before.startswith("https:") and parts.scheme == "http":
        raise FetchFailed("redirect from https to http", cause="redirect")
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    place = f"{host}:{port}" if port else host
    return urlunsplit((parts.scheme, place, parts.path or "/", parts.query, ""))


def _origin(url: str) -> tuple[str, str | None, int | None]:
    parts = urlsplit(url)
    return parts.scheme, parts.hostname, parts.port


def _request(
    fetcher: Fetcher,
    url: str,
    validators: Validators,
    secrets: Mapping[str, str],
    *,
    body: bytes | None = None,
) -> httpx2.Request:
    headers = {
        "User-Agent": fetcher.agent,
        "From": fetcher.contact,
        "Accept": "*/*",
        "Accept-Encoding": ACCEPTED,
        "Connection": "close",
        **secrets,
    }
    if validators.etag:
        headers["If-None-Match"] = validators.etag
    if validators.last_modified:
        headers["If-Modified-Since"] = validators.last_modified
    try:
        method = "GET" if body is None else "POST"
        return httpx2.Request(method, url, headers=headers, content=body)
    except (httpx2.InvalidURL, UnicodeError) as error:
        raise FetchFailed(f"no address: {url[:200]!r}", cause="not_allowed") from error


@contextlib.contextmanager
def _transport(fetcher: Fetcher, deadline: Deadline) -> Iterator[httpx2.HTTPTransport]:
    transport = httpx2.HTTPTransport(verify=_tls(), trust_env=False, retries=0)
    # No public door leads here; httpx2 is pinned, and a test watches the name.
    transport._pool._network_backend = GuardedBackend(  # noqa: SLF001 -- see above
        deadline, allow=fetcher.allow, resolver=fetcher.resolver
    )
    try:
        yield transport
    finally:
        transport.close()


@cache
def _tls() -> ssl.SSLContext:
    return ssl.create_default_context()


def _exchange(
    fetcher: Fetcher, request: httpx2.Request, deadline: Deadline, limits: Limits
) -> _Answer:
    try:
        with _transport(fetcher, deadline) as transport:
            response = transport.handle_request(request)
            headers = {name.lower(): value for name, value in response.headers.items()}
            body = b""
            if response.status_code == httpx2.codes.OK:
                body = _body(response, headers, limits)
            return _Answer(response.status_code, headers, body)
    except httpx2.ConnectError as error:
        raise FetchFailed(f"no connection: {error}", cause="refused") from error
    except (httpx2.HTTPError, httpx2.StreamError, ValueError) as error:
        raise FetchFailed(f"broken answer: {error}", cause="encoding") from error


def _body(
    response: httpx2.Response, headers: Mapping[str, str], limits: Limits
) -> bytes:
    declared = headers.get("content-length", "")
    if declared.isascii() and declared.isdigit() and int(declared) > limits.size:
        raise FetchFailed(
            f"{declared} bytes, more than {limits.size}", cause="too_large"
        )
    encoding = headers.get("content-encoding", "")
    return decode(response.iter_raw(), encoding, limit=limits.size)


def _fetched(
    answer: _Answer, url: str, moved_to: str | None, at: datetime, *, asked: Validators
) -> Fetched:
    # "Not changed" answers a question; from a server that was not asked it is broken.
    expected = {200, 304} if asked != Validators() else {200}
    if answer.status not in expected:
        raise _refusal(answer, at)
    validators = Validators(
        answer.headers.get("etag"), answer.headers.get("last-modified")
    )
    body = answer.body if answer.status == httpx2.codes.OK else None
    return Fetched(body, url, moved_to, validators, answer.headers)


def _refusal(answer: _Answer, at: datetime) -> FetchFailed:
    return FetchFailed(
        f"the server answered {answer.status}",
        cause="gone" if answer.status == httpx2.codes.GONE else "status",
        retry_after=retry_after(answer.headers.get("retry-after", ""), at),
        status=answer.status,
    )


def retry_after(header: str, at: datetime) -> int | None:
    """Return the seconds a Retry-After header asks for, a day at most, or None."""
    text = header.strip()
    if text.isascii() and text.isdigit():
        return min(int(text[:9]), LONGEST_WAIT)
    try:
        then = parsedate_to_datetime(text)
    except (TypeError, ValueError, IndexError, OverflowError):
        return None
    if then.tzinfo is None:
        return None
    return min(max(int((then - at).total_seconds()), 0), LONGEST_WAIT)
