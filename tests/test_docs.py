"""What the docs say of the code is held true here."""

import re
from dataclasses import fields
from pathlib import Path

from library.settings import PREFIX, Settings

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
PROMISES = [f"DL{n}" for n in range(1, 30)] + [f"QU{n}" for n in range(1, 9)]


def test_every_setting_is_documented_and_no_other() -> None:
    told = re.findall(
        rf"^\| `({PREFIX}\w+)`",
        (DOCS / "settings.md").read_text(encoding="utf-8"),
        re.MULTILINE,
    )

    assert told == [PREFIX + field.name.upper() for field in fields(Settings)]


def test_every_promise_names_tests_and_each_is_there() -> None:
    page = (DOCS / "promises.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| ([A-Z]+\d+) \|.*\| (.+) \|$", page, re.MULTILINE)

    assert [name for name, _ in rows] == PROMISES
    for name, tests in rows:
        named = re.findall(r"`(tests/[\w/]+\.py)::(test_\w+)`", tests)
        assert named, name
        for path, test in named:
            code = (ROOT / path).read_text(encoding="utf-8")
            assert f"def {test}(" in code, f"{name}: {path}::{test}"
