"""Calls that a receiver can check with nothing but their secret."""

from dataclasses import replace

import pytest

from library.settings import Settings
from library.webhooks import Use, secret_of, signature, signed
from tests.factories import NOON

ONE = replace(Settings(), secret="one")


def test_signs_as_the_published_example_does() -> None:
    secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"

    found = signature(
        secret,
        "msg_p5jXN8AQM9LWM0D4loKWxJek",
        1614265330,
        b'{"test": 2432232314}',
    )

    assert found == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


@pytest.mark.parametrize("use", Use)
def test_each_use_has_a_secret_of_its_own(use: Use) -> None:
    others = {secret_of(ONE, other) for other in Use if other is not use}

    assert secret_of(ONE, use) not in others


def test_while_the_secret_changes_a_call_is_signed_with_both() -> None:
    both = replace(ONE, secret="two one")

    headers = signed(both, Use.APP, "msg_1", b"{}", at=NOON)

    seconds = int(headers["webhook-timestamp"])
    assert seconds == NOON.timestamp()
    assert headers["webhook-signature"].split() == [
        signature(secret_of(replace(ONE, secret=key), Use.APP), "msg_1", seconds, b"{}")
        for key in ("two", "one")
    ]
