"""An OAI-PMH repository on loopback, as the protocol has it, with faults to order."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from urllib.parse import parse_qsl
from xml.sax.saxutils import escape

from tests.factories import NOON
from tests.loopback import Answer, Asked

ENVELOPE = (
    '<?xml version="1.0"?><OAI-PMH xmlns="http://www.openarchives.org/OAI/2.0/">'
    "<responseDate>{at}</responseDate>{inside}</OAI-PMH>"
)
Fault = Callable[[int, dict[str, str]], Answer | str | None]
DIED = "<error code='badResumptionToken'>no such token</error>"


@dataclass
class Item:
    """A record of the repository; no title: it was deleted."""

    number: int
    stamp: date
    title: str = ""

    def __str__(self) -> str:
        gone = "" if self.title else ' status="deleted"'
        header = (
            f"<header{gone}><identifier>oai:x:{self.number}</identifier>"
            f"<datestamp>{self.stamp}</datestamp></header>"
        )
        if gone:
            return f"<record>{header}</record>"
        return (
            f"<record>{header}<metadata><dc><title>{escape(self.title)}</title>"
            f"<creator>Author {self.number % 97}</creator></dc></metadata></record>"
        )


@dataclass
class Repository:
    """What it holds, and how it fails.

    Attributes:
        on_a_page: Records at most in one answer.
        clock: Its own, for `responseDate`.
        fault: Told the number of each request and what it asks; an answer in place of
            the right one, or None.
        asked: The arguments of each request.
    """

    items: Sequence[Item]
    on_a_page: int = 100
    clock: datetime = NOON
    fault: Fault = lambda _number, _asked: None
    asked: list[dict[str, str]] = field(default_factory=list)

    def __call__(self, asked: Asked) -> Answer:
        arguments = dict(parse_qsl(asked.query))
        self.asked.append(arguments)
        answer = self.fault(len(self.asked), arguments)
        if answer is None:
            answer = self._right(arguments)
        return self._wrapped(answer) if isinstance(answer, str) else answer

    def _wrapped(self, inside: str) -> Answer:
        at = self.clock.strftime("%Y-%m-%dT%H:%M:%SZ")
        return Answer(ENVELOPE.format(at=at, inside=inside).encode())

    def _right(self, asked: dict[str, str]) -> str:
        if asked["verb"] == "Identify":
            first = min((item.stamp for item in self.items), default=date(2026, 1, 1))
            return (
                f"<Identify><earliestDatestamp>{first}</earliestDatestamp>"
                "<granularity>YYYY-MM-DD</granularity></Identify>"
            )
        if "resumptionToken" in asked:
            since, until, start = asked["resumptionToken"].split("/")
        else:
            since, until, start = asked.get("from", ""), asked.get("until", ""), "0"
        first = date.fromisoformat(since) if since else date.min
        last = date.fromisoformat(until) if until else date.max
        found = [item for item in self.items if first <= item.stamp <= last]
        if not found:
            return "<error code='noRecordsMatch'>nothing there</error>"
        end = int(start) + self.on_a_page
        page = "".join(map(str, found[int(start) : end]))
        token = f"{since}/{until}/{end}" if end < len(found) else ""
        return (
            f"<ListRecords>{page}<resumptionToken>{token}</resumptionToken>"
            "</ListRecords>"
        )


def years_of_items(years: int, of_each: int) -> list[Item]:
    """Records of the years up to 2025, so many of each, in order of change."""
    return [
        Item(
            number=year * of_each + place,
            stamp=date(2026 - years + year, 1, 1) + timedelta(days=place % 365),
            title=f"Report {place} of the survey of {2026 - years + year}",
        )
        for year in range(years)
        for place in range(of_each)
    ]
