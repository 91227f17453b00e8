"""The SageMaker image of a model, found by region without asking anybody."""

from __future__ import annotations

import json
from pathlib import Path

from aws_cdk import Aws, CfnMapping, Fn
from constructs import Construct

from driftloop.spec.catalog import TRAINING_IMAGES

_DATA = Path(__file__).parents[1] / "data"
_TABLES = [json.loads((_DATA / f"{library}_registries.json").read_bytes()) for library in ("sklearn", "xgboost")]
_REGISTRIES = {table["repository"]: table["registries"] for table in _TABLES}


class TrainingImage(Construct):
    """Each region has its own registry account, which the SageMaker SDK knows and the data files repeat."""

    def __init__(self, scope: Construct, id: str, image: str) -> None:  # noqa: A002
        super().__init__(scope, id)
        self.repository, tag = TRAINING_IMAGES[image]
        if self.repository not in _REGISTRIES:
            raise ValueError(f"{self.repository} has no table of registries in infra/data")
        accounts = {region: {"account": account} for region, account in _REGISTRIES[self.repository].items()}
        self.account = CfnMapping(self, "Registry", mapping=accounts).find_in_map(Aws.REGION, "account")
        self.uri = Fn.join(
            "", [self.account, ".dkr.ecr.", Aws.REGION, ".", Aws.URL_SUFFIX, f"/{self.repository}:{tag}"]
        )
