"""Columns: a table's columns matched by name and made into the graph's input."""
