"""DL24 as a machine: a contact point over any history of answers and choices."""

from datetime import datetime, timedelta
from itertools import count

import pytest
from hypothesis import HealthCheck
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from sqlalchemy import Select, select

from library.db import Sessions, reading
from library.settings import Settings
from library.tables import ContactPoint
from library.vocabulary import Channel, ConsentPurpose, Purpose
from notifier.gate import Answer, House, Ruling, may_send
from profiles import contacts
from profiles.causes import Cause
from profiles.contacts import Trouble
from profiles.standing import Asked, standings
from tests.browsing import signed_in
from tests.factories import NOON, make_patron

pytestmark = pytest.mark.slow

HOUR = timedelta(hours=1)
NUMBERS = count()
HISTORIES = hypothesis_settings(
    max_examples=15,
    stateful_step_count=25,
    suppress_health_check=list(HealthCheck),
)


class Health(RuleBasedStateMachine):
    """Hard: stopped at the second. Soft: 2, 4 … 64 h, stopped at the sixth."""

    def __init__(self, sessions: Sessions, own: Settings) -> None:
        super().__init__()
        self.sessions = sessions
        self.at: datetime = NOON
        self.hard = self.soft = 0
        self.stopped, self.verified = False, True
        self.quiet_until: datetime | None = None
        self.address = f"reader{next(NUMBERS)}@patrons.test"
        with sessions.begin() as session:
            patron = make_patron(
                session,
                self.address.partition("@")[0],
                consents=tuple(ConsentPurpose),
                address=self.address,
            )
        self.patron_id = patron.id
        self.browser = signed_in(own, sessions, patron)

    @rule(hours=st.integers(1, 40))
    def time_passes(self, hours: int) -> None:
        """Let some hours go by."""
        self.at += hours * HOUR

    @rule()
    def it_bounces_hard(self) -> None:
        """A server says that there is no such address."""
        self._report(Trouble.HARD)
        if not self.stopped:
            self.hard += 1
            self.stopped = self.hard == 2

    @rule()
    def it_bounces_softly(self) -> None:
        """A server says that the mailbox is full."""
        self._report(Trouble.SOFT)
        if not self.stopped:
            self.soft += 1
            self.quiet_until = self.at + 2**self.soft * HOUR
            self.stopped = self.soft == 6

    @rule()
    def its_reader_complains(self) -> None:
        """The reader called it spam."""
        self._report(Trouble.COMPLAINT)
        self.stopped = True

    @precondition(lambda self: not self.stopped)
    @rule()
    def a_message_is_taken(self) -> None:
        """What was counted is forgotten."""
        with self.sessions.begin() as session:
            contacts.record_success(session.scalars(self._point).one())
        self._fresh()

    @rule()
    def its_patron_asks_for_it_again(self) -> None:
        """On the page: a stopped one must be confirmed anew."""
        with self.sessions.begin() as session:
            contacts.ask_for(
                session, self.patron_id, Channel.EMAIL, self.address, at=self.at
            )
        if self.stopped:
            self.verified = False
            self._fresh()

    @rule()
    def its_patron_confirms_it(self) -> None:
        """By the link: it works again."""
        with self.sessions.begin() as session:
            point = session.scalars(self._point).one()
            contacts.verify(session, point.id, at=self.at)
        self.verified = True
        self._fresh()

    @rule()
    def a_librarian_lifts_it(self) -> None:
        """Staff let it start again."""
        with self.sessions.begin() as session:
            contacts.restart(session, session.scalars(self._point).one().id)
        self._fresh()

    @invariant()
    def the_gate_keeps_to_it(self) -> None:
        """The row and the gate say what the history came to."""
        with reading(self.sessions) as session:
            point = session.scalars(self._point).one()
            asked = Asked(self.patron_id, Channel.EMAIL)
            (standing,) = standings(session, [asked], at=self.at)
        assert standing is not None
        assert (point.hard, point.soft) == (self.hard, self.soft)
        assert (point.stopped_at is not None) == self.stopped
        ruling = may_send(
            standing, Purpose.DIGEST, Channel.EMAIL, self.at, house=House(cap=7)
        )
        assert ruling == self._expected()

    @invariant()
    def the_page_says_so(self) -> None:
        """The patron is told of a stop, and of nothing else."""
        page = self.browser.open("/me/preferences")
        assert ("came back, so we stopped" in page.main) == self.stopped

    def _expected(self) -> Ruling:
        if self.stopped:
            return Ruling(Answer.NEVER, Cause.STOPPED)
        if not self.verified:
            return Ruling(Answer.NEVER, Cause.UNCONFIRMED)
        if self.quiet_until and self.quiet_until > self.at:
            return Ruling(Answer.LATER, Cause.BOUNCED, self.quiet_until)
        return Ruling(Answer.SEND)

    def _fresh(self) -> None:
        self.hard = self.soft = 0
        self.stopped, self.quiet_until = False, None

    def _report(self, trouble: Trouble) -> None:
        with self.sessions.begin() as session:
            point = session.scalars(self._point).one()
            contacts.record_trouble(point, trouble, at=self.at)

    @property
    def _point(self) -> Select[ContactPoint]:
        return select(ContactPoint).where(ContactPoint.patron_id == self.patron_id)


def test_over_any_history_the_gate_and_the_page_keep_to_it(
    sessions: Sessions, settings: Settings
) -> None:
    class Here(Health):
        def __init__(self) -> None:
            super().__init__(sessions, settings)

    run_state_machine_as_test(Here, settings=HISTORIES)
