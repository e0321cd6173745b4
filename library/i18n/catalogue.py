"""Which messages our code and templates use, and what a catalogue lacks.

`python -m library.i18n.catalogue` brings every catalogue up to date: new messages come
in without a translation (a test then asks for one), unused ones go.
"""

import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from babel.messages import Catalog
from babel.messages.extract import extract
from babel.messages.pofile import read_po, write_po

from library.i18n.messages import CATALOGUES

PACKAGES = ("api", "harvesters", "library", "notifier", "profiles", "recommender")
_TEMPLATE_ENDINGS = frozenset({".html", ".txt", ".xml", ".j2", ".jinja"})
# In Python the locale is the first argument.
_IN_PYTHON = {"_": None, "gettext": (2,), "ngettext": (2, 3)}
_IN_TEMPLATES = {"_": None, "gettext": None, "ngettext": (1, 2)}
_PLACEHOLDER = re.compile(r"%\((\w+)\)[sd]")

MessageId = str | tuple[str, ...]


class Use(NamedTuple):
    """A message at a place in the code."""

    file: str
    line: int
    message: MessageId


def uses(root: Path) -> Iterator[Use]:
    """Yield every message of the packages under `root`, by file and line."""
    for package in PACKAGES:
        for path in sorted((root / package).rglob("*")):
            yield from _uses_of(path, path.relative_to(root).as_posix())


def _uses_of(path: Path, name: str) -> Iterator[Use]:
    template = "templates" in path.parts and path.suffix in _TEMPLATE_ENDINGS
    if not template and path.suffix != ".py":
        return
    with path.open("rb") as file:
        found = extract(
            "jinja2.ext:babel_extract" if template else "python",
            file,
            keywords=_IN_TEMPLATES if template else _IN_PYTHON,
            options={"encoding": "utf-8", "silent": "false"} if template else None,
        )
        for line, message, _comments, _context in found:
            yield Use(name, line, message)


def read_catalogue(path: Path) -> Catalog:
    """Read a catalogue; its locale is the folder it lies in."""
    with path.open("rb") as file:
        return read_po(file, path.parents[1].name, abort_invalid=True)


def faults(used: Iterator[Use], catalogue: Catalog) -> list[str]:
    """Say what a reader of this catalogue would miss; empty when nothing."""
    return [
        f"{use.file}:{use.line}: {fault}: {use.message!r}"
        for use in used
        if (fault := _fault(use.message, catalogue))
    ]


def _fault(message: MessageId, catalogue: Catalog) -> str | None:
    sources = [message] if isinstance(message, str) else list(message)
    if any("%" in _PLACEHOLDER.sub("", source) for source in sources):
        return "bare percent sign"
    entry = catalogue.get(sources[0])
    if entry is None or entry.fuzzy or bool(entry.pluralizable) != (len(sources) > 1):
        return "not in the catalogue"
    texts = [entry.string] if isinstance(entry.string, str) else entry.string or ()
    if not texts or not all(texts):
        return "not translated"
    wanted = set(_PLACEHOLDER.findall(sources[-1]))
    if any(set(_PLACEHOLDER.findall(text)) != wanted for text in texts):
        return "other placeholders"
    return None


def refresh(root: Path, path: Path) -> None:
    """Write the catalogue at `path` anew: what is used, translations kept."""
    catalogue = read_catalogue(path)
    template = Catalog(charset="utf-8")
    for use in uses(root):
        template.add(use.message, locations=[(use.file, use.line)])
    catalogue.update(template, no_fuzzy_matching=True)
    catalogue.obsolete.clear()
    with path.open("wb") as file:
        write_po(file, catalogue, width=88, sort_output=True, include_lineno=False)


def main() -> None:
    """Refresh all catalogues and name what still waits for a translation."""
    root = CATALOGUES.parents[1]
    for path in sorted(CATALOGUES.glob("*/LC_MESSAGES/*.po")):
        refresh(root, path)
        for fault in faults(uses(root), read_catalogue(path)):
            sys.stdout.write(f"{fault}\n")


if __name__ == "__main__":
    main()
