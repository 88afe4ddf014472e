"""Packages that were damaged or forged, thousands of them, and the process that tries each one.

`python -m hostile PACKAGE...` prints what became of them; tests/test_fuzz.py says what may.
"""
