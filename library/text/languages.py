"""One key per language, whichever of its codes a source or a patron uses. Pure."""

from __future__ import annotations

_TWO_LETTERS = {
    "ara": "ar", "arm": "hy", "aze": "az", "chi": "zh", "cze": "cs", "deu": "de",
    "dut": "nl", "ell": "el", "eng": "en", "fas": "fa", "fra": "fr", "fre": "fr",
    "ger": "de", "gre": "el", "heb": "he", "hin": "hi", "hye": "hy", "ita": "it",
    "jpn": "ja", "kor": "ko", "kur": "ku", "lat": "la", "nld": "nl", "per": "fa",
    "pol": "pl", "por": "pt", "pus": "ps", "rus": "ru", "spa": "es", "swe": "sv",
    "tgk": "tg", "tur": "tr", "ukr": "uk", "urd": "ur", "zho": "zh",
}  # fmt: skip


def language_key(code: str | None) -> str:
    """Return one key for "fa", "fa_IR", "per" and "fas"; empty when not known."""
    base = (code or "").casefold().replace("_", "-").split("-")[0].strip()
    return _TWO_LETTERS.get(base, base)
