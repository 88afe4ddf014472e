"""The index that pandas stores in a Parquet file as a column, and names in the metadata.

The format: https://pandas.pydata.org/docs/development/developer.html.
"""

from __future__ import annotations

import json
from pathlib import Path

from gradline.tables.lazy_polars import pl
from gradline.tables.parts import Part

PARQUET = (".parquet", ".pq")


def index_names(part: Part) -> frozenset[str]:
    """List the columns of a file that pandas wrote as its index; none for other files."""
    if not isinstance(part.path, Path) or part.path.suffix.lower() not in PARQUET:
        return frozenset()
    try:
        written = json.loads(pl.read_parquet_metadata(part.path)["pandas"])["index_columns"]
    except (LookupError, ValueError, TypeError):
        return frozenset()
    return frozenset(name for name in written if isinstance(name, str))
