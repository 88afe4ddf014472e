"""The tutorial's table: five regions' weather and the fruit that they yield."""

from __future__ import annotations

import numpy as np

from gradline_trainer.rows.arrays import ArrayTable

FEATURES = ["temperature", "rainfall", "humidity"]  # °F, mm, %
TARGETS = ["apples", "oranges"]  # tons
REGIONS = ["Kanto", "Johto", "Hoenn", "Sinnoh", "Unova"]
ROWS = [
    [73, 67, 43, 56, 70],
    [91, 88, 64, 81, 101],
    [87, 134, 58, 119, 133],
    [102, 43, 37, 22, 37],
    [69, 96, 70, 103, 119],
]


def orchard() -> ArrayTable:
    """Return the table, one row per region, without the regions' names."""
    return ArrayTable([np.array(ROWS, np.float64)], FEATURES + TARGETS)
