"""The loop in virtual time, with everything going wrong that can, from a seed."""
