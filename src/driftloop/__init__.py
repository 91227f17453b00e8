"""driftloop keeps a deployed machine-learning model good: drift, retraining, an honest gate, a safe rollout."""
