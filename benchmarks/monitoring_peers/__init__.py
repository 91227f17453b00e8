"""Tools that make a drift report of one capture file, one module each: ours, the peers' and the floor."""
