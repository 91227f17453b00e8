"""Rules about what people meet when they run the kit."""

from __future__ import annotations

from collections.abc import Iterator

from infra.rules.breach import Breach, Template, as_text, resources

MODEL_STACK_RESOURCES = 30
"""A hundred models in one account must stay easy to deploy and to look at."""


def log_retention(template: Template) -> Iterator[Breach]:
    """Logs do not stay for ever."""
    for name, properties in resources(template, "AWS::Logs::LogGroup"):
        if not properties.get("RetentionInDays"):
            yield Breach("log-retention", name, "has no RetentionInDays")


def function_logs(template: Template) -> Iterator[Breach]:
    """Each function has its log group in the template; Lambda would make one without retention."""
    groups = {properties.get("LogGroupName") for _, properties in resources(template, "AWS::Logs::LogGroup")}
    for name, properties in resources(template, "AWS::Lambda::Function"):
        if f"/aws/lambda/{properties.get('FunctionName')}" not in groups:
            yield Breach("function-logs", name, "has no log group in this template")


def dead_letters(template: Template) -> Iterator[Breach]:
    """Nothing that could not be done or delivered is lost."""
    queues = dict(resources(template, "AWS::SQS::Queue"))
    redrives = " ".join(
        as_text(properties["RedrivePolicy"]) for properties in queues.values() if "RedrivePolicy" in properties
    )
    for name, properties in queues.items():
        is_last = name in redrives or str(properties.get("QueueName")).endswith("-dlq")
        if "RedrivePolicy" not in properties and not is_last:
            yield Breach("dead-letters", name, "has no dead-letter queue and is none")
    for name, properties in resources(template, "AWS::Events::Rule"):
        if not all("DeadLetterConfig" in target for target in properties.get("Targets", ())):
            yield Breach("dead-letters", name, "has a target without DeadLetterConfig")
    for name, properties in resources(template, "AWS::Scheduler::Schedule"):
        if "DeadLetterConfig" not in properties["Target"]:
            yield Breach("dead-letters", name, "has no DeadLetterConfig")


def small_model_stack(template: Template) -> Iterator[Breach]:
    """What all models share belongs to the platform."""
    count = len(template.get("Resources", {}))
    pipeline = next(resources(template, "AWS::SageMaker::Pipeline"), None)
    if pipeline and count > MODEL_STACK_RESOURCES:
        yield Breach("small-model-stack", pipeline[0], f"the stack has {count} resources, over {MODEL_STACK_RESOURCES}")
