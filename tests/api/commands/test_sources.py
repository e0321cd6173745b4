import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from click.testing import Result
from sqlalchemy import func, select

from api.demo.announcements import NewWork
from api.demo.site import Announced, served
from harvesters.fetching.logins import Login, login_of
from harvesters.pushing import push_secret
from library.db import Sessions, reading
from library.runtime import Runtime
from library.settings import Settings
from library.tables import Acquisition, Source, Work
from tests.command_line import ended
from tests.factories import make_branch

Run = Callable[..., Result]

BUSTAN = NewWork(
    "n1",
    "بوستان",
    ("سعدی",),
    "1359",
    "per",
    "9780306406157",
    ("شعر کلاسیک فارسی",),
    "PIR5205",
)
EMMA = NewWork(
    "n2", "Emma & Harriet", ("Jane Austen",), "1816", "eng", "", ("English classics",)
)
NEW = (BUSTAN, EMMA)


@pytest.fixture
def site() -> Iterator[str]:
    with served(Announced(feed=NEW, oai_pmh=NEW, marc=NEW)) as address:
        yield address


@pytest.fixture
def runtime(settings: Settings, sessions: Sessions, site: str) -> Runtime:
    with sessions.begin() as session:
        make_branch(session)
    allowed = replace(settings, fetch_allow=(urlsplit(site).netloc,))
    return Runtime(allowed, sessions)


@pytest.mark.parametrize(
    ("kind", "path"), [("feed", "/feed.xml"), ("oai-pmh", "/oai"), ("marc", "/new.mrc")]
)
def test_new_works_come_in_over_every_way(
    run: Run, sessions: Sessions, site: str, kind: str, path: str
) -> None:
    run("source", "add", "new", kind, site + path, "--announce-first-load")

    result = run("harvest", "new", "--json")

    assert result.exit_code == 0, result.stderr
    (report,) = json.loads(result.stdout)
    assert (report["added"], report["acquisitions"]) == (2, 2)
    with reading(sessions) as session:
        works = session.scalars(select(Work).order_by(Work.title)).all()
    assert [work.title for work in works] == ["Emma & Harriet", "بوستان"]
    assert [work.title_dir for work in works] == ["ltr", "rtl"]


def test_a_first_load_is_silent_unless_told_otherwise(
    run: Run, sessions: Sessions, site: str
) -> None:
    run("source", "add", "new", "marc", f"{site}/new.mrc")

    result = run("harvest", "new")

    assert "2 added" in result.stdout
    assert "0 new here" in result.stdout
    assert _count(sessions) == 0


def test_a_second_harvest_finds_nothing_new(run: Run, site: str) -> None:
    run("source", "add", "new", "feed", f"{site}/feed.xml", "--announce-first-load")
    run("harvest", "new")

    again = run("harvest", "--json")

    (report,) = json.loads(again.stdout)
    assert (report["added"], report["changed"], report["acquisitions"]) == (0, 0, 0)


def test_only_sources_whose_time_has_come_are_due(run: Run, site: str) -> None:
    run("source", "add", "new", "feed", f"{site}/feed.xml")

    first = run("harvest", "--due", "--json")
    second = run("harvest", "--due")

    assert [report["source"] for report in json.loads(first.stdout)] == ["new"]
    assert second.stdout == "No source was due.\n"


def test_a_dry_run_stores_nothing(run: Run, sessions: Sessions, site: str) -> None:
    run("source", "add", "new", "feed", f"{site}/feed.xml", "--announce-first-load")

    result = run("harvest", "new", "--dry-run")

    assert "2 added" in result.stdout
    assert _count(sessions) == 0


def test_trying_sources_tells_each_in_a_line(
    run: Run, tmp_path: Path, site: str
) -> None:
    folder = tmp_path / "files"
    folder.mkdir()
    (folder / "junk").write_bytes(b"\x00\xff")

    result = run(
        *("source", "test", folder, f"{site}/feed.xml", "--json", "--show", "1")
    )

    junk, feed = map(json.loads, result.stdout.splitlines())
    assert result.exit_code == 1
    assert (junk["kind"], junk["records"], junk["rejected"]) == (None, 0, [])
    assert junk["error"]
    assert (feed["kind"], feed["records"], feed["error"]) == ("feed", 2, None)
    assert [record["title"] for record in feed["shown"]] == ["بوستان"]


def test_trying_a_source_tells_it_in_words(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "works.csv"
    path.write_text("work_id,title,creators\n1,Cosmos,Carl Sagan\n,Nameless,\n")

    result = run("source", "test", path, "--show", "3")

    assert result.exit_code == 0
    assert result.stdout.splitlines() == [
        f"{path}: csv, 1 records, 1 refused",
        "  line 3: work_id: missing",
        "  1: Cosmos / Carl Sagan",
    ]


def test_trying_needs_no_database_and_leaves_nothing(tmp_path: Path) -> None:
    works, home = tmp_path / "works.csv", tmp_path / "home"
    works.write_text("work_id,title\n1,Cosmos\n")

    code, out, err = ended(home, "source", "test", "--json", works)

    assert (code, err) == (0, "")
    assert json.loads(out) == {
        "source": str(works),
        "kind": "csv",
        "records": 1,
        "rejected": [],
        "error": None,
    }
    assert not home.exists()


def test_what_is_no_feed_is_said_in_one_line(
    run: Run, runtime: Runtime, tmp_path: Path
) -> None:
    page = tmp_path / "page.html"
    page.write_text("<html><body>Closed today</body></html>")
    run("source", "add", "acq", "feed", page)

    result = run("harvest", "acq")

    assert result.exit_code == 1
    assert result.stderr == "Error: acq: not an RSS or Atom document\n"


def test_a_private_address_that_nobody_allowed_is_refused(run: Run) -> None:
    run("source", "add", "inside", "feed", "http://127.0.0.1:1/feed.xml")

    result = run("harvest", "inside")

    assert result.exit_code == 1
    assert result.stderr.startswith("Error: inside: ")


def test_sources_are_listed_and_removed(
    run: Run, sessions: Sessions, site: str
) -> None:
    run("source", "add", "new", "feed", f"{site}/feed.xml")

    listed = json.loads(run("source", "list", "--json").stdout)
    table = run("source", "list").stdout
    removed = run("source", "remove", "new")

    assert [row["code"] for row in listed] == ["new"]
    assert "feed" in table
    assert removed.stdout == "new is removed.\n"
    with reading(sessions) as session:
        assert session.scalars(select(Source)).all() == []


def test_a_source_keeps_its_own_settings(run: Run, sessions: Sessions) -> None:
    added = run(
        "source", "add", "oai", "oai-pmh", "http://oai.test/", "--set", "set=books"
    )
    wrong = run("source", "add", "oai2", "oai-pmh", "http://oai.test/", "--set", "set")

    with reading(sessions) as session:
        (source,) = session.scalars(select(Source)).all()
    assert added.exit_code == 0
    assert source.settings == {"set": "books"}
    assert wrong.exit_code == 1
    assert wrong.stderr == "Error: --set set: write NAME=VALUE\n"


def test_a_source_that_posts_has_a_secret_and_no_address(
    run: Run, runtime: Runtime
) -> None:
    added = run("source", "add", "koha", "push")
    told = run("source", "secret", "koha")

    assert "hamkhan source secret koha" in added.stdout
    assert told.stdout.strip() == push_secret(runtime.settings, "koha")
    assert run("source", "secret", "nowhere").exit_code == 1


def test_a_source_that_is_read_needs_an_address_and_has_no_secret(run: Run) -> None:
    assert run("source", "add", "new", "feed").exit_code == 1

    run("source", "add", "new", "feed", "http://feeds.test/a")
    assert run("source", "secret", "new").exit_code == 1


def test_feeds_come_and_go_as_opml(run: Run, tmp_path: Path) -> None:
    listed = tmp_path / "feeds.opml"
    listed.write_text(
        """<opml><body><outline text="New books" xmlUrl="http://a.test/1"/>
        <outline text="New books" xmlUrl="http://a.test/2"/>
        <outline text="کیهان" xmlUrl="http://b.test/3"/></body></opml>""",
        encoding="utf-8",
    )

    first, again = run("source", "opml", listed), run("source", "opml", listed)
    out = run("source", "opml")

    assert first.stdout == "3 added, 0 known already: new-books, new-books-2, b-test\n"
    assert again.stdout == "0 added, 3 known already: \n"
    assert out.stdout.count("xmlUrl") == 3
    assert run("source", "opml", tmp_path / "nothing").exit_code == 1


def test_a_site_is_asked_for_its_feeds(run: Run, site: str) -> None:
    found = run("source", "find", f"{site}/feed.xml")

    assert f"{site}/feed.xml" in found.stdout
    assert run("source", "find", "http://10.0.0.1/").exit_code == 1


def test_a_source_is_read_whole_again(run: Run, site: str) -> None:
    run("source", "add", "new", "feed", f"{site}/feed.xml")
    run("harvest", "new")

    unchanged = json.loads(run("harvest", "new", "--json").stdout)
    again = json.loads(run("harvest", "new", "--again", "--json").stdout)

    assert unchanged[0]["unchanged"] == 0
    assert again[0]["unchanged"] == 2
    assert run("harvest", "--again").exit_code == 2


def test_a_login_is_kept_sealed(run: Run, runtime: Runtime, sessions: Sessions) -> None:
    run("source", "add", "ils", "koha", "http://koha.test/")

    kept = run("source", "login", "ils", "--user", "client", typed="the secret\n")

    assert kept.exit_code == 0
    with reading(sessions) as session:
        (source,) = session.scalars(select(Source)).all()
    assert "the secret" not in repr(source.settings)
    login = login_of(runtime.settings, source.settings)
    assert login == Login("client", "the secret")


def test_a_koha_that_nobody_allowed_is_not_asked(run: Run) -> None:
    run("source", "add", "ils", "koha", "http://127.0.0.1:1/")
    without = run("import", "koha", "ils", "patrons")
    run("source", "login", "ils", "--user", "client", "--password", "x")
    inside = run("import", "koha", "ils")

    assert "needs a login" in without.stderr
    assert "not on the open internet" in inside.stderr


def test_the_same_code_twice_is_refused(run: Run) -> None:
    run("source", "add", "new", "feed", "http://feeds.test/a")

    again = run("source", "add", "new", "feed", "http://feeds.test/b")

    assert again.exit_code == 1
    assert "new" in again.stderr


def test_a_source_nobody_added_is_not_found(run: Run) -> None:
    result = run("harvest", "nowhere")

    assert result.exit_code == 1
    assert "nowhere" in result.stderr


@pytest.mark.parametrize(
    "words", [("harvest", "new", "--due"), ("harvest", "--due", "--dry-run")], ids=str
)
def test_what_does_not_go_together_is_wrong_usage(
    run: Run, words: tuple[str, ...]
) -> None:
    assert run(*words).exit_code == 2


def _count(sessions: Sessions) -> int:
    with reading(sessions) as session:
        return session.scalar(select(func.count()).select_from(Acquisition)) or 0
