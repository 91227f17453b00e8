"""Lambda functions: parse, call, respond."""
