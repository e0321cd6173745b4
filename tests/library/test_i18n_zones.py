from zoneinfo import available_timezones

import pytest

from library.i18n.zones import weekend, zone_name, zone_names


@pytest.mark.parametrize("locale", ["en", "fa_IR"])
def test_every_zone_has_a_name_and_no_two_of_the_list_share_one(locale: str) -> None:
    names = zone_names(locale)

    assert all(zone_name(zone, locale) for zone in available_timezones())
    assert names.keys() <= available_timezones()
    assert len(set(names.values())) == len(names)
    assert set(names.values()) >= {
        zone_name(zone, locale) for zone in ("UTC", "Asia/Tehran", "America/New_York")
    }


@pytest.mark.parametrize(
    ("locale", "name"),
    [("en", "Argentina (Buenos Aires) Time"), ("fa_IR", "وقت آرژانتین (بوئنوس‌آیرس)")],
)
def test_a_city_whose_zone_was_renamed_keeps_its_name(locale: str, name: str) -> None:
    assert zone_name("America/Argentina/Buenos_Aires", locale) == name
    assert not any("/" in one for one in zone_names(locale).values())


def test_they_are_in_the_order_of_the_readers_letters() -> None:
    persian = list(zone_names("fa_IR").values())

    assert persian.index("وقت آلمان (برلین)") < persian.index("وقت ایران")
    assert persian.index("وقت ایران") < persian.index("وقت پاکستان")


@pytest.mark.parametrize(
    ("zone", "own", "days"),
    [
        ("Asia/Tehran", None, {4}),
        ("Asia/Kabul", None, {3, 4}),
        ("Europe/Berlin", None, {5, 6}),
        ("UTC", None, set()),
        ("Etc/UTC", None, set()),
        ("Antarctica/Troll", None, set()),
        ("Asia/Tehran", "Thu, fri", {3, 4}),
    ],
)
def test_the_weekend_is_that_of_custom_or_the_branchs_own(
    zone: str, own: str | None, days: set[int]
) -> None:
    assert weekend(zone, own) == days
