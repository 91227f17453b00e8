"""SNS as the Notifier port."""

from __future__ import annotations

from typing import Any


class SnsNotifier:
    """Publishes to the kit's topic."""

    def __init__(self, sns: Any, topic_arn: str) -> None:
        self._sns = sns
        self._topic_arn = topic_arn

    def publish(self, subject: str, message: str) -> None:
        """Send one message; SNS takes subjects of at most 100 characters on one line."""
        self._sns.publish(TopicArn=self._topic_arn, Subject=" ".join(subject.split())[:100], Message=message)
