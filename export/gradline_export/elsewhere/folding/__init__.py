"""The steps of a scikit-learn pipeline as sums of terms."""
