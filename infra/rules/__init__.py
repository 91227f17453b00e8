"""Rules that templates must keep; breaking one fails the synth."""

from infra.rules.nag import aws_solutions
from infra.rules.own import template_rules

__all__ = ["aws_solutions", "template_rules"]
