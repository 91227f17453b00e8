"""Colours of the plots, by the names of the style sheet's variables: ``page.css`` gives each a light and a dark value.

They stay apart for colour-blind readers (Okabe and Ito 2008).
"""

from __future__ import annotations

BLUE = "--blue"
VERMILLION = "--vermillion"
GREEN = "--green"
PURPLE = "--purple"
GREY = "--grey"
AMBER = "--amber"
BLUE_TINT = "--blue-tint"
VERMILLION_TINT = "--vermillion-tint"
AMBER_TINT = "--amber-tint"
GREY_TINT = "--grey-tint"
NONE = "--none"
