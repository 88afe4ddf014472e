"""Explanations: contributions, training ranges and leverage of a row."""
