"""Data on its way: captured traffic, labels, windows and data sets. Pure: bytes in, values out."""
