from collections.abc import Iterator
from urllib.parse import parse_qs, urlsplit

import pytest
from sqlalchemy import select
from werkzeug.http import parse_options_header

from api.rest.protocol.paging import Asked, Page, PageIn, page_of
from library.db import Sessions, reading
from library.errors import InvalidInput
from library.tables import Work
from tests.factories import make_work

SECRET = "a secret for tests only"


@pytest.fixture
def works(sessions: Sessions) -> list[int]:
    with sessions.begin() as session:
        return [make_work(session, f"W{n}").id for n in range(7)]


def _page(
    sessions: Sessions,
    address: str | None = None,
    *,
    newest_first: bool = False,
    limit: int = 3,
    count: bool = False,
) -> Page[Work]:
    given = parse_qs(urlsplit(address or "").query)
    after = given["after"][0] if address else None
    asked = Asked(SECRET, "/works", {}, PageIn(limit=limit, after=after, count=count))
    with reading(sessions) as session:
        return page_of(session, select(Work), Work.id, asked, newest_first=newest_first)


def _link(page: Page[Work], rel: str) -> str | None:
    for link in page.headers.get("Link", "").split(", "):
        address, options = parse_options_header(link)
        if options.get("rel") == rel:
            return address.strip("<>")
    return None


def _walk(
    sessions: Sessions, page: Page[Work], rel: str, *, newest_first: bool
) -> Iterator[list[int]]:
    yield [work.id for work in page.items]
    while address := _link(page, rel):
        page = _page(sessions, address, newest_first=newest_first)
        yield [work.id for work in page.items]


@pytest.mark.parametrize("newest_first", [False, True])
def test_going_on_shows_all_once_and_going_back_the_same_pages(
    sessions: Sessions, works: list[int], newest_first: bool
) -> None:
    ordered = works[::-1] if newest_first else works
    expected = [ordered[:3], ordered[3:6], ordered[6:]]
    first = _page(sessions, newest_first=newest_first)
    assert _link(first, "prev") is None

    assert list(_walk(sessions, first, "next", newest_first=newest_first)) == expected

    last = first
    while address := _link(last, "next"):
        last = _page(sessions, address, newest_first=newest_first)
    back = list(_walk(sessions, last, "prev", newest_first=newest_first))
    assert back == expected[::-1]


def test_rows_that_come_and_go_meanwhile_repeat_and_hide_nothing(
    sessions: Sessions, works: list[int]
) -> None:
    first = _page(sessions)
    with sessions.begin() as session:
        session.delete(session.get_one(Work, works[1]))
        make_work(session, "late")

    later = [
        i for part in _walk(sessions, first, "next", newest_first=False) for i in part
    ]
    assert later[3:-1] == works[3:]


def test_an_empty_list_has_no_links(sessions: Sessions) -> None:
    page = _page(sessions, count=True)
    assert (list(page.items), page.headers) == ([], {"X-Total-Count": "0"})


def test_the_total_is_told_only_when_asked_for(
    sessions: Sessions, works: list[int]
) -> None:
    assert "X-Total-Count" not in _page(sessions).headers
    assert _page(sessions, count=True).headers["X-Total-Count"] == "7"


@pytest.mark.parametrize(
    ("secret", "path", "filters"),
    [
        pytest.param("other", "/works", {}, id="signed by another"),
        pytest.param(SECRET, "/rules", {}, id="of another list"),
        pytest.param(SECRET, "/works", {"q": "x"}, id="of other filters"),
    ],
)
def test_a_cursor_is_good_for_its_own_list_alone(
    sessions: Sessions,
    works: list[int],
    secret: str,
    path: str,
    filters: dict[str, str],
) -> None:
    address = _link(_page(sessions), "next") or ""
    cursor = parse_qs(urlsplit(address).query)["after"][0]
    with reading(sessions) as session, pytest.raises(InvalidInput) as raised:
        page_of(
            session,
            select(Work),
            Work.id,
            Asked(secret, path, filters, PageIn(after=cursor)),
        )
    assert raised.value.field == "after"
