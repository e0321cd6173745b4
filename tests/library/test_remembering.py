from threading import Barrier, Thread

from library.db import Sessions, reading
from library.remembering import remember
from library.tables import Setting


def test_the_last_value_counts(sessions: Sessions) -> None:
    for value in ({"one": 1}, {"two": [2]}):
        with sessions.begin() as session:
            remember(session, "what", value)

    with reading(sessions) as session:
        assert session.get_one(Setting, "what").value == {"two": [2]}


def test_two_may_remember_the_same_for_the_first_time_at_once(
    sessions: Sessions,
) -> None:
    troubles: list[Exception] = []
    start = Barrier(2)

    def work(number: int) -> None:
        start.wait()
        try:
            with sessions.begin() as session:
                remember(session, "what", {"by": number})
        except Exception as error:  # noqa: BLE001 -- told by the test
            troubles.append(error)

    threads = [Thread(target=work, args=(number,)) for number in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert troubles == []
