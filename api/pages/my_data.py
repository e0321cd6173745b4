"""What the library holds of a patron: consents, messages, take-out, erasing."""

from io import BytesIO

from flask import Blueprint, render_template, send_file, url_for
from flask import session as browser
from sqlalchemy import select
from werkzeug.wrappers import Response

from api import context
from api.pages.consents import WORDINGS
from api.web import forms, notices
from api.web.words import CAUSES, CHANNELS, STATES
from library.clock import utc_now
from library.db import reading
from library.i18n.messages import _
from library.tables import Loan, Work
from library.vocabulary import ConsentPurpose
from notifier.ledger import ledger, masked
from profiles import consent, preferences, privacy

bp = Blueprint("my_data", __name__)

PAGE = "page"
_LOANS = 100
_MESSAGES = 50
ERASE_WORD = _("ERASE")


@bp.get("/me/data")
def show() -> str:
    """Show what is held, and what the patron agreed to."""
    caller = context.me()
    with reading(context.sessions()) as session:
        live = {
            given.purpose: given
            for given in consent.list_consents(session, caller.patron_id)
            if given.withdrawn_at is None
        }
        sent = ledger(session, patron_id=caller.patron_id, limit=_MESSAGES)
        has_feed = preferences.get(session, caller.patron_id).feed_token is not None
        loans = session.execute(
            select(Loan, Work)
            .join(Work)
            .where(Loan.patron_id == caller.patron_id)
            .order_by(Loan.borrowed_at.desc(), Loan.id.desc())
            .limit(_LOANS)
        ).all()
    return render_template(
        "data.html",
        wordings=WORDINGS,
        live=live,
        outdated={
            # What came with an import was agreed to in the library's own words.
            purpose
            for purpose, given in live.items()
            if given.source == PAGE and given.wording != WORDINGS[purpose].kept
        },
        sent=sent,
        loans=loans,
        states=STATES,
        has_feed=has_feed,
        feed=browser.pop("feed", None),
        causes=CAUSES,
        channels=CHANNELS,
        masked=masked,
    )


@bp.post("/me/data/consent")
def agree() -> Response:
    """Give or withdraw the consent for one purpose."""
    caller, at = context.me(), utc_now()
    purpose = forms.choice("purpose", ConsentPurpose)
    with context.sessions().begin() as session:
        if forms.ticked("withdraw"):
            consent.withdraw(session, caller.patron_id, purpose, at=at)
        else:
            consent.give(
                session,
                caller.patron_id,
                purpose,
                wording=WORDINGS[purpose].kept,
                source=PAGE,
                covers_past=forms.ticked("covers_past"),
                at=at,
            )
    notices.tell(context.say(_("Stored. It counts from now on.")))
    return forms.see(url_for("my_data.show", _anchor=f"consent-{purpose}"))


@bp.post("/me/data/loan")
def use_loan() -> Response:
    """Use a loan for suggestions, or leave it out; it stays in the history."""
    caller = context.me()
    with context.sessions().begin() as session:
        loan = session.scalar(
            select(Loan).where(
                Loan.id == forms.whole("loan", 1, forms.HIGHEST_ID),
                Loan.patron_id == caller.patron_id,
            )
        )
        if loan:
            loan.ignored = forms.ticked("ignore")
    return forms.see(url_for("my_data.show", _anchor="loans"))


@bp.post("/me/data/export")
def export() -> Response:
    """Hand out everything that is held, as a zip of JSON and CSV."""
    caller = context.me()
    with reading(context.sessions()) as session:
        body = privacy.export_zip(session, caller.patron_id)
    return send_file(
        BytesIO(body),
        mimetype="application/zip",
        as_attachment=True,
        download_name="hamkhan.zip",
    )


@bp.get("/me/erase")
def ask_to_erase() -> str:
    """Say what erasing does, offer the take-out first, and ask for a word."""
    context.me()
    return render_template("erase.html", word=ERASE_WORD, fault=None)


@bp.post("/me/erase")
def erase() -> Response | tuple[str, int]:
    """Erase the patron at once, and give a receipt."""
    caller, reader = context.me(), context.reader()
    if forms.text("word").casefold() not in {
        ERASE_WORD.casefold(),
        reader.say(ERASE_WORD).casefold(),
    }:
        fault = _("The word is not the one that is asked for.")
        return render_template("erase.html", word=ERASE_WORD, fault=fault), 422
    receipt = privacy.erase(
        context.sessions(), context.settings(), caller.patron_id, at=utc_now()
    )
    browser.clear()
    browser["receipt"] = receipt.number
    response = forms.see(url_for("my_data.erased"))
    context.drop_cookie(response, context.PATRON_COOKIE)
    # Who is gone has no language any more, and the receipt is to be read.
    context.set_cookie(response, context.LANGUAGE_COOKIE, reader.locale)
    return response


@bp.get("/erased")
def erased() -> str:
    """Show the receipt of an erasure."""
    return render_template("erased.html", number=browser.get("receipt"))
