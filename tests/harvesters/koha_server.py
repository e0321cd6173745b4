"""A Koha on loopback, as far as its REST API's description goes."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl

from harvesters.fetching.logins import Login, basic
from tests.loopback import Answer, Asked, Site

CLIENT = Login("client", "a client's secret")
COLLECTION = (
    '<?xml version="1.0"?><collection xmlns="http://www.loc.gov/MARC21/slim">{}'
    "</collection>"
)
RECORD = (
    "<record><leader>00000nam a2200000 a 4500</leader><controlfield tag='001'>c{0}"
    "</controlfield><datafield tag='245' ind1='1' ind2='0'><subfield code='a'>{1}"
    "</subfield></datafield><datafield tag='999' ind1=' ' ind2=' '><subfield code='c'>"
    "{0}</subfield></datafield></record>"
)


@dataclass
class KohaServer:
    """Answers as Koha; a token is good for so many requests."""

    biblios: dict[int, tuple[str, str]]
    """Number to title and timestamp."""
    patrons: list[dict[str, Any]] = field(default_factory=list)
    checkouts: list[dict[str, Any]] = field(default_factory=list)
    holds: list[dict[str, Any]] = field(default_factory=list)
    good_for: int = 1000
    asked: list[Asked] = field(default_factory=list)
    tokens: int = 0
    _left: int = 0

    def serve(self, site: Site) -> str:
        """Answer below /api/v1 of the site; return the system's address."""
        for path in ("oauth/token", "biblios", "patrons", "checkouts", "holds"):
            site.serve(f"/api/v1/{path}", self)
        return site.url

    def paths(self) -> list[str]:
        """What was asked for, by path and query, tokens left out."""
        told = [f"{one.path.rpartition('/')[2]}?{one.query}" for one in self.asked]
        return [path for path in told if not path.startswith("token")]

    def __call__(self, asked: Asked) -> Answer:
        self.asked.append(asked)
        name = asked.path.removeprefix("/api/v1/")
        if name == "oauth/token":
            return self._token(asked)
        if not self._is_let_in(asked.headers):
            return _json({"error": "Authentication failure."}, status=401)
        query = dict(parse_qsl(asked.query))
        if name == "biblios":
            return self._biblios(asked, query)
        rows: list[dict[str, Any]] = getattr(self, name)
        if "patron_id" in query:
            rows = [row for row in rows if str(row["patron_id"]) == query["patron_id"]]
        if "checked_in" in query:
            back = query["checked_in"] == "true"
            rows = [row for row in rows if (row["checkin_date"] is not None) == back]
        if "item" not in asked.headers.get("x-koha-embed", ""):
            rows = [{k: v for k, v in row.items() if k != "item"} for row in rows]
        return _json(_page(rows, query))

    def _token(self, asked: Asked) -> Answer:
        form = dict(parse_qsl(asked.body.decode()))
        wanted = {
            "grant_type": "client_credentials",
            "client_id": CLIENT.user,
            "client_secret": CLIENT.password,
        }
        if form != wanted:
            return _json({"error": "Invalid client"}, status=403)
        self.tokens += 1
        self._left = self.good_for
        token = {"access_token": f"t{self.tokens}", "token_type": "Bearer"}
        return _json({**token, "expires_in": 3600})

    def _is_let_in(self, headers: Mapping[str, str]) -> bool:
        told = headers.get("authorization")
        if told == basic(CLIENT)["Authorization"]:
            return True
        self._left -= 1
        return told == f"Bearer t{self.tokens}" and self._left >= 0

    def _biblios(self, asked: Asked, query: dict[str, str]) -> Answer:
        if asked.headers["accept"] != "application/marcxml+xml":
            return Answer(status=406)
        since = json.loads(query.get("q", "{}")).get("timestamp", {}).get(">", "")
        found = [
            RECORD.format(number, title)
            for number, (title, stamp) in sorted(self.biblios.items())
            if stamp > since
        ]
        return Answer(COLLECTION.format("".join(_page(found, query))).encode())


def _page(rows: list[Any], query: dict[str, str]) -> list[Any]:
    size = int(query["_per_page"])
    start = (int(query["_page"]) - 1) * size
    return rows[start : start + size]


def _json(value: object, *, status: int = 200) -> Answer:
    return Answer(json.dumps(value).encode(), status)
