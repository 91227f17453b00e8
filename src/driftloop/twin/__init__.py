"""The twin: an embedded AWS on the developer's machine, into which the real CDK deploys the real templates."""
