"""Exact arithmetic: moments as integers, and what follows from them to the last digit."""
