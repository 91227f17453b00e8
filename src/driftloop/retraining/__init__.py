"""Retraining is a decision with a record: pure functions from policy, ledger, evidence and time to a verdict."""
