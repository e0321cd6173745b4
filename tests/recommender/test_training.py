from datetime import timedelta

import pytest
from sqlalchemy import insert, select

from library.db import Sessions, reading
from library.errors import Conflict, NotFound, TrainingFailed
from library.settings import Settings
from library.tables import BlendWeight, Evaluation, Loan, ModelVersion, Work
from library.vocabulary import ConsentPurpose, ModelState
from profiles.consent import withdraw
from recommender.artifacts import open_arrays, sha256_of
from recommender.comparison import COLD, IN_USE, NEW, WARM, Comparison, find_fault
from recommender.figures import Line
from recommender.training import rollback, settle, train
from recommender.versions import file_of, find_current, load_current
from tests.factories import (
    NOON,
    ada,
    bo,
    make_acquisition,
    make_loan,
    make_patron,
    make_work,
)
from tests.recommender.library_of_two_tastes import (
    EACH,
    Library,
    borrow,
    make_two_tastes,
)

pytestmark = pytest.mark.slow

PATRONS, WORKS = 2 * EACH, 40


def versions(sessions: Sessions) -> list[tuple[ModelState, str | None]]:
    with reading(sessions) as session:
        query = select(ModelVersion).order_by(ModelVersion.id)
        return [(one.state, one.cause) for one in session.scalars(query)]


def test_the_first_version_is_put_in_use(
    sessions: Sessions, settings: Settings
) -> None:
    with sessions.begin() as session:
        make_two_tastes(session)

    report = train(sessions, settings, at=NOON, seed=3)

    assert (report.state, report.cause) == ("current", None)
    assert (report.loans, report.patrons, report.works) == (240, 30, 40)
    with reading(sessions) as session:
        version = session.get_one(ModelVersion, report.model_version_id)
        assert version.seed == 3
        assert version.sha256 == sha256_of(file_of(settings, version.id))
        assert version.split_at is not None
        assert version.data_from is not None
        assert version.data_from < version.split_at < NOON
        weights = session.scalars(select(BlendWeight)).all()
        assert sum(one.weight for one in weights) > 0
        scorers = set(session.scalars(select(Evaluation.scorer)))
        assert scorers == {"hamkhan", "new", "popularity", "latest"}


def test_the_next_one_is_measured_beside_the_one_in_use(library: Library) -> None:
    second = train(library.sessions, library.settings, at=NOON)

    with reading(library.sessions) as session:
        mine = Evaluation.model_version_id == second.model_version_id
        scorers = set(session.scalars(select(Evaluation.scorer).where(mine)))
        assert "in use" in scorers
    states = [state for state, _ in versions(library.sessions)]
    assert states == ["retired", "current"]


def test_the_same_seed_and_data_give_the_same_file(library: Library) -> None:
    train(library.sessions, library.settings, at=NOON)

    with reading(library.sessions) as session:
        first, second = session.scalars(select(ModelVersion.sha256))
        assert first == second is not None


def line(protocol: str, scorer: str, value: float, patrons: int = 100) -> Line:
    return Line(protocol, scorer, "all", "ndcg@10", value, value, value, patrons)


@pytest.mark.parametrize(
    ("lines", "fault"),
    [
        ([], False),
        ([line(WARM, NEW, 0.1)], False),
        ([line(WARM, NEW, 0.1), line(WARM, IN_USE, 0.2)], True),
        ([line(WARM, NEW, 0.1999), line(WARM, IN_USE, 0.2)], False),
        ([line(WARM, NEW, 0.3), line(WARM, IN_USE, 0.2)], False),
        ([line(COLD, NEW, 0.1), line(COLD, IN_USE, 0.2)], True),
        ([line(COLD, NEW, 0.1, 5), line(COLD, IN_USE, 0.2, 5)], False),
    ],
    ids=["nothing", "first", "worse", "chance", "better", "worse when cold", "too few"],
)
def test_is_put_in_use_only_if_no_worse(lines: list[Line], fault: bool) -> None:
    assert (find_fault(Comparison(None, lines)) is not None) == fault


def test_a_worse_one_stays_unused_with_the_cause(sessions: Sessions) -> None:
    with sessions.begin() as session:
        for comparison in (
            Comparison(None, ()),
            Comparison(None, [line(WARM, NEW, 0.1), line(WARM, IN_USE, 0.2)]),
        ):
            version = ModelVersion(
                state=ModelState.CANDIDATE, seed=0, file="1.npz", created_at=NOON
            )
            session.add(version)
            session.flush()
            settle(session, version, comparison, at=NOON)

    assert versions(sessions) == [
        ("current", None),
        (
            "candidate",
            "worse than the version in use: NDCG@10 0.1000 against 0.2000 (warm)",
        ),
    ]


def test_a_training_that_fails_leaves_the_old_one_serving(library: Library) -> None:
    models = library.settings.models
    models.rename(library.settings.home / "elsewhere")
    models.write_text("a file where the folder should be")

    with pytest.raises(TrainingFailed, match="models"):
        train(library.sessions, library.settings, at=NOON)

    states = [state for state, _ in versions(library.sessions)]
    assert states == ["current", "failed"]
    models.unlink()
    (library.settings.home / "elsewhere").rename(models)
    with reading(library.sessions) as session:
        served = load_current(session, library.settings)
        assert served is not None
        assert served.version_id == 1


def test_one_that_was_broken_off_is_marked(
    sessions: Sessions, settings: Settings
) -> None:
    with sessions.begin() as session:
        session.add(ModelVersion(state=ModelState.CANDIDATE, seed=0, created_at=NOON))

    train(sessions, settings, at=NOON)

    assert versions(sessions)[0] == ("failed", "broken off")


def test_going_back_restores_the_one_before_and_then_the_one_before_that(
    sessions: Sessions,
) -> None:
    with sessions.begin() as session:
        ids = []
        for hour in range(3):
            at = NOON + timedelta(hours=hour)
            version = ModelVersion(
                state=ModelState.CANDIDATE, seed=0, file="x.npz", created_at=at
            )
            session.add(version)
            session.flush()
            settle(session, version, Comparison(None, ()), at=at)
            ids.append(version.id)

    assert rollback(sessions, at=NOON) == ids[1]
    assert rollback(sessions, at=NOON) == ids[0]
    with pytest.raises(Conflict, match="no earlier"):
        rollback(sessions, at=NOON)
    with reading(sessions) as session:
        current = find_current(session)
        assert current is not None
        assert current.id == ids[0]


def test_an_untrained_library_has_nothing_to_go_back_to(sessions: Sessions) -> None:
    with pytest.raises(Conflict, match="no earlier"):
        rollback(sessions, at=NOON)


def test_a_file_that_is_gone_says_what_to_do(library: Library) -> None:
    file_of(library.settings, 1).unlink()

    with reading(library.sessions) as session, pytest.raises(NotFound, match="again"):
        load_current(session, library.settings)


def test_who_did_not_agree_leaves_no_trace(library: Library) -> None:
    plain = file_of(library.settings, 1).read_bytes()
    with library.sessions.begin() as session:
        half = make_patron(session, "Di", consents=[ConsentPurpose.HISTORY])
        for one in (bo(session), half):
            borrow(session, one, session.scalars(select(Work).limit(5)).all())

    assert _trained_again(library) == plain


def test_who_takes_consent_back_is_as_if_never_shown(library: Library) -> None:
    plain = file_of(library.settings, 1).read_bytes()
    with library.sessions.begin() as session:
        patron = ada(session)
        borrow(session, patron, session.scalars(select(Work).limit(5)).all())
    shown = _trained_again(library)
    with library.sessions.begin() as session:
        withdraw(session, patron.id, ConsentPurpose.MODEL, at=NOON)

    assert shown != plain
    assert _trained_again(library) == plain


def _trained_again(library: Library) -> bytes:
    report = train(library.sessions, library.settings, at=NOON)
    return file_of(library.settings, report.model_version_id).read_bytes()


def test_a_file_is_about_works_and_has_no_patron_in_it(library: Library) -> None:
    arrays = open_arrays(file_of(library.settings, 1))

    for name, array in arrays.items():
        assert PATRONS not in array.shape, name
    assert arrays["work_ids"].shape == (WORKS,)


BAD = {
    "an empty library": lambda _: None,
    "a patron and no loan": ada,
    "a work and no loan": lambda session: make_work(session, "A"),
    "one patron, one work": lambda session: make_loan(
        session, ada(session), make_work(session, "A")
    ),
    "a work without a title": lambda session: make_loan(
        session, ada(session), make_work(session, "")
    ),
    "a loan in the future": lambda session: make_loan(
        session, ada(session), make_work(session, "A"), at=NOON + timedelta(days=9999)
    ),
}


@pytest.mark.parametrize("fill", BAD.values(), ids=BAD.keys())
def test_bad_input_is_no_traceback(
    sessions: Sessions, settings: Settings, fill: object
) -> None:
    with sessions.begin() as session:
        fill(session)  # type: ignore[operator]

    report = train(sessions, settings, at=NOON)

    assert report.state == "current"


def test_loans_that_are_all_the_same_are_one(
    sessions: Sessions, settings: Settings
) -> None:
    with sessions.begin() as session:
        patron, work = ada(session), make_work(session, "A")
        make_acquisition(session, make_work(session, "B"))
        for i in range(300):
            make_loan(session, patron, work, at=NOON - timedelta(minutes=i))

    report = train(sessions, settings, at=NOON)

    assert (report.state, report.loans) == ("current", 300)


def test_a_desk_account_does_not_break_the_training(library: Library) -> None:
    with library.sessions.begin() as session:
        desk = make_patron(session, "Desk", consents=tuple(ConsentPurpose))
        loans = [
            {
                "system": "desk",
                "ref": str(i),
                "patron_id": desk.id,
                "work_id": 1 + i * i % WORKS,
                "borrowed_at": NOON - timedelta(minutes=i),
                "ignored": False,
            }
            for i in range(100_000)
        ]
        session.execute(insert(Loan), loans)

    report = train(library.sessions, library.settings, at=NOON)

    assert (report.state, report.patrons) == ("current", PATRONS + 1)
