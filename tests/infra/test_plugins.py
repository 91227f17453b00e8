"""Rules stop the synth: findings that nobody acknowledged, acknowledgements of nothing, and the kit's own rules."""

from __future__ import annotations

from pathlib import Path

import aws_cdk as cdk
import pytest
from aws_cdk import aws_logs as logs
from aws_cdk import aws_s3 as s3

from infra.acknowledge import acknowledge
from infra.rules import aws_solutions, template_rules

UNLOGGED = {"AwsSolutions-S1": "nobody reads it"}


def stack(folder: Path) -> tuple[cdk.App, cdk.Stack]:
    context = {"aws:cdk:enable-path-metadata": True}
    app = cdk.App(context=context, outdir=str(folder), analytics_reporting=False)
    cdk.Validations.of(app).add_plugins(aws_solutions(), template_rules())
    return app, cdk.Stack(app, "Stack")


def bucket(scope: cdk.Stack) -> s3.Bucket:
    return s3.Bucket(scope, "Bucket", enforce_ssl=True, block_public_access=s3.BlockPublicAccess.BLOCK_ALL)


def refused(app: cdk.App, folder: Path) -> str:
    with pytest.raises(RuntimeError, match="ValidationFailed"):
        app.synth()
    return (folder / "validation-report.json").read_text()


def test_a_finding_fails_the_synth(tmp_path: Path) -> None:
    app, scope = stack(tmp_path)
    bucket(scope)
    assert "AwsSolutions-S1" in refused(app, tmp_path)


def test_an_acknowledged_finding_passes_and_its_reason_is_in_the_template(tmp_path: Path) -> None:
    app, scope = stack(tmp_path)
    acknowledge(bucket(scope), UNLOGGED)
    app.synth()
    assert "nobody reads it" in (tmp_path / "Stack.template.json").read_text()


def test_a_stale_acknowledgement_fails_the_synth(tmp_path: Path) -> None:
    app, scope = stack(tmp_path)
    acknowledge(bucket(scope), {**UNLOGGED, "AwsSolutions-S10": "encrypted in transit already"})
    report = refused(app, tmp_path)
    assert "Stale[AwsSolutions-S10]" in report
    assert "AwsSolutions-S1]" not in report


def test_a_breach_of_the_kits_own_rules_fails_the_synth(tmp_path: Path) -> None:
    app, scope = stack(tmp_path)
    logs.CfnLogGroup(scope, "Logs", log_group_name="/some")
    report = refused(app, tmp_path)
    assert "log-retention" in report
    assert "has no RetentionInDays" in report
