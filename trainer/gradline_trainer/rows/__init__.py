"""Rows: a table's training rows in blocks, and passes over them."""
