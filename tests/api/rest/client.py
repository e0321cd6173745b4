"""A caller of the API with a key of its own."""

from collections.abc import Sequence
from json import dumps
from typing import Any

from flask import Flask
from sqlalchemy import select
from sqlalchemy.orm import Session
from werkzeug.test import TestResponse

from library.clock import utc_now
from library.db import Sessions
from library.staff import SCOPES, create_staff, issue_key
from library.tables import Staff

ROOT = "/api/v1"


class ApiClient:
    """Calls the API; what comes back is the framework's test response."""

    def __init__(self, app: Flask, key: str | None) -> None:
        self.app = app
        self._client = app.test_client()
        self.key = key

    def __call__(
        self,
        method: str,
        path: str,
        *,
        headers: dict[str, str] | None = None,
        json: object = None,
        **how: Any,
    ) -> TestResponse:
        """Call `path` below /api/v1, or a whole path from a Link."""
        sent = dict(headers or {})
        if json is not None:
            how |= {"data": dumps(json), "content_type": "application/json"}
        if self.key is not None:
            sent.setdefault("Authorization", f"Bearer {self.key}")
        whole = path if path.startswith(ROOT) else ROOT + path
        return self._client.open(whole, method=method, headers=sent, **how)

    def get(self, path: str, **how: Any) -> TestResponse:
        """GET."""
        return self("GET", path, **how)

    def post(self, path: str, json: object = None, **how: Any) -> TestResponse:
        """POST."""
        return self("POST", path, json=json, **how)

    def put(self, path: str, json: object = None, **how: Any) -> TestResponse:
        """PUT."""
        return self("PUT", path, json=json, **how)

    def delete(self, path: str, **how: Any) -> TestResponse:
        """DELETE."""
        return self("DELETE", path, **how)


def key_of(
    sessions: Sessions,
    *,
    scopes: Sequence[str] = tuple(SCOPES),
    branch_id: int | None = None,
) -> str:
    """Make a key of a librarian, of one branch or of all."""
    with sessions.begin() as session:
        staff = _librarian(session, branch_id)
        _, shown = issue_key(session, staff.id, "test", scopes, at=utc_now())
    return shown


def _librarian(session: Session, branch_id: int | None) -> Staff:
    email = f"librarian-{branch_id or 0}@x.test"
    found = session.scalar(select(Staff).where(Staff.email == email))
    return found or create_staff(
        session, email, "Librarian", branch_id=branch_id, at=utc_now()
    )
