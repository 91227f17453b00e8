"""Rules as CDK wants them: one object that looks at the whole app and says what is wrong."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import aws_cdk as cdk
import jsii

Check = Callable[[cdk.IPolicyValidationContext], Sequence[cdk.PolicyViolation]]


@jsii.implements(cdk.IPolicyValidationPlugin)
class Plugin:
    """A named check. CDK asks for the properties by name, so they cannot be plain attributes."""

    def __init__(self, name: str, check: Check) -> None:
        self._name, self._check = name, check

    @property
    def name(self) -> str:
        """Name in the report."""
        return self._name

    @property
    def version(self) -> str | None:
        """Not told: nobody counts the uses of these rules."""
        return None

    @property
    def rule_ids(self) -> list[str] | None:
        """Not told either."""
        return None

    def validate(self, context: cdk.IPolicyValidationContext) -> cdk.PolicyValidationPluginReport:
        """Run the check."""
        violations = list(self._check(context))
        return cdk.PolicyValidationPluginReport(success=not violations, violations=violations)
