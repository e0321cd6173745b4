"""Mail templates with their style inlined once, when they are loaded.

Mail programs drop style sheets, so every rule must stand in its element. Doing that to
each message costs more than rendering it; here it is done to the template: its tags are
put aside, css-inline works on plain HTML, and the tags come back.
"""

import re
from collections.abc import Callable, Mapping
from pathlib import Path

from css_inline import CSSInliner
from jinja2 import BaseLoader, Environment, TemplateNotFound

FOLDER = Path(__file__).parent / "templates"

_TAG = re.compile(r"\{%.*?%\}|\{\{.*?\}\}", re.DOTALL)
_NOTE = re.compile(r"\{#.*?#\}", re.DOTALL)
_PUT_ASIDE = re.compile(r"<!--jinja(\d+)x-->|jinja(\d+)x")


class StyledLoader(BaseLoader):
    """Reads templates of a folder; those in HTML get its `mail.css` inlined.

    What is the same in each message of a language, such as its direction, is put in
    here too, and not by each message again.
    """

    def __init__(self, constants: Mapping[str, str], folder: Path = FOLDER) -> None:
        self._constants = constants
        self._folder = folder

    def get_source(
        self,
        environment: Environment,  # noqa: ARG002 -- Jinja passes it
        template: str,
    ) -> tuple[str, str | None, Callable[[], bool] | None]:
        """Return a template's source, as Jinja asks for it."""
        path = self._folder / template
        if not path.is_file():
            raise TemplateNotFound(template)
        source = path.read_text(encoding="utf-8")
        if ".html" in template:
            css = (self._folder / "mail.css").read_text(encoding="utf-8")
            source = inline(source, css)
        for name, value in self._constants.items():
            source = source.replace(f"{{{{ {name} }}}}", value)
        return source, str(path), lambda: True


def inline(source: str, css: str) -> str:
    """Return a Jinja template in HTML with the rules of `css` in its elements.

    A tag may stand between elements, in text and in an attribute's value; a `{% %}` may
    not stand inside an element's own angle brackets, nor right inside a table.
    """
    tags: list[str] = []

    def put_aside(found: re.Match[str]) -> str:
        tags.append(found[0])
        name = f"jinja{len(tags) - 1}x"
        return f"<!--{name}-->" if found[0].startswith("{%") else name

    html = _TAG.sub(put_aside, _NOTE.sub("", source))
    rules = _TAG.sub(put_aside, css)
    whole = "<html" in html
    inliner = CSSInliner(
        keep_style_tags=False,
        keep_at_rules=True,
        load_remote_stylesheets=False,
        extra_css=rules if whole else None,
    )
    styled = inliner.inline(html) if whole else inliner.inline_fragment(html, rules)
    return _PUT_ASIDE.sub(lambda found: tags[int(found[1] or found[2])], styled)
