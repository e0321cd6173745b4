import gzip
import time
import zlib
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import brotli
import httpx2
import pytest

from library.errors import FetchFailed
from library.fetching import fetch as fetching
from library.fetching.fetch import Fetcher, Limits, Validators, fetch, retry_after
from tests.factories import NOON
from tests.loopback import Answer, Asked, Site

OK = b"HTTP/1.1 200 OK\r\n"
SMALL = Limits(size=1000, seconds=5.0, redirects=3)
HASTY = Limits(size=10_000_000, seconds=0.5)


def failure(fetcher: Fetcher, url: str, limits: Limits = SMALL) -> FetchFailed:
    with pytest.raises(FetchFailed) as failed:
        fetch(fetcher, url, at=NOON, limits=limits)
    return failed.value


def test_a_body_comes_with_its_validators(site: Site) -> None:
    url = site.serve("/feed", Answer(b"hello", headers={"ETag": '"1"'}))

    fetched = fetch(site.fetcher(), url, at=NOON)

    assert fetched.body == b"hello"
    assert fetched.validators == Validators('"1"', None)
    assert fetched.moved_to is None


def test_it_says_who_asks(site: Site) -> None:
    fetch(site.fetcher(), site.serve("/", b"x"), at=NOON)

    assert site.asked[0].headers["user-agent"] == "Hamkhan/test"
    assert site.asked[0].headers["from"] == "library@localhost"


def test_an_unchanged_body_is_not_sent_again(site: Site) -> None:
    def page(asked: Asked) -> Answer:
        same = asked.headers.get("if-none-match") == '"1"'
        return Answer(status=304) if same else Answer(b"hello")

    url = site.serve("/feed", page)

    assert (
        fetch(site.fetcher(), url, at=NOON, validators=Validators('"1"')).body is None
    )


@pytest.mark.parametrize(
    ("encoding", "encode"),
    [
        ("gzip", gzip.compress),
        ("deflate", zlib.compress),
        ("br", brotli.compress),
        ("", bytes),
    ],
)
def test_encodings_are_undone(
    site: Site, encoding: str, encode: Callable[[bytes], bytes]
) -> None:
    headers = {"Content-Encoding": encoding}
    url = site.serve("/", Answer(encode(b"hello" * 50), headers=headers))

    assert fetch(site.fetcher(), url, at=NOON).body == b"hello" * 50


def test_raw_deflate_is_undone_too(site: Site) -> None:
    squeeze = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    body = squeeze.compress(b"hello" * 50) + squeeze.flush()
    url = site.serve("/", Answer(body, headers={"Content-Encoding": "deflate"}))

    assert fetch(site.fetcher(), url, at=NOON).body == b"hello" * 50


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(Answer(b"x" * 1001), id="plain"),
        pytest.param(
            Answer(gzip.compress(bytes(10**7)), headers={"Content-Encoding": "gzip"}),
            id="gzip bomb",
        ),
        pytest.param(
            Answer(brotli.compress(bytes(10**7)), headers={"Content-Encoding": "br"}),
            id="brotli bomb",
        ),
    ],
)
def test_a_body_beyond_the_cap_is_dropped(site: Site, answer: Answer) -> None:
    assert failure(site.fetcher(), site.serve("/", answer)).cause == "too_large"


@pytest.mark.parametrize("encoding", ["gzip, gzip", "zstd", "compress"])
def test_an_encoding_we_did_not_ask_for_is_refused(site: Site, encoding: str) -> None:
    url = site.serve("/", Answer(b"x", headers={"Content-Encoding": encoding}))

    assert failure(site.fetcher(), url).cause == "encoding"


@pytest.mark.parametrize(
    ("status", "cause"), [(404, "status"), (410, "gone"), (500, "status")]
)
def test_a_status_that_is_no_success_fails(site: Site, status: int, cause: str) -> None:
    url = site.serve("/", Answer(status=status))

    assert failure(site.fetcher(), url).cause == cause


def test_retry_after_comes_along(site: Site) -> None:
    url = site.serve("/", Answer(status=429, headers={"Retry-After": "600"}))

    assert failure(site.fetcher(), url).retry_after == 600


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("120", 120),
        ("9999999999999", 24 * 3600),
        ("Sun, 01 Mar 2026 12:10:00 GMT", 600),
        ("Sun, 01 Mar 2020 12:10:00 GMT", 0),
        ("soon", None),
        ("-5", None),
        ("", None),
    ],
)
def test_retry_after_is_read(header: str, seconds: int | None) -> None:
    at = datetime(2026, 3, 1, 12, tzinfo=UTC)

    assert retry_after(header, at) == seconds


def test_redirects_are_followed_and_a_permanent_one_told(site: Site) -> None:
    site.serve("/new", b"here")
    url = site.serve("/old", Answer(status=301, headers={"Location": "/new"}))

    fetched = fetch(site.fetcher(), url, at=NOON)

    assert fetched.body == b"here"
    assert fetched.moved_to == site.url + "/new"


def test_one_temporary_redirect_makes_the_move_temporary(site: Site) -> None:
    site.serve("/c", b"here")
    site.serve("/b", Answer(status=302, headers={"Location": "/c"}))
    url = site.serve("/a", Answer(status=301, headers={"Location": "/b"}))

    assert fetch(site.fetcher(), url, at=NOON).moved_to is None


def test_a_redirect_loop_ends(site: Site) -> None:
    url = site.serve("/a", Answer(status=302, headers={"Location": "/a"}))

    assert failure(site.fetcher(), url).cause == "redirect"
    assert len(site.asked) == SMALL.redirects + 1


@pytest.mark.parametrize(
    "target",
    [
        "http://169.254.169.254/latest",
        "http://[::1]:1/",
        "http://10.0.0.1/",
        "ftp://x/",
    ],
)
def test_a_redirect_to_a_refused_address_goes_nowhere(site: Site, target: str) -> None:
    url = site.serve("/", Answer(status=302, headers={"Location": target}))

    assert failure(site.fetcher(), url).cause == "not_allowed"


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1",
        "localhost",
        "2130706433",
        "0x7f000001",
        "0177.0.0.1",
        "127.1",
        "[::1]",
        "[::ffff:127.0.0.1]",
        "[64:ff9b::7f00:1]",
        "[2002:7f00:1::]",
        "10.0.0.1",
        "169.254.169.254",
    ],
)
def test_private_hosts_are_refused_in_any_spelling(site: Site, host: str) -> None:
    port = site.place.rpartition(":")[2]
    nobody = Fetcher("Hamkhan/test", "library@localhost")

    assert failure(nobody, f"http://{host}:{port}/").cause == "not_allowed"
    assert site.asked == []


def test_the_allowance_is_for_that_host_and_port_alone(site: Site) -> None:
    elsewhere = replace(site.fetcher(), allow=("127.0.0.1:1",))

    assert failure(elsewhere, site.serve("/", b"x")).cause == "not_allowed"


def answers(*rounds: Sequence[str]) -> Callable[[str, int], Sequence[str]]:
    left = list(rounds)
    return lambda *_: left.pop(0)


@pytest.mark.parametrize(
    "addresses",
    [["127.0.0.1"], ["8.8.8.8", "127.0.0.1"], ["::ffff:127.0.0.1"], ["fe80::1"]],
)
def test_a_name_with_a_bad_address_is_refused(addresses: list[str]) -> None:
    fetcher = Fetcher("Hamkhan/test", "l@localhost", resolver=answers(addresses))

    assert failure(fetcher, "http://books.test/").cause == "not_allowed"


def test_a_name_is_asked_for_once_and_what_was_judged_is_connected_to(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A name server that answers differently the second time gains nothing."""
    port = int(site.place.rpartition(":")[2])
    resolver = answers(["127.0.0.1"], ["169.254.169.254"])
    fetcher = Fetcher(
        "Hamkhan/test", "l@localhost", allow=(f"books.test:{port}",), resolver=resolver
    )
    site.serve("/", b"here")

    assert fetch(fetcher, f"http://books.test:{port}/", at=NOON).body == b"here"
    assert failure(fetcher, f"http://other.test:{port}/").cause == "not_allowed"


def test_an_unknown_name_is_named_so() -> None:
    def unknown(host: str, port: int) -> Sequence[str]:
        raise OSError("no such host")

    fetcher = Fetcher("Hamkhan/test", "l@localhost", resolver=unknown)

    assert failure(fetcher, "http://nowhere.test/").cause == "dns"


def test_a_name_server_that_never_answers_costs_the_deadline_only() -> None:
    def asleep(host: str, port: int) -> Sequence[str]:
        time.sleep(2)
        return []

    fetcher = Fetcher("Hamkhan/test", "l@localhost", resolver=asleep)
    begun = time.monotonic()

    failure(fetcher, "http://slow.test/", HASTY)

    assert time.monotonic() - begun < HASTY.seconds + 1


def drip(line: bytes) -> Callable[[Any], None]:
    def write(connection: Any) -> None:
        connection.write(line)
        for _ in range(60):
            connection.write(b"x")
            connection.flush()
            time.sleep(0.05)

    return write


@pytest.mark.parametrize(
    "line",
    [
        pytest.param(b"HTTP/1.1 200 OK\r\nX-A: ", id="headers"),
        pytest.param(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n", id="body"),
    ],
)
def test_a_drip_ends_at_the_deadline(site: Site, line: bytes) -> None:
    url = site.serve("/", Answer(write=drip(line)))
    begun = time.monotonic()

    assert failure(site.fetcher(), url, HASTY).cause == "timeout"
    assert time.monotonic() - begun < HASTY.seconds + 1


@pytest.mark.parametrize(
    "raw",
    [
        pytest.param(
            b"HTTP/1.1 200 OK\r\n" + b"X-A: b\r\n" * 50_000, id="header flood"
        ),
        pytest.param(
            b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\nx", id="short body"
        ),
        pytest.param(b"nonsense\r\n\r\n", id="no HTTP"),
        pytest.param(b"", id="nothing"),
        pytest.param(OK + b"Content-Encoding: gzip\r\n\r\nnot gzip", id="no gzip"),
    ],
)
def test_a_broken_answer_is_named_so(site: Site, raw: bytes) -> None:
    url = site.serve("/", Answer(write=lambda connection: connection.write(raw)))

    assert failure(site.fetcher(), url).cause == "encoding"


def test_a_redirect_never_leaves_tls() -> None:
    with pytest.raises(FetchFailed, match="https to http"):
        fetching._checked("http://books.test/", "https://books.test/")


def test_what_is_posted_goes_to_its_address_alone(site: Site) -> None:
    site.serve("/taken", Answer(b"thanks"))
    site.serve("/moved", Answer(status=307, headers={"Location": "/taken"}))

    def send(path: str) -> bytes:
        return fetching.post(
            site.fetcher(), site.url + path, b"body", headers={"X": "y"}, at=NOON
        )

    assert send("/taken") == b"thanks"
    assert (site.asked[0].body, site.asked[0].headers["x"]) == (b"body", "y")
    with pytest.raises(FetchFailed, match="307"):
        send("/moved")
    assert [asked.path for asked in site.asked] == ["/taken", "/moved"]


def test_credentials_stay_with_their_host(site: Site) -> None:
    from tests import loopback  # noqa: PLC0415 -- a second site, here alone

    with loopback.site() as other:
        other.serve("/", b"there")
        url = site.serve("/", Answer(status=302, headers={"Location": other.url + "/"}))
        both = replace(site.fetcher(), allow=(site.place, other.place))
        fetch(both, url, at=NOON, headers={"Authorization": "Bearer x"})

        assert site.asked[0].headers["authorization"] == "Bearer x"
        assert "authorization" not in other.asked[0].headers


def test_credentials_in_an_address_are_not_sent(site: Site) -> None:
    site.serve("/", b"x")
    fetch(site.fetcher(), f"http://me:secret@{site.place}/", at=NOON)

    assert "authorization" not in site.asked[0].headers


@pytest.mark.parametrize("url", ["file:///etc/passwd", "gopher://x/", "http://", "x"])
def test_only_http_is_fetched(site: Site, url: str) -> None:
    assert failure(site.fetcher(), url).cause in {"not_allowed", "redirect"}


def test_the_private_name_that_the_guard_hangs_on_is_there() -> None:
    with httpx2.HTTPTransport() as transport:
        assert hasattr(transport._pool, "_network_backend")
