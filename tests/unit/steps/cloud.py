"""S3 and SageMaker of a local moto server, with the example's buckets."""

from __future__ import annotations

import urllib.request
from pathlib import Path

import boto3

from tests.unit.steps.examples import ARTIFACTS, BASE, CURATED, LIVE, NAME

REGION = "eu-central-1"


class Cloud:
    """A fresh state of the server."""

    def __init__(self, url: str) -> None:
        urllib.request.urlopen(urllib.request.Request(f"{url}/moto-api/reset", method="POST")).close()  # noqa: S310
        self.environment = {
            "AWS_ENDPOINT_URL": url,
            "AWS_DEFAULT_REGION": REGION,
            "AWS_ACCESS_KEY_ID": "testing",
            "AWS_SECRET_ACCESS_KEY": "testing",
        }
        keys = {name.lower(): self.environment[name] for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")}
        session = boto3.Session(region_name=REGION, **keys)
        self.s3 = session.client("s3", endpoint_url=url)
        self.sagemaker = session.client("sagemaker", endpoint_url=url)
        for bucket in (LIVE, CURATED, ARTIFACTS):
            self.s3.create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": REGION})

    def put(self, bucket: str, key: str, content: bytes) -> None:
        """Create or replace an object."""
        self.s3.put_object(Bucket=bucket, Key=key, Body=content)

    def serve(self, archive: Path, version: str, endpoint: str = BASE) -> str:
        """An endpoint that serves an archive; the archive's URI."""
        key = f"models/{NAME}/{version}/model.tar.gz"
        uri = f"s3://{ARTIFACTS}/{key}"
        self.put(ARTIFACTS, key, archive.read_bytes())
        self.sagemaker.create_model(
            ModelName=version,
            ExecutionRoleArn="arn:aws:iam::123456789012:role/serving",
            PrimaryContainer={"Image": "image", "ModelDataUrl": uri},
        )
        variant = {
            "VariantName": "AllTraffic", "ModelName": version, "InstanceType": "ml.m5.large", "InitialInstanceCount": 1
        }  # fmt: skip
        self.sagemaker.create_endpoint_config(EndpointConfigName=version, ProductionVariants=[variant])
        self.sagemaker.create_endpoint(EndpointName=endpoint, EndpointConfigName=version)
        return uri
