"""Building blocks of the stacks, one per file."""
