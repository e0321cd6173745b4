"""Lists by the page: a limit, and a signed cursor that says where to go on.

A cursor holds the last row seen, not a page number: rows that come or go meanwhile
neither repeat nor hide others. It is good for the list and filters it was made for.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Generic, TypeVar
from urllib.parse import urlencode

from itsdangerous import BadData, URLSafeSerializer
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy import Select, func, select
from sqlalchemy.orm import InstrumentedAttribute, Session

from library.errors import InvalidInput

T = TypeVar("T")
MOST: Final = 100
_ONWARD, _BACK = "n", "p"


class PageIn(BaseModel):
    """Which part of a list is asked for."""

    model_config = ConfigDict(extra="forbid")

    limit: int = Field(default=20, ge=1, le=MOST)
    after: str | None = Field(
        default=None,
        max_length=500,
        description="A cursor from a Link header of this list.",
    )
    count: bool = Field(
        default=False, description="Tell how many there are, in X-Total-Count."
    )


@dataclass(frozen=True)
class Asked:
    """One request for a page: of which list, how much, from where."""

    secret: str
    path: str
    filters: Mapping[str, str]
    page: PageIn


@dataclass(frozen=True)
class Page(Generic[T]):
    """A part of a list."""

    items: Sequence[T]
    headers: Mapping[str, str] = field(default_factory=dict)
    """Link, and X-Total-Count where it was asked for."""


def page_of(
    session: Session,
    rows: Select[T],
    by: InstrumentedAttribute[int],
    asked: Asked,
    *,
    newest_first: bool = False,
) -> Page[T]:
    """Read one page.

    Args:
        session: Any transaction.
        rows: The whole list, without an order.
        by: A unique column that gives the order.
        asked: Which page.
        newest_first: Falling instead of rising.

    Raises:
        InvalidInput: The cursor is none of this list's.
    """
    way, last = _read(asked) if asked.page.after else (_ONWARD, None)
    limit = asked.page.limit
    rising = newest_first is (way == _BACK)
    part = rows.order_by(by if rising else by.desc()).limit(limit + 1)
    if last is not None:
        part = part.where(by > last if rising else by < last)
    found = list(session.scalars(part))
    more = len(found) > limit
    shown = found[:limit] if way == _ONWARD else found[:limit][::-1]
    ends = [getattr(row, by.key) for row in (*shown[:1], *shown[-1:])]
    onward = more if way == _ONWARD else last is not None
    back = more if way == _BACK else last is not None
    headers = _links(asked, ends, onward=onward, back=back)
    if asked.page.count:
        whole = select(func.count()).select_from(rows.order_by(None).subquery())
        headers["X-Total-Count"] = str(session.scalar(whole))
    return Page(shown, headers)


def _links(
    asked: Asked, ends: Sequence[int], *, onward: bool, back: bool
) -> dict[str, str]:
    if not ends:
        return {}
    links = []
    if onward:
        links.append(f'<{_address(asked, _ONWARD, ends[-1])}>; rel="next"')
    if back:
        links.append(f'<{_address(asked, _BACK, ends[0])}>; rel="prev"')
    return {"Link": ", ".join(links)} if links else {}


def _address(asked: Asked, way: str, last: int) -> str:
    cursor = _signer(asked).dumps([way, last])
    given = {**asked.filters, "limit": str(asked.page.limit), "after": cursor}
    return f"{asked.path}?{urlencode(given)}"


def _read(asked: Asked) -> tuple[str, int]:
    try:
        way, last = _signer(asked).loads(asked.page.after or "")
    except BadData as error:
        raise InvalidInput("this cursor is none of this list's", field="after") from (
            error
        )
    return str(way), int(last)


def _signer(asked: Asked) -> URLSafeSerializer:
    filters = urlencode(sorted(asked.filters.items()))
    return URLSafeSerializer(asked.secret, salt=f"cursor {asked.path}?{filters}")
