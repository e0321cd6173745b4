"""Which work a record belongs to.

The key is `library.text.work_key`; it is left alone where a title says too little, and
the same ISBN brings together what the key keeps apart by a subtitle.
"""

import hashlib
import re
from functools import lru_cache

from harvesters.records import HarvestedRecord
from library.text import squash, work_key

SPLIT = "!"
"""Begins the key of a work that a librarian split off; no code of a source does."""
_KEY_LENGTH = 400
_TURNED = re.compile(r"^([^,،]+)[,،]\s*([^,،]+)")
_DATES = re.compile(r"[,،(\s]*(?:b\.|d\.)?\s*[\d۰-۹]{4}.*$")
# "Editorial", "New books": a few words without a creator name no work.
_ENOUGH_WORDS = 5


def record_key(record: HarvestedRecord, *, system: str) -> str:
    """Return the key of the work a record belongs to.

    Args:
        record: With a title; one that is only its own id names no work.
        system: Keeps what cannot be grouped apart from other systems' records.
    """
    if record.title == record.ref:
        return own_key(system, record.ref)
    key = work_key(record.title, record.creators)[: _KEY_LENGTH - 50]
    if not key:
        return own_key(system, record.ref)
    if record.creators or record.isbn or len(record.title.split()) >= _ENOUGH_WORDS:
        return key
    mark = record.published or record.year or record.call_number
    return f"{key}@{squash(mark)[:40]}" if mark else key


def own_key(system: str, ref: str) -> str:
    """Return the key of a work of its own: nothing else will meet in it."""
    key = f"={system}:{ref}"
    if len(key) <= _KEY_LENGTH:
        return key
    mark = SPLIT if system.startswith(SPLIT) else ""
    return f"={mark}{hashlib.sha256(key.encode(errors='replace')).hexdigest()}"


def split_key(system: str, ref: str) -> str:
    """Return the key of a work that a librarian split off for this record."""
    return own_key(f"{SPLIT}{system}", ref)


def is_split(key: str) -> bool:
    """Tell whether a librarian split the work of this key off."""
    return key.startswith(f"={SPLIT}")


def editions(key: str, other: str) -> bool:
    """Tell whether records of one ISBN under these two keys are of one work.

    Publishers use an ISBN twice, and a set's volumes share one: so the volume and
    either the title or the creator have to agree, and one title begin the other.
    """
    title, _, name = key.rpartition("/")
    title_2, _, name_2 = other.rpartition("/")
    main, _, volume = title.partition("#")
    main_2, _, volume_2 = title_2.partition("#")
    if volume != volume_2 or not main or not main_2:
        return False
    begins = main.startswith(main_2) or main_2.startswith(main)
    return main == main_2 or (begins and name == name_2)


@lru_cache(maxsize=20_000)
def creator_key(name: str) -> str:
    """Return the key under which a name is one, turned round or with dates or not."""
    bare = _DATES.sub("", name)
    return squash(_TURNED.sub(r"\2 \1", bare)) or squash(name)
