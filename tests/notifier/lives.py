"""What property tests over a patron's year have in common."""

from datetime import UTC, datetime

from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from sqlalchemy import select

from library.db import Sessions, reading
from library.settings import Settings
from library.tables import Alert, Delivery, Patron
from library.vocabulary import DeliveryState
from notifier.message import Message
from tests.notifier.cast import Outbox, alert, deliver

THROUGH_2027 = st.datetimes(
    datetime(2027, 2, 20), datetime(2027, 11, 20), timezones=st.just(UTC)
)
"""Through both changes of the clock, north and south."""
of_one_patron_each = settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
    # One life takes a second: making a failing one shorter would take minutes.
    phases=[Phase.explicit, Phase.reuse, Phase.generate],
)


def tell(sessions: Sessions, house: Settings, outbox: Outbox, at: datetime) -> None:
    """Make and send what is due at a moment."""
    alert(sessions, house, at)
    deliver(sessions, house, outbox, at=at)


def came_once_each(
    sessions: Sessions, patron: Patron, outbox: Outbox
) -> list[tuple[Alert, Delivery]]:
    """Return the patron's alerts with their digests, each sent once, by one message."""
    with reading(sessions) as session:
        rows = session.execute(
            select(Alert, Delivery)
            .outerjoin(Delivery, Delivery.id == Alert.delivery_id)
            .where(Alert.patron_id == patron.id)
        ).all()
    mails = {one.message_id: one for one in outbox.taken}
    assert len(mails) == len(outbox.taken)
    for one, digest in rows:
        assert digest is not None, one.id
        assert digest.state is DeliveryState.SENT, (one.id, digest.cause)
        assert f"/answer/{one.id}~" in mails[digest.message_id].text
    return [(one, digest) for one, digest in rows]


def mails_to(patron: Patron, outbox: Outbox) -> list[Message]:
    """Return what the patron was sent."""
    return [one for one in outbox.taken if one.to.name == patron.name]
