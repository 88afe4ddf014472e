"""Publish a version: build it in a hidden folder and rename it into place."""
