from library.db import Sessions
from library.migrate import differences, pending, upgrade


def test_migrations_build_exactly_the_tables(sessions: Sessions) -> None:
    engine = sessions.kw["bind"]

    assert differences(engine) == []
    assert not pending(engine)


def test_an_upgrade_twice_changes_nothing(sessions: Sessions) -> None:
    engine = sessions.kw["bind"]
    upgrade(engine)

    assert differences(engine) == []
