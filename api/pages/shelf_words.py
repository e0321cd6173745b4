"""The three answers to a work, as buttons name them."""

from typing import Final

from library.i18n.messages import _
from library.vocabulary import Verdict

VERDICTS: Final = {
    Verdict.WANTED: _("Save"),
    Verdict.READ_ALREADY: _("Read already"),
    Verdict.NOT_FOR_ME: _("Not for me"),
}
