"""HTML from calls: text is always escaped, so no reason or name from outside can become markup."""

from __future__ import annotations

import html
import json
from collections.abc import Iterable
from typing import Any

VOID = frozenset({"meta", "link", "br", "rect", "line"})


class Html(str):
    """Text that is markup already."""

    __slots__ = ()


Child = str | int | float | None
"""Numbers and text become text; None is left out; Html stays as it is."""


def tag(name: str, /, *children: Child | Iterable[Child], **attributes: str | int | float | bool | None) -> Html:
    """One element. Attribute names: ``class_`` is class, ``aria_label`` is aria-label; None and False are left out."""
    opened = "".join(_attribute(key, value) for key, value in attributes.items())
    if name in VOID:
        return Html(f"<{name}{opened}>" if name in {"meta", "link", "br"} else f"<{name}{opened}/>")
    return Html(f"<{name}{opened}>{join(*children)}</{name}>")


def join(*children: Child | Iterable[Child]) -> Html:
    """Children one after the other."""
    return Html("".join(_text(child) for child in children))


def embedded_json(value: Any) -> Html:
    """JSON that may stand in a script element: it can neither end the element nor open a comment."""
    text = json.dumps(value, separators=(",", ":"), ensure_ascii=True, allow_nan=False)
    return Html(text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026"))


def _text(child: Child | Iterable[Child]) -> str:
    if child is None:
        return ""
    if isinstance(child, Html):
        return child
    if isinstance(child, str | int | float):
        return html.escape(str(child))
    return join(*child)


def _attribute(key: str, value: str | int | float | bool | None) -> str:
    if value is None or value is False:
        return ""
    name = key.rstrip("_").replace("_", "-") if key != "viewBox" else key
    return f" {name}" if value is True else f' {name}="{html.escape(str(value))}"'


def document_head(title: str, policy: str, *styles: str) -> Html:
    """Head of a page that fetches nothing. ``policy`` is its content security policy; styles are CSS, taken as they are."""
    return tag(
        "head",
        tag("meta", charset="utf-8"),
        tag("meta", http_equiv="Content-Security-Policy", content=policy),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("meta", name="color-scheme", content="light dark"),
        tag("link", rel="icon", href="data:,"),
        tag("title", title),
        [tag("style", Html(text)) for text in styles],
    )
