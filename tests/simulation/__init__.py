"""The loop in virtual time."""
