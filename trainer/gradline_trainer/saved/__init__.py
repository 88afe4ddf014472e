"""Moments that outlive their table: saved, merged, subtracted and trained from."""
