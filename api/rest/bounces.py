"""Mail that came back, posted by the mail server that got it."""

from flask import request

from api import context
from api.auth.keys import KeyCaller
from api.rest.blueprint import part
from api.rest.doors import acts, takes
from api.rest.fields import Out
from library.clock import utc_now
from library.errors import InvalidInput, NotAllowed
from notifier.bounces import LARGEST, take_in

bp = part("bounces")


class BounceOut(Out):
    """What became of the report."""

    taken: str


@bp.post("/bounces")
@takes("message/rfc822")
@acts("bounces")
@bp.output(BounceOut)
def post(caller: KeyCaller) -> BounceOut:
    """Take in one returned message or complaint, whole and as it came."""
    if caller.branch_id is not None:
        raise NotAllowed("returned mail is the whole library's: no branch's key")
    raw = request.get_data()
    if not raw.strip():
        raise InvalidInput("the body is empty: post the message itself")
    if len(raw) > LARGEST:
        raise InvalidInput(f"the message is larger than {LARGEST} bytes")
    taken = take_in(context.sessions(), context.settings(), raw, at=utc_now())
    return BounceOut(taken=taken.value)
