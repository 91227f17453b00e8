"""Pipeline definitions, their compiled JSON and the scripts of their steps."""
