import string
from datetime import timedelta

import pytest

from library.errors import NotAllowed
from library.settings import Settings
from library.vocabulary import Channel, Purpose, Verdict
from notifier.links import (
    LEAVE_LIFE,
    VERDICT_LIFE,
    LeaveLink,
    VerdictLink,
    bounce_token,
    confirm_token,
    leave_token,
    leave_url,
    message_id,
    read_bounce,
    read_confirm,
    read_leave,
    read_verdict,
    verdict_token,
    verdict_url,
)
from tests.factories import NOON

KEY = "a secret for tests only"


def test_a_verdict_comes_back_as_it_was_signed() -> None:
    token = verdict_token(KEY, 7, Verdict.WANTED, at=NOON)

    assert read_verdict(KEY, token, at=NOON) == VerdictLink(7, Verdict.WANTED)


def test_leaving_comes_back_as_it_was_signed() -> None:
    token = leave_token(KEY, 7, "interest:3", at=NOON)

    assert read_leave(KEY, token, at=NOON) == LeaveLink(7, "interest:3")


def test_it_expires() -> None:
    token = verdict_token(KEY, 7, Verdict.WANTED, at=NOON)
    leave = leave_token(KEY, 7, "all", at=NOON)

    with pytest.raises(NotAllowed, match="too old"):
        read_verdict(KEY, token, at=NOON + VERDICT_LIFE + timedelta(days=1))
    with pytest.raises(NotAllowed, match="too old"):
        read_leave(KEY, leave, at=NOON + LEAVE_LIFE + timedelta(days=1))


def test_altered_anywhere_it_is_refused() -> None:
    token = verdict_token(KEY, 7, Verdict.WANTED, at=NOON)

    for place in range(len(token)):
        for other in set(string.ascii_letters + string.digits + "-_") - {token[place]}:
            altered = token[:place] + other + token[place + 1 :]
            with pytest.raises(NotAllowed):
                read_verdict(KEY, altered, at=NOON)


@pytest.mark.parametrize("token", ["", "x", ".", "a.b", "سلام"])
def test_what_is_no_token_is_refused(token: str) -> None:
    with pytest.raises(NotAllowed):
        read_verdict(KEY, token, at=NOON)


def test_each_door_refuses_the_other_doors_tokens() -> None:
    tokens = {
        "verdict": verdict_token(KEY, 1, Verdict.WANTED, at=NOON),
        "leave": leave_token(KEY, 1, "all", at=NOON),
        "confirm": confirm_token(KEY, 1, at=NOON),
        "bounce": bounce_token(KEY, 1, at=NOON),
    }
    doors = {
        "verdict": read_verdict,
        "leave": read_leave,
        "confirm": read_confirm,
        "bounce": read_bounce,
    }
    for name, read in doors.items():
        for other, token in tokens.items():
            if name == other:
                assert read(KEY, token, at=NOON)
            else:
                with pytest.raises(NotAllowed):
                    read(KEY, token, at=NOON)


def test_a_new_secret_signs_and_the_old_is_still_believed() -> None:
    old = verdict_token("old", 1, Verdict.WANTED, at=NOON)
    new = verdict_token("new old", 1, Verdict.WANTED, at=NOON)

    assert read_verdict("new old", old, at=NOON).alert_id == 1
    assert read_verdict("new", new, at=NOON).alert_id == 1
    with pytest.raises(NotAllowed):
        read_verdict("old", new, at=NOON)


def test_a_message_id_is_the_same_for_the_same_and_tells_nothing() -> None:
    settings = Settings(secret=KEY, base_url="https://books.test:8443/x")

    def made(patron_id: int = 1, period: str = "2026-03-01") -> str:
        return message_id(settings, patron_id, Purpose.DIGEST, period, Channel.EMAIL)

    assert made() == made()
    assert len({made(), made(patron_id=2), made(period="2026-03-02")}) == 3
    assert made().endswith("@books.test>")


def test_addresses_begin_as_the_settings_say() -> None:
    settings = Settings(secret=KEY, base_url="https://books.test")

    assert verdict_url(settings, 1, Verdict.WANTED, at=NOON).startswith(
        "https://books.test/answer/"
    )
    assert leave_url(settings, 1, "all", at=NOON).startswith(
        "https://books.test/leave/"
    )
