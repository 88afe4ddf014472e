"""Tables: files, object stores and dataframes, read as blocks of numbers.

`paths` and `frames` open a table, `table` reads it part by part (`parts`, `numbers`), and `shards`
divides it among workers. Polars is imported when a table is opened.
"""

from gradline.tables.files import Dialect, TableFile
from gradline.tables.parts import BLOCK_ROWS, Block, Part
from gradline.tables.paths import open_files
from gradline.tables.table import FrameTable

__all__ = ["BLOCK_ROWS", "Block", "Dialect", "FrameTable", "Part", "TableFile", "open_files"]
