"""What an answer to a post means for the message, channel by channel."""

import pytest

from library.errors import FetchFailed
from notifier.channels import app, push
from notifier.channels.posting import Meanings, meaning

LATER: dict[str, object] = {}
GONE = {"gone": True}
OURS = {"ours": True}
REFUSED = {"permanent": True}
UNKNOWN = {"ambiguous": True}
CHANNELS = {"push": push.MEANINGS, "app": app.MEANINGS}


@pytest.mark.parametrize(
    ("status", "to_push", "to_app"),
    [
        (301, REFUSED, OURS),
        (307, REFUSED, OURS),
        (400, REFUSED, OURS),
        (401, OURS, OURS),
        (403, OURS, OURS),
        (404, GONE, OURS),
        (408, LATER, LATER),
        (410, GONE, GONE),
        (413, REFUSED, REFUSED),
        (422, REFUSED, REFUSED),
        (425, LATER, LATER),
        (429, LATER, LATER),
        (500, LATER, LATER),
        (503, LATER, LATER),
    ],
)
def test_each_status_has_its_meaning(
    status: int, to_push: dict[str, object], to_app: dict[str, object]
) -> None:
    failed = FetchFailed("x", cause="status", status=status)

    assert told(failed, push.MEANINGS) == to_push
    assert told(failed, app.MEANINGS) == to_app


@pytest.mark.parametrize(
    ("cause", "means"),
    [
        ("dns", LATER),
        ("refused", LATER),
        ("tls", LATER),
        ("timeout", UNKNOWN),
        ("encoding", UNKNOWN),
        ("too_large", UNKNOWN),
    ],
)
@pytest.mark.parametrize("channel", CHANNELS)
def test_without_an_answer_only_what_can_have_arrived_is_in_doubt(
    channel: str, cause: str, means: dict[str, object]
) -> None:
    assert told(FetchFailed("x", cause=cause), CHANNELS[channel]) == means


def test_a_refused_address_ends_a_device_and_is_the_librarys_fault_for_its_app() -> (
    None
):
    failed = FetchFailed("x", cause="not_allowed")

    assert told(failed, push.MEANINGS) == GONE
    assert told(failed, app.MEANINGS) == OURS


@pytest.mark.parametrize("channel", CHANNELS)
@pytest.mark.parametrize("status", [401, 429, 503])
def test_a_wish_to_wait_is_passed_on(channel: str, status: int) -> None:
    failed = FetchFailed("x", cause="status", status=status, retry_after=90)

    assert told(failed, CHANNELS[channel])["retry_after"] == 90


def told(failed: FetchFailed, meanings: Meanings) -> dict[str, object]:
    """Return what is not as usual of the failure it means."""
    return {
        name: value for name, value in vars(meaning(failed, meanings)).items() if value
    }
