"""What can be said to a work and to its reasons, and what is said back."""

from typing import Final

from library.i18n.messages import _
from library.vocabulary import Verdict

VERDICTS: Final = {
    Verdict.WANTED: _("Save"),
    Verdict.READ_ALREADY: _("Read already"),
    Verdict.NOT_FOR_ME: _("Not for me"),
}

LESSENED: Final = {
    "suppression": _("You will see no more of %(what)s"),
    "interest": _("Your interest in %(what)s counts less now"),
    "loan": _("%(what)s is left out of your suggestions"),
}
"""What "less of this" did, by what it did it to."""
LESS_OF: Final = {
    "suppression": _("The button leaves out all of %(what)s, until you say otherwise."),
    "interest": _("The button lets your interest in %(what)s count half as much."),
    "loan": _(
        "The button takes %(what)s out of what suggestions are made from; "
        "it stays in your history."
    ),
}
"""What "less of this" will do, likewise."""
