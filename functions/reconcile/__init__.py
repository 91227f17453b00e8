"""Repairs what events did not bring about."""
