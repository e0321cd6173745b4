from notifier.inlining import inline

CSS = ".a { color: red; margin-{{ end }}: 4px } @media print { .a { color: black } }"


def test_rules_go_into_elements_and_tags_stay() -> None:
    source = '{% for x in y %}<p class="a" dir="{{ dir }}">{{ x|e }}</p>{% endfor %}'

    styled = inline(source, CSS)

    assert styled.startswith("{% for x in y %}<p ")
    assert styled.endswith("{{ x|e }}</p>{% endfor %}")
    assert 'dir="{{ dir }}"' in styled
    assert "color: red" in styled
    assert "margin-{{ end }}: 4px" in styled


def test_a_whole_page_keeps_its_media_rules() -> None:
    page = "<!DOCTYPE html><html><head></head><body class='a'>{{ x }}</body></html>"

    styled = inline(page, CSS)

    assert "@media print" in styled
    assert ".a { color: red" not in styled
    assert 'style="color: red' in styled


def test_half_spaces_notes_and_outlooks_comments() -> None:
    styled = inline("<p>{# why #}می\u200cشود<!--[if mso]>x<![endif]--></p>", CSS)

    assert styled == "<p>می\u200cشود<!--[if mso]>x<![endif]--></p>"
