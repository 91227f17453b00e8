"""How well is drift found and answered? Replays of labelled streams under several policies; see benchmarks/README.md."""
