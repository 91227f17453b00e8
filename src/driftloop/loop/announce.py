"""People and other systems hear what happens to an episode."""

from __future__ import annotations

from dataclasses import dataclass

from driftloop.data.windows import iso
from driftloop.ports import Events, Ledger, Notifier
from driftloop.retraining.episode import Episode, Status

EPISODE_CHANGED = "Retraining Episode Changed"
"""``detail-type`` of the kit's event about a move."""
VERSION_CHANGED = "Serving Version Changed"
"""``detail-type`` of the kit's event about the end of a rollout."""
ASKS_A_PERSON = "hopeful"
"""The one rule whose refusals people are told of: nothing starts by itself any more."""
NEXT = {
    Status.STARTED: "Nothing: the gate decides about the challenger when it is trained.",
    Status.CANDIDATE: "Approve or reject the version in SageMaker Studio or with update-model-package.",
    Status.REJECTED: "Nothing: the champion goes on serving. The evaluation says where the challenger fell short.",
    Status.FAILED: "Look at the failed step's log; driftloop retrain starts another one by hand.",
    Status.ROLLED_BACK: "The version before serves again. Look at the endpoint's log and alarm before the next rollout.",
    Status.REFUSED: "Find out why retraining does not help; driftloop retrain starts one by hand.",
}
"""Status -> what whoever reads the message should do."""

MAKE_ROOM = (
    "What to do: have the quota raised (Service Quotas, Amazon SageMaker), or have the model file ask for less (serving.instance "
    "and serving.count, or serving.concurrency) and deploy it. It is tried again every few minutes. To give the version up for good, reject it."
)


@dataclass(frozen=True)
class Announcer:
    """The event bus hears of every move, people of those that they may want to act on.

    A move is written before it is announced, so after a crash in between nobody hears of it; the ledger has it. What the
    bus does not take is mailed all the same.
    """

    notifier: Notifier
    events: Events

    def moved(self, episode: Episode) -> None:
        """An episode has a new status."""
        try:
            self.events.put(EPISODE_CHANGED, _detail(episode))
        finally:
            if episode.status in NEXT and (episode.status is not Status.REFUSED or episode.rule == ASKS_A_PERSON):
                self.notifier.publish(f"[driftloop] {episode.model}: retraining {episode.status}", _message(episode))

    def move(self, ledger: Ledger, moved: Episode, expected: Status) -> bool:
        """Write an episode's next status and announce it. False if somebody else moved it: nothing is announced then."""
        written = ledger.move(moved, expected)
        if written:
            self.moved(moved)
        return written

    def serves(self, model: str, version: int, package_arn: str) -> None:
        """A rollout has ended well."""
        try:
            self.events.put(VERSION_CHANGED, {"model": model, "version": version, "model_package_arn": package_arn})
        finally:
            self.notifier.publish(f"[driftloop] {model}: version {version} serves", package_arn)

    def rolled_back(self, model: str, version: int, package_arn: str, reason: str) -> None:
        """A rollout has come to nothing."""
        detail = {"model": model, "version": version, "model_package_arn": package_arn, "rolled_back": reason}
        try:
            self.events.put(VERSION_CHANGED, detail)
        finally:
            self.notifier.publish(f"[driftloop] {model}: version {version} rolled back", reason)

    def waits(self, model: str, version: int, reason: str) -> None:
        """A rollout cannot begin before somebody has made room for it."""
        self.notifier.publish(f"[driftloop] {model}: version {version} waits for a quota", f"{reason}\n\n{MAKE_ROOM}\n")

    def asks_another(self, model: str, version: int, package_arn: str, reason: str) -> None:
        """A version was approved by somebody whose approval is not enough."""
        subject = f"[driftloop] {model}: version {version} needs a second person"
        self.notifier.publish(subject, f"{reason}\n\nIt waits for its approval again: {package_arn}\n")

    def shadows(self, model: str, version: int, package_arn: str) -> None:
        """A version answers unheard beside the one that serves."""
        self.notifier.publish(f"[driftloop] {model}: version {version} is a shadow", package_arn)

    def stays(self, model: str, version: int, reason: str, *, shadow: bool = False) -> None:
        """A version that was rejected serves on, or is a shadow still."""
        detail = {"model": model, "version": version, "rejected": reason}
        what = "is a shadow still" if shadow else "serves on"
        try:
            self.events.put(VERSION_CHANGED, detail)
        finally:
            self.notifier.publish(f"[driftloop] {model}: rejected version {version} {what}", reason)


def _detail(episode: Episode) -> dict[str, str | None]:
    texts = ("rule", "reason", "outcome", "by", "model_package_arn", "pipeline_execution_arn", "into")
    return {
        "model": episode.model,
        "episode": episode.id,
        "trigger": str(episode.trigger),
        "status": str(episode.status),
        **{name: getattr(episode, name) for name in texts},
        "until": iso(episode.until) if episode.until else None,
    }


def what_to_do(episode: Episode) -> str:
    """What whoever reads of an episode with a status of NEXT should do."""
    if episode.status is Status.FAILED and not episode.pipeline_execution_arn:
        return "Repair what the outcome names; then driftloop retrain starts another one."
    return NEXT[episode.status]


def _message(episode: Episode) -> str:
    lines = {
        "Episode": episode.id,
        "Trigger": episode.trigger,
        "Asked by": episode.by,
        "Reason": episode.reason,
        "Outcome": episode.outcome,
        "Execution": episode.pipeline_execution_arn,
        "Version": episode.model_package_arn,
        "What to do": what_to_do(episode),
        "The whole story": f"driftloop explain {episode.id}",
    }
    return "\n".join(f"{name}: {text}" for name, text in lines.items() if text) + "\n"
