"""What a librarian sees and does, and what a branch's librarian does not."""

from datetime import timedelta

import pytest
from sqlalchemy import select

from library import audit
from library.clock import utc_now
from library.db import Sessions
from library.settings import Settings
from library.tables import (
    AuditEntry,
    BibRecord,
    BlendWeight,
    Delivery,
    Harvest,
    Impression,
    ModelVersion,
    Patron,
    Rejection,
    Rule,
    SignedIn,
    Source,
    Staff,
)
from library.vocabulary import (
    Channel,
    ConsentPurpose,
    DeliveryState,
    ModelState,
    Purpose,
    RuleAction,
    RuleTarget,
    StaffRole,
)
from notifier.resting import hold
from profiles import experiments
from profiles.trials import Arm
from recommender.rules import NewRule, make_rule
from tests.browsing import PASSWORD, Browser, make_staff, staffed, visitor
from tests.factories import (
    NOON,
    ada,
    make_alert,
    make_branch,
    make_loan,
    make_patron,
    make_source,
    make_work,
)


@pytest.fixture
def staff(sessions: Sessions) -> Staff:
    return make_staff(sessions)


@pytest.fixture
def browser(settings: Settings, sessions: Sessions, staff: Staff) -> Browser:
    return staffed(settings, sessions, staff)


@pytest.fixture
def of_north(settings: Settings, sessions: Sessions) -> Browser:
    """A browser of the librarian of the branch `north` alone."""
    with sessions.begin() as session:
        branch_id = make_branch(session, "north").id
    staff = make_staff(
        sessions, "north@library.test", role=StaffRole.LIBRARIAN, branch_id=branch_id
    )
    return staffed(settings, sessions, staff)


def actions(sessions: Sessions) -> list[str]:
    with sessions() as session:
        assert audit.first_broken(session) is None
        return list(session.scalars(select(AuditEntry.action).order_by(AuditEntry.id)))


def deliver(sessions: Sessions, patron: Patron, state: DeliveryState) -> Delivery:
    at = utc_now()
    with sessions.begin() as session:
        row = Delivery(
            patron_id=patron.id,
            purpose=Purpose.DIGEST,
            channel=Channel.EMAIL,
            state=state,
            due_at=at,
            not_after=at + timedelta(days=1),
            message_id=f"<{patron.id}-{state}@test>",
            created_at=at,
        )
        session.add(row)
        session.flush()
        alert = make_alert(session, patron, make_work(session, f"Work {row.id}"))
        alert.delivery_id = row.id
    return row


def test_signs_in_with_a_password_and_out_again(
    settings: Settings, sessions: Sessions, staff: Staff
) -> None:
    browser = visitor(settings, sessions)
    page = browser.open("/console/sent")
    assert page.address == "/console/sign-in"

    page = browser.press(page, "Sign in", email=staff.email, password=PASSWORD)
    assert page.address == "/console/sent"

    browser.press(page, "Sign out")
    assert browser.open("/console").address == "/console/sign-in"
    with sessions() as session:
        assert session.scalars(select(SignedIn)).all() == []


@pytest.mark.parametrize("email", ["nasrin@library.test", "nobody@library.test"])
def test_a_wrong_password_and_an_unknown_address_look_alike(
    settings: Settings, sessions: Sessions, staff: Staff, email: str
) -> None:
    browser = visitor(settings, sessions)

    page = browser.press(
        browser.open("/console/sign-in"), "Sign in", email=email, password="wrong"
    )

    assert page.status == 422
    assert "Address and password do not fit." in page.main


def test_the_eleventh_guess_within_the_hour_is_refused(
    settings: Settings, sessions: Sessions, staff: Staff
) -> None:
    browser = visitor(settings, sessions)
    page = browser.open("/console/sign-in")

    def guess(password: str) -> int:
        fields = {"email": staff.email, "password": password}
        return browser.press(page, "Sign in", **fields).status

    assert [guess("wrong") for _ in range(10)] == [422] * 10
    assert guess(PASSWORD) == 429


def test_an_account_that_was_switched_off_is_out_at_once(
    browser: Browser, sessions: Sessions, staff: Staff
) -> None:
    assert browser.open("/console").address == "/console"
    with sessions.begin() as session:
        session.get_one(Staff, staff.id).active = False

    assert browser.open("/console").address == "/console/sign-in"


def test_failing_sources_stand_first_with_their_error(
    browser: Browser, sessions: Sessions
) -> None:
    with sessions.begin() as session:
        fine, failing = (
            make_source(session, "a-fine"),
            make_source(session, "z-failing"),
        )
        failing.failures = 3
        session.add(Harvest(source_id=fine.id, started_at=NOON, ended_at=NOON, added=7))
        session.add(
            Harvest(
                source_id=failing.id,
                started_at=NOON,
                ended_at=NOON,
                cause="timeout",
                error="no answer in 30 s",
            )
        )

    page = browser.open("/console")

    first, second = ([c.text_content() for c in r] for r in page.find("//tbody/tr"))
    assert first[0].startswith("z-failing")
    assert "✕ failing 3 times in a row: no answer in 30 s" in " ".join(first[1].split())
    assert second[0].startswith("a-fine")
    assert second[2:5] == ["March 1, 2026, 12:00", "–", "7"]


def test_run_now_makes_a_source_due_and_is_written_down(
    browser: Browser, sessions: Sessions
) -> None:
    with sessions.begin() as session:
        source = make_source(session)
        source.next_check_at = utc_now() + timedelta(days=1)

    page = browser.press(browser.open(f"/console/sources/{source.id}"), "Run now")

    assert "acq is due now." in page.main
    with sessions() as session:
        due = session.get_one(Source, source.id).next_check_at
    assert due is not None
    assert due <= utc_now()
    assert actions(sessions) == ["source.run"]


def test_a_source_shows_what_could_not_be_taken(
    browser: Browser, sessions: Sessions
) -> None:
    with sessions.begin() as session:
        source = make_source(session)
        run = Harvest(source_id=source.id, started_at=NOON, rejected=1)
        session.add(run)
        session.flush()
        session.add(Rejection(harvest_id=run.id, place="entry 4", why="no title"))

    page = browser.open(f"/console/sources/{source.id}")

    assert "entry 4: no title" in page.main


def test_a_branchs_librarian_sees_no_other_branchs_source(
    of_north: Browser, sessions: Sessions
) -> None:
    with sessions.begin() as session:
        source = make_source(session, "of-main")

    assert "of-main" not in of_north.open("/console").main
    assert of_north.open(f"/console/sources/{source.id}").status == 404


def test_what_was_sent_stands_with_a_masked_address(
    browser: Browser, sessions: Sessions
) -> None:
    with sessions.begin() as session:
        patron = ada(session)
    deliver(sessions, patron, DeliveryState.SENT)

    page = browser.open("/console/sent")

    assert "a…@patrons.test" in page.main
    assert "ada@patrons.test" not in page.main


def test_the_list_narrows_to_a_state(browser: Browser, sessions: Sessions) -> None:
    with sessions.begin() as session:
        patron = ada(session)
    deliver(sessions, patron, DeliveryState.SENT)
    deliver(sessions, patron, DeliveryState.ABANDONED)

    page = browser.open("/console/sent?state=abandoned")

    assert len(page.find("//tbody/tr")) == 1
    assert "✕ could not be delivered" in page.main


def test_sends_again_and_cancels(browser: Browser, sessions: Sessions) -> None:
    with sessions.begin() as session:
        patron = ada(session)
    sent = deliver(sessions, patron, DeliveryState.SENT)

    page = browser.press(browser.open("/console/sent"), f"Send message {sent.id} again")
    browser.press(page, f"Cancel message {sent.id + 1}")

    with sessions() as session:
        states = session.scalars(select(Delivery.state).order_by(Delivery.id)).all()
    assert states == [DeliveryState.SENT, DeliveryState.WITHHELD]
    assert actions(sessions) == ["delivery.again", "delivery.cancel"]


def test_one_patrons_messages_are_found_and_the_look_is_written_down(
    browser: Browser, sessions: Sessions
) -> None:
    with sessions.begin() as session:
        patrons = ada(session), make_patron(session, "eve")
    mine, other = (deliver(sessions, one, DeliveryState.SENT) for one in patrons)

    page = browser.press(
        browser.open("/console/sent"), "Show this patron's messages", patron="ada"
    )

    assert page.button(f"Send message {mine.id} again") is not None
    assert f"Send message {other.id} again" not in str(page.data)
    assert page.address == "/console/sent"
    assert actions(sessions) == ["patron.messages_viewed"]


def test_a_branchs_librarian_finds_no_other_branchs_patron(
    of_north: Browser, sessions: Sessions
) -> None:
    with sessions.begin() as session:
        patron = ada(session)
    deliver(sessions, patron, DeliveryState.SENT)

    page = of_north.press(
        of_north.open("/console/sent"), "Show this patron's messages", patron="ada"
    )

    assert page.status == 422
    assert "There is no such patron in your branch" in page.main
    assert "a…@patrons.test" not in page.main
    assert actions(sessions) == []


def test_a_channel_that_rests_is_told_above_every_page(
    browser: Browser, sessions: Sessions
) -> None:
    with sessions.begin() as session:
        until = utc_now() + timedelta(minutes=5)
        hold(session, Channel.EMAIL, "535 5.7.8 wrong password", until=until)

    pages = [browser.open(f"/console{room}") for room in ("", "/", "/sent", "/rules")]

    for page in pages:
        assert page.text.count("Nothing leaves by e-mail now:") == 1
        assert "535 5.7.8 wrong password" in page.main


def test_a_rule_is_told_in_the_librarians_language(
    browser: Browser, sessions: Sessions, staff: Staff
) -> None:
    with sessions.begin() as session:
        ada(session)
        session.get_one(Staff, staff.id).language = "fa_IR"
        make_rule(
            session,
            NewRule(
                action=RuleAction.EXCLUDE,
                target_kind=RuleTarget.WORK,
                target=str(make_work(session, "Solaris").id),
                reason="withdrawn",
                starts_at=utc_now() - timedelta(hours=1),
                ends_at=utc_now() + timedelta(days=1),
            ),
            by=audit.Actor(),
            at=utc_now(),
        )

    page = browser.press(browser.open("/console/view-as"), "دیدن", patron="ada")

    assert "کنار گذاشتن" in page.main
    assert "exclude" not in page.main


def test_a_branchs_librarian_sees_and_touches_no_other_branchs_message(
    of_north: Browser, sessions: Sessions
) -> None:
    with sessions.begin() as session:
        patron = ada(session)
        make_patron(session, "Navid", branch="north")
    delivery = deliver(sessions, patron, DeliveryState.SENT)

    page = of_north.open("/console/sent")
    token = page.find("//input[@name='form']/@value")[0]
    refused = of_north.post(f"/console/sent/{delivery.id}/again", {"form": token})

    assert page.find("//tbody/tr") == []
    assert refused.status == 403


def test_makes_a_rule_until_a_jalali_day_and_ends_it(
    browser: Browser, sessions: Sessions
) -> None:
    with sessions.begin() as session:
        work = make_work(session, "Cosmos")
    page = browser.open("/console/rules?q=cosmos")
    (choose,) = page.find("//a[@aria-label='Choose: Cosmos']/@href")

    page = browser.press(
        browser.open(choose), "Make the rule", ends_on="۱۴۱۰/۰۱/۰۱", reason="Nowruz"
    )

    with sessions() as session:
        rule = session.scalars(select(Rule)).one()
    assert (rule.action, rule.target) == (RuleAction.PIN, str(work.id))
    assert rule.ends_at.isoformat() == "2031-03-22T00:00:00+00:00"
    assert rule.branch_id is None

    page = browser.press(page, "End the rule for Cosmos")
    assert "lapsed" in page.main
    assert actions(sessions) == ["rule.made", "rule.ended"]


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"ends_on": ""}, "ends_on"),
        ({"ends_on": "soon"}, "ends_on"),
        ({"reason": " "}, "reason"),
        ({"target": "999999"}, "target"),
    ],
    ids=["no end", "no day", "no reason", "no such work"],
)
def test_a_rule_needs_an_end_a_reason_and_a_target(
    browser: Browser, sessions: Sessions, fields: dict[str, str], field: str
) -> None:
    with sessions.begin() as session:
        work = make_work(session, "Cosmos")
    good = {"target": str(work.id), "ends_on": "2031-01-01", "reason": "why"}

    page = browser.press(
        browser.open("/console/rules"), "Make the rule", **{**good, **fields}
    )

    assert page.status == 422
    assert page.find(f"//*[@role='alert']//a[@href='#{field}']")
    assert page.find(f"//input[@id='{field}'][@aria-invalid]")
    assert page.find(f"//*[@id='{field}-refused']")
    with sessions() as session:
        assert session.scalars(select(Rule)).all() == []


def test_a_branchs_librarian_rules_only_there(
    of_north: Browser, sessions: Sessions
) -> None:
    with sessions.begin() as session:
        main = make_branch(session, "main")
        work = make_work(session, "Cosmos")
    page = of_north.open("/console/rules")
    fields = {"target": str(work.id), "ends_on": "2031-01-01", "reason": "why"}
    assert len(page.find("//select[@id='branch']/option")) == 1

    for branch in ("", str(main.id)):
        refused = of_north.press(page, "Make the rule", **fields, branch=branch)
        assert refused.status == 403

    assert of_north.press(page, "Make the rule", **fields).status == 200


def test_looking_at_a_patrons_page_shows_it_and_is_written_down(
    browser: Browser, sessions: Sessions
) -> None:
    with sessions.begin() as session:
        ada(session)

    page = browser.press(browser.open("/console/view-as"), "Look", patron="ada")

    assert page.find("//h2/bdi")[0].text_content() == "Ada"
    assert actions(sessions) == ["patron.viewed_as"]


def test_a_branchs_librarian_looks_at_no_other_branchs_patron(
    of_north: Browser, sessions: Sessions
) -> None:
    with sessions.begin() as session:
        ada(session)

    page = of_north.press(of_north.open("/console/view-as"), "Look", patron="ada")

    assert page.status == 422
    assert actions(sessions) == []


def test_models_show_their_weights(browser: Browser, sessions: Sessions) -> None:
    with sessions.begin() as session:
        version = ModelVersion(
            state=ModelState.CURRENT, seed=0, loans=1200, created_at=NOON
        )
        session.add(version)
        session.flush()
        session.add(
            BlendWeight(
                model_version_id=version.id,
                stratum="5+",
                part="content",
                weight=0.25,
                alone=0.1,
            )
        )

    page = browser.open("/console/models")

    assert "0.25 (0.1)" in page.main
    assert "1,200" in page.main


def test_outcomes_show_what_was_borrowed_after_it_was_shown(
    browser: Browser, sessions: Sessions
) -> None:
    at = utc_now()
    with sessions.begin() as session:
        work = make_work(session, "Comets")
        patrons = [
            make_patron(session, f"r{number}", consents=tuple(ConsentPurpose))
            for number in range(10)
        ]
        for patron in patrons:
            session.add(
                Impression(
                    list_ref=f"page:{patron.id}",
                    patron_id=patron.id,
                    work_id=work.id,
                    place="page",
                    rank=1,
                    shown_at=at - timedelta(days=9),
                )
            )
        make_loan(session, patrons[0], work, at=at - timedelta(days=1))
        experiments.begin(
            session,
            "autumn",
            {"now": Arm(0.9), "hold-out": Arm(0.1, told=False)},
            starts_at=at,
            ends_at=at + timedelta(days=60),
            at=at,
        )

    page = browser.open("/console/outcomes")

    assert "Personal page" in page.main
    assert "10% (0%–29.6%)" in page.main.replace("\u2068", "").replace("\u2069", "")
    assert "hold-out" in page.main


def test_only_systems_librarians_go_back_to_an_older_model(of_north: Browser) -> None:
    page = of_north.open("/console/models")
    token = page.find("//input[@name='form']/@value")[0]

    assert of_north.post("/console/models/back", {"form": token}).status == 403


def test_works_are_joined_split_and_put_back(
    browser: Browser, sessions: Sessions
) -> None:
    with sessions.begin() as session:
        cosmos = make_work(session, "Cosmos")
        kayhan = make_work(session, "کیهان")
        source = make_source(session)
        for ref, work in (("1", cosmos), ("2", cosmos), ("3", kayhan)):
            record = BibRecord(
                source_id=source.id,
                source_ref=ref,
                work_id=work.id,
                content_hash=ref,
                raw={"said": {"title": f"Edition {ref}", "creators": ["Sagan"]}},
                created_at=NOON,
            )
            session.add(record)

    page = browser.open(f"/console/works/{cosmos.id}?q=کیهان")
    assert "Edition 2" in page.main
    page = browser.press(page, "Join: کیهان")
    assert "Edition 3" in page.main
    assert "part of another" in browser.open(f"/console/works/{kayhan.id}").main

    (second,) = page.find("//input[@name='record']")[1:2]
    label = "Make the ticked ones a work of their own"
    made = browser.press(page, label, record=second.get("value") or "")
    assert "This is a work of its own now." in made.text
    assert "Edition 1" not in made.main

    page = browser.open(f"/console/works/{cosmos.id}")
    browser.press(page, "Undo: Joined: کیهان")

    with sessions() as session:
        rows = session.execute(select(BibRecord.source_ref, BibRecord.work_id)).all()
    works = dict(rows)
    assert works["1"] == cosmos.id
    assert works["3"] == kayhan.id
    assert works["2"] not in {cosmos.id, kayhan.id}
    assert actions(sessions) == ["work.join", "work.split", "work.join.undone"]
    found = browser.open("/console/works?q=کیهان")
    assert "کیهان" in found.main


def test_what_cannot_be_joined_or_split_is_said_on_the_page(
    browser: Browser, sessions: Sessions
) -> None:
    with sessions.begin() as session:
        cosmos, kayhan = make_work(session, "Cosmos"), make_work(session, "کیهان")
        source = make_source(session)
        for ref in "12":
            record = BibRecord(
                source_id=source.id,
                source_ref=ref,
                work_id=cosmos.id,
                content_hash=ref,
                raw={},
                created_at=NOON,
            )
            session.add(record)
    page = browser.open(f"/console/works/{cosmos.id}?q=کیهان")

    itself = browser.press(page, "Join: کیهان", other=str(cosmos.id))
    nothing = browser.press(page, "Join: کیهان", other=str(kayhan.id + 1000))
    none = browser.press(page, "Make the ticked ones a work of their own")
    action = f"/console/works/{cosmos.id}/split"
    (token,) = page.find(f"//form[@action='{action}']/input[@name='form']/@value")
    records = page.find("//input[@name='record']/@value")
    every = browser.post(action, {"form": token, "record": records})

    assert {itself.status, nothing.status, none.status, every.status} == {422}
    assert itself.find(f"//input[@name='other'][@value='{kayhan.id}']")
    assert len(every.find("//input[@name='record'][@checked]")) == len(records) == 2
    assert browser.open("/console/works/99999").status == 404
