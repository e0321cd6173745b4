"""Every example of docs/api.md is run, in its order."""

import re
import shlex
from dataclasses import dataclass, field
from pathlib import Path
from string import Template

import pytest
from werkzeug.test import TestResponse

from library.db import Sessions
from tests.api.rest.client import ApiClient
from tests.factories import ada, make_alert, make_work

PAGE = Path(__file__).parents[3] / "docs" / "api.md"
ROOT = "http://library.test/api/v1"
_PROFILE = re.compile(r"/interest-profiles/(\d+)$")


@dataclass
class Example:
    """A call as curl is told of it, and the status it must answer with."""

    status: int
    url: str = ""
    method: str = ""
    headers: dict[str, str] = field(default_factory=dict)
    body: str | None = None


def _commands() -> list[tuple[str, int]]:
    """Return each curl command of the page with its status."""
    found = []
    for block in re.findall(r"```sh\n(.*?)```", PAGE.read_text("utf-8"), re.DOTALL):
        joined = block.replace("\\\n", " ")
        pairs = re.findall(r"(curl .*?)\n# (\d{3})\n", joined, re.DOTALL)
        assert len(pairs) == block.count("curl "), f"an example without status: {block}"
        found += [(command, int(status)) for command, status in pairs]
    return found


def _read(command: str, status: int, values: dict[str, str]) -> Example:
    example = Example(status)
    words = iter(shlex.split(Template(command).substitute(values))[1:])
    for word in words:
        if word == "-X":
            example.method = next(words)
        elif word == "-H":
            name, _, value = next(words).partition(": ")
            example.headers[name] = value
        elif word == "-d":
            example.body = next(words)
        elif word == "-o":
            next(words)
        else:
            assert not word.startswith("-"), f"{word}: teach this test that option"
            example.url = word
    example.method = example.method or ("POST" if example.body else "GET")
    return example


def _run(api: ApiClient, example: Example) -> TestResponse:
    path = example.url.removeprefix(ROOT)
    data = {"data": example.body.encode()} if example.body else {}
    return api(example.method, path, headers=example.headers, **data)


@pytest.fixture
def values(sessions: Sessions, api: ApiClient) -> dict[str, str]:
    with sessions.begin() as session:
        patron, work = ada(session), make_work(session, "کتابداری نوین", language="per")
        alert = make_alert(session, patron, work)
        return {
            "HAMKHAN": ROOT,
            "KEY": api.key or "",
            "WORK": str(work.id),
            "PATRON": str(patron.id),
            "ALERT": str(alert.id),
        }


def test_every_example_answers_as_it_says(
    api: ApiClient, values: dict[str, str]
) -> None:
    nobody = ApiClient(api.app, None)
    commands = _commands()
    assert len(commands) > 20
    for command, status in commands:
        example = _read(command, status, values)
        answer = _run(nobody, example)
        assert answer.status_code == example.status, (command, answer.get_data())
        if answer.status_code < 300 and "ETag" in answer.headers:
            values["ETAG"] = answer.headers["ETag"]
        made = _PROFILE.search(answer.headers.get("Location", ""))
        if made:
            values["PROFILE"] = made[1]
