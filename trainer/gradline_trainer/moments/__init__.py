"""Moments: what the descent needs of the rows, gathered in one pass."""
