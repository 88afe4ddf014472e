"""Least squares in exact arithmetic: moments as integers, and correctly rounded coefficients."""
