"""Deal rows to the holdout and to the folds, the same way for any block size."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from gradline.tables import Block
from gradline_trainer.options import Options

GROUP_ROWS = 100  # the holdout is drawn within each consecutive group of this many rows
FOLDS = 1  # salt: folds and holdout draw from different streams


def held_out_rows(block: Block, options: Options) -> NDArray[np.bool_]:
    """Choose which of a block's rows are held out, shape (rows,).

    Each group of 100 rows of a part is permuted, seeded by the run's seed and the rows' places, so
    that the choice is spread evenly over the table. A part of fewer rows is one group.
    """
    n = len(block)
    if not options.holdout or not n:
        return np.zeros(n, np.bool_)
    size = n if block.start == 0 and n < GROUP_ROWS else GROUP_ROWS
    return _ranks(block, size, options.seed, block.part) < round(options.holdout * size)


def dealt_folds(block: Block, folds: int | None, seed: int) -> NDArray[np.intp] | None:
    """Deal a block's rows to m folds, shape (rows,): each fold gets one of every m rows."""
    if not folds:
        return None
    return _ranks(block, folds, seed, block.part, FOLDS)


def _ranks(block: Block, size: int, *seed: int) -> NDArray[np.intp]:
    """Permute 0 … size − 1 within each group of `size` rows; return each row's number."""
    n = len(block.values)
    first = block.start // size
    groups = (block.start + n - 1) // size - first + 1
    places = np.arange(first * size, (first + groups) * size, dtype=np.uint64)
    keys = _scramble(places, seed).reshape(groups, size)
    ranks = np.argsort(np.argsort(keys, axis=1, kind="stable"), axis=1).ravel()
    return ranks[block.start - first * size :][:n]


def _scramble(places: NDArray[np.uint64], seed: Sequence[int]) -> NDArray[np.uint64]:
    """Draw a pseudo-random number for each place: splitmix64 (Steele, Lea and Flood, 2014)."""
    with np.errstate(over="ignore"):
        stream = np.random.SeedSequence(seed).generate_state(1, np.uint64)[0]
        z = stream + (places + np.uint64(1)) * np.uint64(0x9E3779B97F4A7C15)
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        keys: NDArray[np.uint64] = z ^ (z >> np.uint64(31))
    return keys
