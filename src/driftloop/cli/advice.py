"""What to do about an episode, by the rule that kept it from starting or by where it stands."""

from __future__ import annotations

from driftloop.loop.announce import NEXT, what_to_do
from driftloop.retraining.episode import NEVER_RAN, Episode, Status

BY_RULE = {
    "wanted": "Add the trigger to retraining.on of the model file and deploy, or start one: {retrain}",
    "fresh": "The request was too old when it arrived. If it is still wanted: {retrain}",
    "served": "Bring labelled rows (driftloop history import) and ask for the first version: {retrain}",
    "resumed": "driftloop resume {model} ends the pause.",
    "alone": "Nothing: the episode that was under way comes first. driftloop episodes {model} shows it.",
    "sound": "Repair what delivers the columns; driftloop report {model} names them.",
    "of_this_version": "Nothing: if the alarm still stands once the new version has served long enough, it counts.",
    "hopeful": NEXT[Status.REFUSED],
    "cooled_down": "Wait for the end of the cooldown. A person need not: {retrain}",
    "backed_off": "Find out why retraining does not help (driftloop report {model}). A person need not wait: {retrain}",
    "learned_enough": "Wait for labelled rows, or check that labels arrive. A person need not wait: {retrain}",
    "within_day": "Wait (a person asks again), or raise retraining.budget.per_day in the model file.",
    "within_month": "Wait (a person asks again), or raise retraining.budget.per_month in the model file.",
    "affordable": "Wait (a person asks again), or raise retraining.budget.cost_per_month in the model file.",
}
"""Rule -> what to do about a request that it kept from starting."""
BY_STATUS = {
    Status.REQUESTED: "Nothing: the pipeline is being started. If it stays so, reconcile starts it within the hour.",
    Status.APPROVED: "Nothing: the version is about to be rolled out, as soon as no other rollout runs.",
    Status.ROLLING_OUT: "Nothing: it is watched while traffic moves; driftloop shadow tells of one that is a shadow first.",
    Status.PROMOTED: "Nothing: the version came to serve.",
    **{status: text for status, text in NEXT.items() if status not in NEVER_RAN},
}
"""Status -> what to do about an episode that ran or is about to."""


def next_step(episode: Episode) -> str:
    """What to do next; "Nothing: ..." says why there is nothing."""
    retrain = f'driftloop retrain {episode.model} --reason "..."'
    if episode.status is Status.FAILED:
        return what_to_do(episode)
    if episode.status in BY_STATUS:
        return BY_STATUS[episode.status]
    # An older version of the kit had other rules.
    text = BY_RULE.get(episode.rule, "Look at the reason. A person can ask at any time: {retrain}")
    return text.format(model=episode.model, retrain=retrain)
