"""Explain predictions: contributions of features, training ranges, leverage."""

#: Features of a model with a leverage: with more, it takes much of a prediction's time.
MOST_FEATURES = 32
