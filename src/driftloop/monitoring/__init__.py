"""Monitoring mathematics, pure: profiles of traffic, baselines with calibrated limits, drift and quality."""
