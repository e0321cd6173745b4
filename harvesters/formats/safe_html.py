"""HTML from sources, made plain text: nothing of theirs runs on our pages.

No tag is kept, so no script, handler, form, frame, style or tracker can be; pages
escape what is left, as any text.
"""

import html
import re

import nh3

from harvesters.records import SUMMARY_LENGTH, TITLE_LENGTH, plain

# nh3 is quadratic in the depth of nesting: 244 KiB of <div> take it 8 s.
_LONGEST = 64 * 1024
_MOST_TAGS, _SHORTER = 4000, 16 * 1024
_ROUNDS = 3
_TAG = re.compile(r"</?[A-Za-z!][^>]*>?")
_MARKUP = re.compile(r"</?[A-Za-z!]|&#?\w{1,30};")
_BLOCK = re.compile(
    r"(?i)<(?:/?(?:p|div|li|ul|ol|tr|td|h[1-6]|blockquote)\b|br\b|hr\b)"
)
_HIDDEN = {"script", "style", "template", "noscript", "iframe", "object", "title"}
_LINK = re.compile(r"(?i)https?://[^\s<>\"'\\]+")
_PICTURE_TEXT = re.compile(r"""(?i)\balt\s*=\s*["']([^"'<>]+)""")
_PICTURE_FILE = re.compile(r"""(?i)\bsrc\s*=\s*["']?[^"'<>]*?([^"'<>/\s]+)["'\s>]""")


def title_text(markup: str) -> str:
    """Return a title without markup, on one line; of a picture, what it is called."""
    text = plain(_text(markup), TITLE_LENGTH)
    if text or "<img" not in markup[:_LONGEST].lower():
        return text
    for pattern in (_PICTURE_TEXT, _PICTURE_FILE):
        found = pattern.search(markup[:_LONGEST])
        if found and (called := plain(_text(found[1]), TITLE_LENGTH)):
            return called
    return ""


def summary_text(markup: str) -> str | None:
    """Return a summary without markup; None when nothing is left."""
    return plain(_text(markup), SUMMARY_LENGTH) or None


def web_link(link: str) -> str | None:
    """Return an http or https address as it is, None for any other."""
    text = link.strip()
    return text if len(text) <= 2000 and _LINK.fullmatch(text) else None


def _text(markup: str) -> str:
    text = markup[:_LONGEST]
    if text.count("<") > _MOST_TAGS:
        text = text[:_SHORTER]
    # What was escaped twice is markup again after the first round.
    for _ in range(_ROUNDS):
        if not _MARKUP.search(text):
            break
        text = _cleaned(text)
    return _TAG.sub("", text)


def _cleaned(markup: str) -> str:
    if not _TAG.search(markup):
        return html.unescape(markup)
    spaced = _BLOCK.sub(lambda tag: " " + tag[0], markup)
    return html.unescape(
        nh3.clean(spaced, tags=set(), clean_content_tags=_HIDDEN, strip_comments=True)
    )
