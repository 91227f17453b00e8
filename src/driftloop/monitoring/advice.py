"""What a report says in words: why, and what to do next."""

from __future__ import annotations

from collections.abc import Sequence

from driftloop.monitoring.faults import Fault, FaultKind
from driftloop.monitoring.report import FeatureReport, Rule, RuleName, Verdict

_REPAIRS = {
    FaultKind.MISSING: "find out why the feed leaves it empty",
    FaultKind.CONSTANT: "look for a stuck sensor, a default value or a join that finds nothing",
    FaultKind.UNIT: "convert it back, or declare the new unit in the model file and retrain",
    FaultKind.SWAPPED: "put the columns back in the model file's order",
    FaultKind.ENCODING: "send the names that the model was trained on",
    FaultKind.UNSEEN: "if the new categories are real, retrain once they have labels; if not, repair what writes them",
    FaultKind.RANGE: "repair what measures it, or widen its range in the model file if such values can be real",
    FaultKind.DUPLICATED: "look for a client that sends each request twice, or an upload that was repeated",
    FaultKind.STANDSTILL: "look for a clock or a batch job that writes one time for all rows",
}


def reason(rule: Rule, features: Sequence[FeatureReport]) -> str:
    """Why a rule fired, in a sentence."""
    times = f"{rule.score:.2f} times"
    if rule.name is RuleName.INPUT_DRIFT:
        causes = ", ".join(f"{feature.name} ({feature.cause:.0%})" for feature in features[:3] if feature.cause >= 0.01)
        return f"inputs moved {times} as far as the limit, mostly {causes}"
    if rule.name is RuleName.PREDICTION_DRIFT:
        return f"predictions moved {times} as far as the limit"
    if rule.name is RuleName.ESTIMATED_LOSS:
        return f"the log-loss to expect of these predictions rose {times} as far as the limit"
    return f"loss that recalibration would win back is {times} its limit"


def next_steps(model: str, verdict: Verdict, rules: Sequence[Rule], faults: Sequence[Fault], rows: int) -> list[str]:
    """What people should do, the most useful first; empty if nothing."""
    if verdict is Verdict.BROKEN_UPSTREAM:
        repairs = [f"{', '.join(fault.columns) or 'traffic'}: {_REPAIRS[fault.kind]}" for fault in faults]
        return [*repairs, f"then count the repaired traffic again: driftloop backfill {model} --from ... --to ..."]
    if verdict is Verdict.NOT_ENOUGH_DATA and not rows:
        return ["check that requests are captured and that their event times advance"]
    if verdict is not Verdict.SHIFTED:
        return []
    fired = {rule.name for rule in rules if rule.fired}
    steps = []
    if RuleName.OBSERVED_QUALITY in fired:
        steps.append(
            f"retrain, which wins this back: by itself if the alarm lasts, or driftloop retrain {model} --reason ..."
        )
    if fired & {RuleName.INPUT_DRIFT, RuleName.PREDICTION_DRIFT}:
        steps.append(
            "look at the first causes: if the world has changed, a retraining learns it as soon as labels show it"
        )
    if RuleName.ESTIMATED_LOSS in fired:
        steps.append(
            "rows are harder to predict than usual, which retraining alone does not change: compare with labels"
        )
    return steps
