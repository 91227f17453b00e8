"""A small model and its traffic, for tests."""
