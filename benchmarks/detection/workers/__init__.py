"""Programs that run in the peers' own environments: read windows, answer with alarms. They import no driftloop."""
