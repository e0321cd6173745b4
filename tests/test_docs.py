"""What the docs say of the code is held true here."""

import re
from dataclasses import fields
from pathlib import Path

from library.settings import PREFIX, Settings

DOCS = Path(__file__).parents[1] / "docs"


def test_every_setting_is_documented_and_no_other() -> None:
    told = re.findall(
        rf"^\| `({PREFIX}\w+)`",
        (DOCS / "settings.md").read_text(encoding="utf-8"),
        re.MULTILINE,
    )

    assert told == [PREFIX + field.name.upper() for field in fields(Settings)]
