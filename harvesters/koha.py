"""Koha's REST API: records, and rows of patrons, checkouts and holds.

As its description has it (Koha 22.11 and later): OAuth2 client credentials or Basic,
pages by `_page` and `_per_page`, records as MARCXML. It tells of no deleted record.
"""

import io
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import urlencode

from harvesters.fetching.logins import Login, basic
from harvesters.fetching.patience import fetch_patiently
from harvesters.formats.marc import record_of
from harvesters.formats.marcxml import fields_of
from harvesters.formats.xml import elements
from harvesters.records import Harvested, short_ref
from library.errors import FetchFailed, InvalidInput, MalformedRecord
from library.fetching.fetch import Fetcher, post

PER_PAGE = 100
_ROOT = "/api/v1"
_UNAUTHORIZED = 401


@dataclass
class Koha:
    """One library system, and our way in."""

    fetcher: Fetcher
    base: str
    login: Login
    at: datetime
    basic_only: bool = False
    _token: str = ""

    @classmethod
    def of(
        cls,
        fetcher: Fetcher,
        url: str,
        login: Login | None,
        settings: Mapping[str, Any],
        *,
        at: datetime,
    ) -> "Koha":
        """Return the system at an address, with or without its `/api/v1`.

        Raises:
            InvalidInput: The source has no login.
        """
        if login is None:
            raise InvalidInput("a Koha source needs a login: `hamkhan source login`")
        base = url.rstrip("/")
        base = base if _ROOT in base else base + _ROOT
        return cls(fetcher, base, login, at, settings.get("auth") == "basic")

    def biblios(self, *, since: str | None, page: int) -> bytes:
        """Return a page of records as MARCXML.

        Args:
            since: ISO moment; only what changed after it.
            page: From 1 on.
        """
        query = {"_page": page, "_per_page": PER_PAGE, "_order_by": "biblio_id"}
        if since:
            query["q"] = json.dumps({"timestamp": {">": since}})
        return self._get("/biblios", query, accept="application/marcxml+xml")

    def rows(
        self, path: str, *, embed: str = "", **query: object
    ) -> Iterator[dict[str, Any]]:
        """Yield the objects of a list, all pages of it.

        Raises:
            MalformedRecord: What came is no list of objects.
        """
        page = 1
        while True:
            asked = {"_page": page, "_per_page": PER_PAGE, **query}
            found = _objects(self._get(path, asked, embed=embed))
            yield from found
            if len(found) < PER_PAGE:
                return
            page += 1

    def _get(
        self,
        path: str,
        query: Mapping[str, object],
        *,
        accept: str = "application/json",
        embed: str = "",
    ) -> bytes:
        headers = {"Accept": accept, **({"x-koha-embed": embed} if embed else {})}
        url = f"{self.base}{path}?{urlencode(query)}"
        for again in (False, True):
            signed = {**headers, **self._authorization()}
            try:
                found = fetch_patiently(self.fetcher, url, at=self.at, headers=signed)
            except FetchFailed as error:
                if error.status != _UNAUTHORIZED or again or self.basic_only:
                    raise
                self._token = ""  # it ends after an hour, and a harvest may not
            else:
                return found.body or b""
        raise AssertionError("the second try returns or raises")

    def _authorization(self) -> dict[str, str]:
        if self.basic_only:
            return basic(self.login)
        if not self._token:
            self._token = self._new_token()
        return {"Authorization": f"Bearer {self._token}"}

    def _new_token(self) -> str:
        form = {
            "grant_type": "client_credentials",
            "client_id": self.login.user,
            "client_secret": self.login.password,
        }
        answer = post(
            self.fetcher,
            f"{self.base}/oauth/token",
            urlencode(form).encode(),
            headers={"Content-Type": "application/x-www-form-urlencoded"},
            at=self.at,
        )
        token = _json(answer)
        if not isinstance(token, dict) or not isinstance(
            token.get("access_token"), str
        ):
            raise MalformedRecord("no access token in Koha's answer")
        return str(token["access_token"])


def parse_biblios(body: bytes) -> Iterator[Harvested]:
    """Yield one record per record of a page, known by its biblio number.

    Raises:
        MalformedRecord: It is no MARCXML.
    """
    for number, element in enumerate(elements(io.BytesIO(body), "record"), 1):
        fields = fields_of(element)
        ref = fields.value("c", "999") or fields.control("001")
        yield record_of(fields, place=f"record {number}", ref=short_ref(ref.strip()))


def _objects(body: bytes) -> list[dict[str, Any]]:
    found = _json(body)
    if not isinstance(found, list) or not all(isinstance(one, dict) for one in found):
        raise MalformedRecord("Koha's answer is no list of objects")
    return found


def _json(body: bytes) -> object:
    try:
        return json.loads(body)
    except (ValueError, RecursionError) as error:
        raise MalformedRecord(f"Koha's answer is no JSON: {error}") from error
