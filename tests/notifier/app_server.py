"""The server behind a library's own app: it checks signatures, and keeps calls."""

import base64
import hashlib
import hmac
import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

from library.settings import Settings
from library.webhooks import Use, secret_of
from tests import loopback
from tests.loopback import Answer, Asked, Site

TOLERANCE = 5 * 60


@dataclass
class AppServer:
    """Takes what is signed rightly and lately, once it has given its `answers`."""

    site: Site
    settings: Settings
    calls: list[tuple[str, Any]] = field(default_factory=list)
    """Ids and bodies, each time one came."""
    answers: list[Answer] = field(default_factory=list)
    up: bool = True

    @property
    def taken(self) -> dict[str, Any]:
        """By id: the same again is the same."""
        return dict(self.calls)

    def take(self, asked: Asked) -> Answer:
        if not self.up:
            return Answer(status=503)
        if self.answers:
            return self.answers.pop(0)
        if not self._is_right(asked):
            return Answer(status=401)
        self.calls.append((asked.headers["webhook-id"], json.loads(asked.body)))
        return Answer(status=204)

    def _is_right(self, asked: Asked) -> bool:
        call_id = asked.headers["webhook-id"]
        seconds = asked.headers["webhook-timestamp"]
        secret = secret_of(self.settings, Use.APP).removeprefix("whsec_")
        signed = f"{call_id}.{seconds}.".encode() + asked.body
        digest = hmac.new(base64.b64decode(secret), signed, hashlib.sha256).digest()
        expected = "v1," + base64.b64encode(digest).decode()
        lately = abs(time.time() - int(seconds)) <= TOLERANCE
        return lately and expected in asked.headers["webhook-signature"].split()


@contextmanager
def app_server(settings: Settings) -> Iterator[AppServer]:
    """Run an app's server, and have digests posted there."""
    with loopback.site() as site:
        told = replace(
            settings, app_url=site.url + "/hamkhan", fetch_allow=(site.place,)
        )
        server = AppServer(site, told)
        site.serve("/hamkhan", server.take)
        yield server
