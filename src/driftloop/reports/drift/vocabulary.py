"""What the words on the page mean, one line each."""

from __future__ import annotations

from driftloop.reports.markup import Html, tag

TERMS = (
    ("window", "an interval of event time; a drift report judges one window"),
    ("limit", "what unchanged traffic seldom exceeds, set from time blocks of the version's own training data"),
    ("score", "value / limit; 1.0 is at the limit for every model and every rule"),
    ("divergence", "Jensen-Shannon divergence of two histograms, 0 to 1 bit"),
    ("importance", "share of the feature in what the model uses"),
    ("cause", "importance times divergence, as a share of the sum over all features"),
    ("now", "the windows that drift is judged on together, this one the last; broken ones are left out"),
    ("estimated", "what the scores themselves promise, if they are calibrated; it needs no labels"),
    ("usual", "out-of-time predictions from when the version was made"),
    ("observed", "labelled rows only; windows that are older than the delay of the labels"),
    ("log-loss", "mean of \N{MINUS SIGN}ln(probability given to what happened), nats per row; lower is better"),
    ("Brier score", "mean squared distance of the probability from what happened; lower is better"),
)


def vocabulary() -> Html:
    """The list of terms."""
    return tag("dl", [tag("div", tag("dt", term), tag("dd", meaning)) for term, meaning in TERMS], class_="glossary")
