"""SageMaker's Spark image, found by region without asking anybody."""

from __future__ import annotations

import json
from pathlib import Path

from aws_cdk import Aws, CfnMapping, Fn
from constructs import Construct

_IMAGE = json.loads((Path(__file__).parents[1] / "data" / "spark_registries.json").read_text(encoding="utf-8"))


class SparkImage(Construct):
    """Each region has its own registry account, which the SageMaker SDK knows and the data file repeats."""

    def __init__(self, scope: Construct, id: str) -> None:  # noqa: A002
        super().__init__(scope, id)
        self.repository: str = _IMAGE["repository"]
        accounts = {region: {"account": account} for region, account in _IMAGE["registries"].items()}
        self.account = CfnMapping(self, "Registry", mapping=accounts).find_in_map(Aws.REGION, "account")
        parts = [self.account, ".dkr.ecr.", Aws.REGION, ".", Aws.URL_SUFFIX, f"/{self.repository}:{_IMAGE['tag']}"]
        self.uri = Fn.join("", parts)
