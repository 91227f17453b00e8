"""How unknown category names may be known ones in other clothes."""

from __future__ import annotations

import html
import re
import unicodedata
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from urllib.parse import unquote

EXPLAINED = 0.8
"""Share of the unknown rows that an explanation must account for."""


@dataclass(frozen=True)
class Explanation:
    """What happened to the names."""

    text: str
    certain: bool = True
    """Whether every name was led back to a known one."""


def _common(names: Collection[str]) -> str:
    """The text that all names begin with."""
    first, last = min(names, default=""), max(names, default="")
    return first[: next((i for i, (a, b) in enumerate(zip(first, last, strict=False)) if a != b), len(first))]


def _unquoted(name: str) -> str:
    return re.sub(r"^b(?=['\"])", "", name.strip()).strip("'\"`[](){} \t")


def _mended(name: str) -> str:
    """UTF-8 that was read as Latin-1."""
    try:
        return name.encode("latin-1").decode("utf-8")
    except UnicodeError:
        return name


def _plain(name: str) -> str:
    """Letters and digits only: no accents, case, blanks, quotes, hyphens or underscores."""
    bare = unicodedata.normalize("NFKD", html.unescape(unquote(name)))
    return "".join(letter for letter in bare.casefold() if letter.isalnum())


def _number(name: str) -> str:
    """A whole number without leading zeros or decimals; other names as they are."""
    try:
        value = float(name)
        return str(int(value)) if value == int(value) else name
    except (ValueError, OverflowError):
        return name


_FORMS: tuple[tuple[str, Callable[[str], str]], ...] = (
    ("blanks around them", str.strip),
    ("quotes or brackets around them", _unquoted),
    ("another case", lambda name: name.strip().casefold()),
    ("another Unicode form", lambda name: unicodedata.normalize("NFKC", name)),
    ("UTF-8 read as Latin-1", _mended),
    ("numbers written differently", _number),
    ("other blanks, signs, accents or case", _plain),
)


def explain(unknown: Mapping[str, int], known: Collection[str]) -> Explanation | None:
    """What turned known names into these unknown ones, the most specific first; None if nothing is found.

    Args:
        unknown: name -> rows.
        known: names that training had.
    """
    for what, form in _FORMS:
        forms = {form(name) for name in known} - {""}
        if covered(unknown, lambda name, form=form, forms=forms: form(name) in forms):  # type: ignore[misc]
            return Explanation(f"known names with {what}")
    affix, codes = _affix(unknown, known), _codes(unknown, known)
    if affix is not None:
        return Explanation(affix)
    return Explanation(codes, certain=False) if codes is not None else None


def covered(unknown: Mapping[str, int], fits: Callable[[str], bool]) -> bool:
    """Whether nearly all rows have a name that fits."""
    total = sum(unknown.values())
    return total > 0 and sum(rows for name, rows in unknown.items() if fits(name)) >= EXPLAINED * total


def _affix(unknown: Mapping[str, int], known: Collection[str]) -> str | None:
    """One text before or after every name, or cut off from it."""
    first, last = _common(unknown), _common([name[::-1] for name in unknown])[::-1]
    # Names may begin alike by themselves, so what was added may be shorter than what they have in common.
    for size in range(len(first), 0, -1):
        if covered(unknown, lambda name, size=size: name[size:] in known):  # type: ignore[misc]
            return f"known names after {first[:size]!r}"
    for size in range(len(last), 0, -1):
        if covered(unknown, lambda name, size=size: name[:-size] in known):  # type: ignore[misc]
            return f"known names before {last[-size:]!r}"
    first, last = _common(known), _common([name[::-1] for name in known])[::-1]
    for size in range(len(first), 0, -1):
        if covered(unknown, lambda name, size=size: first[:size] + name in known):  # type: ignore[misc]
            return f"known names without {first[:size]!r}"
    for size in range(len(last), 0, -1):
        if covered(unknown, lambda name, size=size: name + last[-size:] in known):  # type: ignore[misc]
            return f"known names without {last[-size:]!r}"
    return None


def _codes(unknown: Mapping[str, int], known: Collection[str]) -> str | None:
    """Numbers instead of names, or names instead of numbers."""
    numbers = sum(_is_number(name) for name in known)
    if numbers == 0 and covered(unknown, _is_number):
        return "numeric codes instead of names"
    if known and numbers == len(known) and covered(unknown, lambda name: not _is_number(name)):
        return "names instead of numeric codes"
    return None


def _is_number(name: str) -> bool:
    return re.fullmatch(r"\s*[+-]?\d+(\.0*)?\s*", name) is not None
