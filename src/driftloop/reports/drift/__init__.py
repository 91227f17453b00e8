"""The page of one drift report: what one window showed, why, and what to do."""
