"""What the roles of one model may do. They are separate because two of them must never see the same data."""

from __future__ import annotations

from dataclasses import dataclass

from driftloop.names import ModelNames
from infra.grants import Grant
from infra.references import ANSWERED, ARTIFACTS, CURATED, KEY, LIVE, PARTITION, REGION, arn, bucket_arn, role_arn

CODE = ("CodeBucket", "CodeKey", "SpecKey")
"""Variables of the published code: bucket, key of the steps, key of the compiled model file."""

_CODE_BUCKET = f"arn:{PARTITION}:s3:::${{CodeBucket}}"
_JOBS = ("ProcessingJobs", "TrainingJobs")


@dataclass(frozen=True)
class RoleGrants:
    """Grants of one model's roles."""

    names: ModelNames
    batch: bool = False
    """Whether versions answer files of rows, too."""
    asynchronous: bool = False
    """Whether requests and answers are objects."""

    def pipeline(self) -> list[Grant]:
        """Runs jobs and registers what they made; reads the results that the gate asks for."""
        jobs = [arn("sagemaker", f"{kind}/pipelines-*") for kind in ("processing-job", "training-job")]
        packages = [
            arn("sagemaker", f"model-package-group/{self.names.base}"),
            arn("sagemaker", f"model-package/{self.names.base}/*"),
        ]
        roles = [role_arn(self.names.role(purpose, REGION)) for purpose in ("promotion", "training")]
        return [
            Grant(
                [
                    f"sagemaker:{verb}{kind}Job"
                    for kind in ("Processing", "Training")
                    for verb in ("Create", "Describe", "Stop")
                ]
                + ["sagemaker:AddTags"],
                jobs,
                "SageMaker names the jobs of a pipeline pipelines-<execution>-<step>",
            ),
            Grant(
                ["sagemaker:CreateModelPackage", "sagemaker:DescribeModelPackage", "sagemaker:AddTags"],
                packages,
                "the versions of the model's own group",
            ),
            Grant(
                ["iam:PassRole"],
                roles,
                condition={"StringEquals": {"iam:PassedToService": "sagemaker.amazonaws.com"}},
            ),
            self._read(ARTIFACTS, "evaluations", "models"),
            self._read(CURATED, "datasets"),
            *_volumes(),
        ]

    def promotion(self) -> list[Grant]:
        """The only role that sees live and curated data: it copies chosen columns from one to the other."""
        return [
            # Predictions without a label are only counted.
            self._read(LIVE, "labelled", "rows"),
            self._list(LIVE, "labelled", "rows"),
            self._read(CURATED, "history", "datasets"),
            self._list(CURATED, "history", "datasets"),
            self._write(CURATED, "datasets"),
            *self._job(),
        ]

    def training(self) -> list[Grant]:
        """Trains, validates and evaluates on curated data. Live data are refused outright."""
        return [
            Grant(["s3:*"], [bucket_arn(LIVE), bucket_arn(LIVE, "*")], effect="Deny"),
            self._read(CURATED, "datasets"),
            self._list(CURATED, "datasets"),
            self._read(ARTIFACTS, "models", "evaluations"),
            self._list(ARTIFACTS, "models", "evaluations"),
            self._write(ARTIFACTS, "models", "evaluations"),
            Grant(["sagemaker:DescribeEndpoint"], [arn("sagemaker", f"endpoint/{self.names.base}")]),
            Grant(
                ["sagemaker:DescribeEndpointConfig", "sagemaker:DescribeModel"],
                [arn("sagemaker", f"{kind}/{self.names.base}-v*") for kind in ("endpoint-config", "model")],
                "one configuration and one SageMaker model per version",
            ),
            *self._job(),
        ]

    def serving(self) -> list[Grant]:
        """Loads a version and writes what it was asked and answered."""
        files = [self._read(LIVE, "batch"), self._list(LIVE, "batch"), self._write(LIVE, "batch")]
        return [
            self._read(ARTIFACTS, "models"),
            self._list(ARTIFACTS, "models"),
            *(self._asynchronous() if self.asynchronous else (self._write_captures(),)),
            *(files if self.batch else ()),
            *_telemetry(f"Endpoints/{self.names.base}", *(("TransformJobs",) if self.batch else ())),
            *_image(),
            Grant(["kms:Decrypt", "kms:GenerateDataKey"], [KEY]),
        ]

    def _asynchronous(self) -> list[Grant]:
        """SageMaker captures nothing of these; it reads requests, writes what becomes of them, and tells."""
        place = f"asynchronous/{self.names.model}"
        asked, told = f"{place}/requests/*", [f"{place}/{kind}/*" for kind in ("answers", "failures")]
        return [
            Grant(["s3:GetObject"], [bucket_arn(LIVE, asked)], "the model's own requests"),
            Grant(["s3:ListBucket"], [bucket_arn(LIVE)], condition={"StringLike": {"s3:prefix": [asked]}}),
            Grant(["s3:PutObject"], [bucket_arn(LIVE, keys) for keys in told], "the model's own answers"),
            Grant(["sns:Publish"], [arn("sns", ANSWERED)]),
        ]

    def predict(self, *, captures: bool) -> list[Grant]:
        """Asks the model's own endpoint; writes captures where SageMaker does not."""
        grants = [
            Grant(["sagemaker:InvokeEndpoint"], [arn("sagemaker", f"endpoint/{self.names.base}")]),
            Grant(["ssm:GetParameter"], [arn("ssm", f"parameter{self.names.parameter}")]),
        ]
        return [*grants, self._write_captures()] if captures else grants

    def profile(self) -> list[Grant]:
        """Counts captures and tables with Spark; sees no label and writes nothing that is trained on."""
        captures = f"capture/{self.names.base}/*"
        return [
            Grant(
                ["s3:GetObject", "s3:GetObjectVersion"],
                [bucket_arn(LIVE, captures)],
                "captures of the model's own endpoint",
            ),
            Grant(["s3:ListBucketVersions"], [bucket_arn(LIVE)], condition={"StringLike": {"s3:prefix": [captures]}}),
            self._write(LIVE, "shards", "rows", "quarantine/capture"),
            self._read(CURATED, "tables"),
            self._list(CURATED, "tables"),
            self._read(ARTIFACTS, "evaluations"),
            self._write(ARTIFACTS, "profiles"),
            *self._job("MainKey"),
        ]

    def profile_pipeline(self) -> list[Grant]:
        """Runs the one job that profiles."""
        return [
            Grant(
                [f"sagemaker:{verb}ProcessingJob" for verb in ("Create", "Describe", "Stop")] + ["sagemaker:AddTags"],
                [arn("sagemaker", "processing-job/pipelines-*")],
                "SageMaker names the jobs of a pipeline pipelines-<execution>-<step>",
            ),
            Grant(
                ["iam:PassRole"],
                [role_arn(self.names.role("profile", REGION))],
                condition={"StringEquals": {"iam:PassedToService": "sagemaker.amazonaws.com"}},
            ),
            *_volumes(),
        ]

    def _job(self, *more: str) -> list[Grant]:
        keys = (*CODE[1:], *more)
        code = Grant(["s3:GetObject"], [f"{_CODE_BUCKET}/${{{key}}}" for key in keys])
        listing = Grant(
            ["s3:ListBucket"],
            [_CODE_BUCKET],
            condition={"StringLike": {"s3:prefix": [f"${{{key}}}*" for key in keys]}},
        )
        return [code, listing, *_telemetry(*_JOBS), *_image(), *_volumes()]

    def _write_captures(self) -> Grant:
        captures = bucket_arn(LIVE, f"capture/{self.names.base}/*")
        return Grant(["s3:PutObject"], [captures], "captures of the model's own endpoint")

    def _read(self, kind: str, *prefixes: str) -> Grant:
        return Grant(["s3:GetObject"], self._objects(kind, prefixes), "the model's own objects")

    def _write(self, kind: str, *prefixes: str) -> Grant:
        return Grant(["s3:PutObject"], self._objects(kind, prefixes), "the model's own objects")

    def _list(self, kind: str, *prefixes: str) -> Grant:
        own = [f"{prefix}/{self.names.model}/*" for prefix in prefixes]
        return Grant(["s3:ListBucket"], [bucket_arn(kind)], condition={"StringLike": {"s3:prefix": own}})

    def _objects(self, kind: str, prefixes: tuple[str, ...]) -> list[str]:
        return [bucket_arn(kind, f"{prefix}/{self.names.model}/*") for prefix in prefixes]


def _volumes() -> list[Grant]:
    """SageMaker encrypts the volumes of a job through a grant that is made in the role's name."""
    return [
        Grant(["kms:Decrypt", "kms:GenerateDataKey", "kms:DescribeKey"], [KEY]),
        Grant(["kms:CreateGrant"], [KEY], condition={"Bool": {"kms:GrantIsForAWSResource": "true"}}),
    ]


def _telemetry(*groups: str) -> list[Grant]:
    return [
        Grant(
            ["logs:CreateLogGroup", "logs:CreateLogStream", "logs:DescribeLogStreams", "logs:PutLogEvents"],
            [arn("logs", f"log-group:/aws/sagemaker/{group}:*") for group in groups],
            "the streams of SageMaker's own log groups",
        ),
        Grant(
            ["cloudwatch:PutMetricData"],
            ["*"],
            "CloudWatch knows no resources for this action; the namespace is fixed instead",
            {"StringLike": {"cloudwatch:namespace": "/aws/sagemaker/*"}},
        ),
    ]


def _image() -> list[Grant]:
    return [
        Grant(["ecr:GetAuthorizationToken"], ["*"], "ECR knows no resources for this action"),
        Grant(
            ["ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"],
            [f"arn:{PARTITION}:ecr:{REGION}:${{RegistryAccount}}:repository/${{Repository}}"],
        ),
    ]
