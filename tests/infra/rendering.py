"""Templates as CloudFormation would see them in one account and region."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_PSEUDO = {
    "AWS::AccountId": "111122223333",
    "AWS::Region": "eu-central-1",
    "AWS::Partition": "aws",
    "AWS::URLSuffix": "amazonaws.com",
}


@dataclass(frozen=True)
class Template:
    """One synthesised template."""

    content: dict[str, Any]

    @classmethod
    def load(cls, folder: Path, stack: str) -> Template:
        return cls(json.loads((folder / f"{stack}.template.json").read_text()))

    def of_type(self, *types: str) -> dict[str, dict[str, Any]]:
        """Logical id -> rendered properties."""
        found = {name: item for name, item in self.content["Resources"].items() if item["Type"] in types}
        return {name: self.render(item.get("Properties", {})) for name, item in found.items()}

    def named(self, kind: str, key: str, name: str) -> dict[str, Any]:
        """Properties of the one resource of a type with a name."""
        (found,) = [item for item in self.of_type(kind).values() if item.get(key) == name]
        return found

    def render(self, value: Any) -> Any:  # noqa: PLR0911 - one case for each intrinsic function
        """Intrinsic functions replaced by text; what cannot be known before a deployment is <logical id.attribute>."""
        match value:
            case list():
                return [self.render(item) for item in value]
            case {"Ref": name}:
                return _PSEUDO.get(name, f"<{name}>")
            case {"Fn::GetAtt": [logical_id, attribute]}:
                return self._attribute(logical_id, attribute)
            case {"Fn::Join": [separator, parts]}:
                return separator.join(self.render(parts))
            case {"Fn::Sub": str(text)}:
                return _substitute(text, _PSEUDO)
            case {"Fn::Sub": [text, values]}:
                return _substitute(text, {**_PSEUDO, **self.render(values)})
            case {"Fn::FindInMap": keys}:
                name, first, second = self.render(keys)
                return self.content["Mappings"][name][first][second]
            case dict():
                return {name: self.render(item) for name, item in value.items()}
        return value

    def _attribute(self, logical_id: str, attribute: str) -> str:
        resource = self.content["Resources"][logical_id]
        name = self.render(resource.get("Properties", {}).get(_NAMES.get(resource["Type"], ""), None))
        if name is None or attribute not in ("Arn", "QueueName"):
            return f"<{logical_id}.{attribute}>"
        return name if attribute == "QueueName" else _ARNS[resource["Type"]].format(name=name)


def _substitute(text: str, values: dict[str, str]) -> str:
    filled = re.sub(r"\$\{([^!}][^}]*)\}", lambda match: values[match[1]], text)
    return filled.replace("${!", "${")


_NAMES = {
    "AWS::SQS::Queue": "QueueName",
    "AWS::S3::Bucket": "BucketName",
    "AWS::IAM::Role": "RoleName",
}
_ARNS = {
    "AWS::SQS::Queue": "arn:aws:sqs:eu-central-1:111122223333:{name}",
    "AWS::S3::Bucket": "arn:aws:s3:::{name}",
    "AWS::IAM::Role": "arn:aws:iam::111122223333:role/{name}",
}


def statements(template: Template) -> list[tuple[str, dict[str, Any]]]:
    """Role (its name, or logical id) and statement of all roles."""
    return [
        (role.get("RoleName", logical_id), statement)
        for logical_id, role in template.of_type("AWS::IAM::Role").items()
        for policy in role["Policies"]
        for statement in policy["PolicyDocument"]["Statement"]
    ]


def as_list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]
