from __future__ import annotations

import json

import pytest

from driftloop.reports.markup import Html, embedded_json, join, tag


def test_text_is_escaped_and_markup_is_not_escaped_twice() -> None:
    inner = tag("b", "<i> & \"'")
    assert tag("p", inner, " <") == "<p><b>&lt;i&gt; &amp; &quot;&#x27;</b> &lt;</p>"


def test_attribute_values_are_escaped_and_absent_ones_left_out() -> None:
    made = tag("td", 3, class_='a" onclick="x', aria_label="A & B", title=None, hidden=False, open=True)
    assert made == '<td class="a&quot; onclick=&quot;x" aria-label="A &amp; B" open>3</td>'


def test_children_may_be_lists_and_none() -> None:
    assert join(["a", None], [Html("<br>"), 1.5], None) == "a<br>1.5"


def test_void_elements_have_no_end_tag() -> None:
    assert tag("meta", charset="utf-8") == '<meta charset="utf-8">'
    assert tag("rect", x=1) == '<rect x="1"/>'


def test_embedded_json_cannot_end_its_script_element() -> None:
    value = {"a": "</script><!-- & \u2028"}
    text = embedded_json(value)
    assert not set("<>&\u2028") & set(text)
    assert json.loads(text) == value


def test_embedded_json_refuses_what_browsers_cannot_parse() -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        embedded_json([float("nan")])
