"""Pages of a long harvest, from servers that are busy or hang up now and then."""

from collections.abc import Mapping
from datetime import datetime

from library.errors import FetchFailed
from library.fetching.fetch import OAI_PAGE, Fetched, Fetcher, fetch

TRIES = 5
LONGEST_WAIT = 60
_PASSING = frozenset([429, 500, 502, 503, 504])
_CUT_OFF = frozenset(["refused", "encoding"])


def fetch_patiently(
    fetcher: Fetcher,
    url: str,
    *,
    at: datetime,
    headers: Mapping[str, str] | None = None,
) -> Fetched:
    """Get a page, asking again where the trouble may pass.

    Raises:
        FetchFailed: It was asked often enough, or asks for a longer wait.
    """
    tried = 0
    while True:
        tried += 1
        try:
            return fetch(fetcher, url, at=at, headers=headers, limits=OAI_PAGE)
        except FetchFailed as error:
            wait = error.retry_after or 2**tried
            passing = error.status in _PASSING or error.cause in _CUT_OFF
            if tried == TRIES or not passing or wait > LONGEST_WAIT:
                raise
            fetcher.pause(wait)
