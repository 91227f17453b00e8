"""A role that one AWS service takes, with one inline policy made of grants."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from aws_cdk import Aws
from aws_cdk import aws_iam as iam
from constructs import Construct

from infra.acknowledge import acknowledge
from infra.grants import Grant


class ServiceRole(Construct):
    """The policy is written out in full: nothing that is connected to the role later can widen it."""

    def __init__(
        self,
        scope: Construct,
        id: str,  # noqa: A002 - the name that CDK gives it
        *,
        service: str,
        grants: Sequence[Grant],
        values: Mapping[str, str],
        description: str,
        name: str | None = None,
    ) -> None:
        super().__init__(scope, id)
        trust: dict[str, object] = {
            "Effect": "Allow",
            "Principal": {"Service": f"{service}.amazonaws.com"},
            "Action": "sts:AssumeRole",
        }
        if service != "lambda":
            # Lambda takes roles on behalf of nobody but the function's own account; the others are told so.
            trust["Condition"] = {"StringEquals": {"aws:SourceAccount": Aws.ACCOUNT_ID}}
        statements = [grant.statement(values) for grant in grants]
        self.resource = iam.CfnRole(
            self,
            "Resource",
            assume_role_policy_document={"Version": "2012-10-17", "Statement": [trust]},
            description=description,
            role_name=name,
            policies=[
                iam.CfnRole.PolicyProperty(
                    policy_name="grants", policy_document={"Version": "2012-10-17", "Statement": statements}
                )
            ],
        )
        acknowledge(self.resource, {finding: grant.why for grant in grants for finding in grant.findings()})

    @property
    def arn(self) -> str:
        """ARN of the role."""
        return self.resource.attr_arn
