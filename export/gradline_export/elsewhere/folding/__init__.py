"""Turn the steps of a scikit-learn pipeline into sums of terms."""
