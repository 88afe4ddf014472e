"""Measure gradline's speed, as ratios to unavoidable costs and to its peers."""
