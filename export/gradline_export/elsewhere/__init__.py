"""Packages of models that were learned elsewhere."""
