"""Scoring: predictions for files and folders, on this machine or on a Ray cluster."""
