"""Explain predictions: contributions of features, training ranges, leverage."""
