"""How a list is asked for and answered."""

from collections.abc import Callable
from typing import Any, TypeVar

from flask import request
from pydantic import BaseModel
from sqlalchemy import Select
from sqlalchemy.orm import InstrumentedAttribute, Session

from api.context import settings
from api.rest.protocol.paging import Asked, Page, PageIn, page_of

T = TypeVar("T")
_PAGE = frozenset(PageIn.model_fields)


def listed(
    session: Session,
    rows: Select[T],
    by: InstrumentedAttribute[int],
    asked: PageIn,
    shown: Callable[[T], BaseModel],
    *,
    newest_first: bool = False,
) -> tuple[dict[str, Any], int, dict[str, str]]:
    """Answer one page of a list, each row as `shown` makes it."""
    page = asked_page(session, rows, by, asked, newest_first=newest_first)
    return {"items": [shown(row) for row in page.items]}, 200, dict(page.headers)


def asked_page(
    session: Session,
    rows: Select[T],
    by: InstrumentedAttribute[int],
    asked: PageIn,
    *,
    newest_first: bool = False,
) -> Page[T]:
    """Read the page of a list that this request asks for."""
    given = asked.model_dump(mode="json", exclude_defaults=True)
    filters = {name: str(value) for name, value in given.items() if name not in _PAGE}
    what = Asked(settings().secret, request.path, filters, asked)
    return page_of(session, rows, by, what, newest_first=newest_first)
