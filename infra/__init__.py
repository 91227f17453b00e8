"""Infrastructure as CDK code. Pure: no AWS call, no clock and no look-up at synth."""
