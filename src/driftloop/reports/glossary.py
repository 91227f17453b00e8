"""What the words on the page mean, one line each."""

from __future__ import annotations

from driftloop.reports.markup import Html, tag

TERMS = (
    ("version", "one model package in the registry; it travels with its own baseline and limits"),
    ("champion, challenger", "the version that serves; the version that a pipeline has just produced"),
    ("first version", "version 1 without any retraining, scored on the same rows as what really served"),
    ("window", "an interval of event time, here one day; a drift report judges one window"),
    ("baseline", "the distributions of a version's own training data, against which its traffic is compared"),
    (
        "limit",
        "the value that unchanged traffic seldom exceeds, set from runs of time blocks of the baseline; score 1.0 is at the limit",
    ),
    (
        "input drift",
        "Jensen-Shannon divergence (bits) of each input from the baseline, weighted by what the model uses, divided by its limit",
    ),
    ("prediction drift", "the same divergence for the model's scores; it needs no labels"),
    (
        "quality loss",
        "the part of the log-loss that recalibration on fresh labels would win back, over the last windows, divided by its limit",
    ),
    (
        "verdict",
        "stable, shifted (some score is over its limit), broken upstream (a fault of the feed), or not enough data",
    ),
    (
        "alarm",
        "a CloudWatch alarm on these scores; it needs several windows over the limit, and it asks for a retraining",
    ),
    (
        "episode",
        "one request for a retraining, from its trigger to its end: promoted, rejected, failed or rolled back; or refused, "
        "deferred or merged into another episode without a retraining of its own",
    ),
    ("gate", "promotes a challenger only if it beats the champion on a recent holdout that neither has trained on"),
    (
        "improvement, lower bound, margin",
        "mean log-loss won by the challenger; its cautious estimate; what is asked of it at least",
    ),
    ("log-loss", "mean of \N{MINUS SIGN}ln(probability given to what happened), nats per row; lower is better"),
    ("AUC", "chance that a positive row scores higher than a negative one; 0.5 is guessing, higher is better"),
)


def glossary() -> Html:
    """The list of terms."""
    return tag("dl", [tag("div", tag("dt", term), tag("dd", meaning)) for term, meaning in TERMS], class_="glossary")
