"""Save moments to a file, and load them; see docs/moments.md.

It is a line of text, a line of JSON, float64 numbers in little-endian order, and the SHA-256 of
all that. Nothing in it is executed, and its size follows from its second line.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from gradline.atomic import write_named
from gradline.columns.encoding import dump_columns, parse_columns
from gradline.columns.kinds import Column
from gradline.columns.numpy_state import numpy_defaults
from gradline.columns.plan import Plan
from gradline.columns.targets import LogFunction
from gradline.errors import InputError
from gradline.package.strict_json import parse_strict
from gradline.tracebacks import short_tracebacks, warn_caller
from gradline_trainer.moments.moments import Moments
from gradline_trainer.moments.saved_moments import PRIVATE, MomentsFile, SavedMoments
from gradline_trainer.rows.columns import Columns
from gradline_trainer.saved.check import check_moments
from gradline_trainer.saved.findings import dump_findings, load_findings

if TYPE_CHECKING:
    from gradline_trainer.result import Fit

Array = NDArray[np.float64]
FORMATS = (1, 2)  # the second has terms, and targets learned as logarithms
MAGIC = b"gradline moments "
NUMBERS = np.dtype("<f8")
#: What parsing raises for JSON of another form.
UNFIT = (ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError)
DIGEST = hashlib.sha256().digest_size


@short_tracebacks
@numpy_defaults()
def load_moments(path: str | Path) -> SavedMoments:
    """Load the moments from a file that `save_moments` wrote; see docs/moments.md.

    Raises:
        InputError: For a file that can't be read, has another or a newer format or is damaged,
            and for moments that no table can have.
    """
    path = Path(path)
    try:
        with path.open("rb") as opened:
            data = opened.read(len(MAGIC))
            if data == MAGIC:  # any other file may be larger than memory
                data += opened.read()
    except OSError as error:
        raise InputError(
            f"cannot read {path}: {error.strerror}",
            code="no-data" if isinstance(error, FileNotFoundError) else "unreadable-data",
            hint="give a file that --save-moments wrote",
        ) from error
    file = MomentsFile(path.name, len(data), hashlib.sha256(data).hexdigest())
    return replace(parse_moments(data, path.name), file=file)


@short_tracebacks
def save_moments(found: Fit | SavedMoments, path: str | Path) -> None:
    """Save the moments that a fit was learned from, and replace the file if there is one.

    The same moments give the same bytes; docs/moments.md describes them, and who should not see
    them.

    Args:
        found: A fit with `keep_moments`, or moments that were merged or subtracted.
        path: The file; it appears there only when it is complete.

    Raises:
        InputError: For a fit that did not keep its moments.
        OutputError: If the file can't be written.

    Warns:
        GradlineWarning: If single rows can be computed from the moments.
    """
    saved = found if isinstance(found, SavedMoments) else found.gathered
    if saved is None:
        raise InputError(
            "the fit did not keep the moments that it was learned from",
            code="no-moments",
            hint="fit(..., keep_moments=True)",
        )
    parts = dump(saved)
    write_named(Path(path), lambda file: file.writelines(parts))
    if saved.reconstructible:
        warn_caller([f"{path}: {PRIVATE}"])


def dump(saved: SavedMoments) -> Iterator[bytes]:
    """Yield the parts of the file's bytes."""
    sealed = hashlib.sha256()
    header = _header(saved)
    text = json.dumps(header, ensure_ascii=False, allow_nan=False)
    version = FORMATS["terms" in header]
    for part in (MAGIC, f"{version}\n{text}\n".encode(), *_bodies(saved, header["ranges"])):
        sealed.update(part)
        yield part
    yield sealed.digest()


def _header(saved: SavedMoments) -> dict[str, Any]:
    columns, whole = saved.columns, saved.moments
    names = [*columns.features, *columns.targets]
    found = None if columns.survey is None else dump_findings(columns)
    return {
        "features": columns.features,
        "targets": columns.targets,
        **(found or {"columns": dump_columns(columns.inputs)}),
        "sample_weight": columns.weight,
        **({"target_functions": list(columns.functions)} if columns.functions else {}),
        "rows": {
            "read": saved.rows_read,
            "dropped": saved.rows_dropped,
            "held_out": saved.rows_held_out,
        },
        "filled": saved.filled,
        "float32": [name for name, flag in zip(names, whole.float32, strict=True) if flag],
        "ranges": not bool(np.isnan(whole.minimum).any()),
        "rounding": whole.rounding,
        "moments": [{"rows": m.rows, "log_weights": m.log_weights} for m in (whole, *saved.folds)],
    }


def _bodies(saved: SavedMoments, ranges: bool) -> Iterator[bytes]:
    p = len(saved.moments.mean)
    triangle = np.tril_indices(p)
    for m in (saved.moments, *saved.folds):
        extremes = [m.minimum, m.maximum] if ranges else []
        parts = [np.array([m.weight]), m.mean, m.mean_rest, *extremes, m.comoment[triangle]]
        yield np.concatenate(parts).astype(NUMBERS).tobytes()


def parse_moments(data: bytes, name: str) -> SavedMoments:
    """Parse a file's bytes; messages call the file `name`."""
    first, _, rest = data.partition(b"\n")
    header, _, body = rest.partition(b"\n")
    _check_frame(data, first, name)
    try:
        found = parse_strict(header.decode())
        return _parse(found, memoryview(body)[:-DIGEST])
    except UNFIT as error:
        if isinstance(error, InputError):
            raise
        raise InputError(
            f"{name} is not a valid file of saved moments: {error}",
            code="bad-moments",
            hint="get a new copy of the file",
        ) from error


def _check_frame(data: bytes, first: bytes, name: str) -> None:
    version = first.removeprefix(MAGIC)
    if not first.startswith(MAGIC) or not version.isdigit():
        raise InputError(
            f"{name} is not a file of saved moments",
            code="not-moments",
            hint="give a file that train-and-export --save-moments wrote",
        )
    if int(version[:9]) not in FORMATS:
        raise InputError(
            f"{name} has format {version[:9].decode()}, this gradline reads format {FORMATS[-1]}",
            code="newer-format",
            hint="pip install --upgrade gradline",
        )
    if hashlib.sha256(data[:-DIGEST]).digest() != data[-DIGEST:]:
        raise InputError(
            f"{name} does not match its seal: it is incomplete or was changed after it was written",
            code="broken-seal",
            hint="get a new copy of the file",
        )


def _parse(header: dict[str, Any], body: memoryview) -> SavedMoments:
    columns = _columns(header)
    names = [*columns.features, *columns.targets]
    p, ranges, rounding = len(names), header["ranges"], header["rounding"]
    counts = [header["rows"][which] for which in ("read", "dropped", "held_out")]
    sets = [(entry["rows"], entry["log_weights"]) for entry in header["moments"]]
    for number in (*counts, header["filled"], *(rows for rows, _ in sets)):
        if type(number) is not int or number < 0:
            raise ValueError(f"invalid count {number!r}")
    if type(ranges) is not bool or type(rounding) is not float or not 0 <= rounding < 1:
        raise ValueError("invalid ranges or rounding")
    if not sets or not all(type(logarithm) is int for _, logarithm in sets):
        raise ValueError("invalid list of moments")
    each = 1 + p * (4 if ranges else 2) + p * (p + 1) // 2
    if len(body) != each * len(sets) * NUMBERS.itemsize:
        raise ValueError(f"{len(body)} bytes of numbers for {len(sets)} moments of {p} columns")
    numbers = np.frombuffer(body, NUMBERS).astype(np.float64).reshape(len(sets), each)
    exactly = set(header["float32"])
    float32 = np.array([column in exactly for column in names])
    whole, *folds = (
        _moments(row, counted, float32, rounding, ranges=ranges)
        for row, counted in zip(numbers, sets, strict=True)
    )
    read, dropped, held_out = counts
    saved = SavedMoments(whole, folds, columns, read, dropped, held_out, header["filled"])
    check_moments(saved)
    return saved


def _columns(header: dict[str, Any]) -> Columns:
    features, targets, weight = (header[key] for key in ("features", "targets", "sample_weight"))
    if weight is not None and not isinstance(weight, str):
        raise ValueError("the sample weight is not a name")
    for names in (features, targets):
        if not isinstance(names, list) or not names:
            raise ValueError("it has no features or no targets")
        if not all(isinstance(column, str) for column in names):
            raise ValueError("a name is not text")
    if len({*features, *targets}) < len(features) + len(targets):
        raise ValueError("a name occurs twice")
    functions = _functions(header, len(targets))
    if "terms" in header:
        plan, survey, decisions = load_findings(header)
        if plan.features != features:
            raise ValueError("its terms are not its features")
        return Columns(
            *(plan, targets, weight, []),
            decisions=decisions,
            functions=functions,
            survey=survey,
        )
    inputs: Sequence[Column] = [Column(feature) for feature in features]
    if header["columns"] is not None:
        inputs = parse_columns(header["columns"], features)
    return Columns(Plan.of_columns(inputs), targets, weight, [], functions=functions)


def _functions(header: dict[str, Any], targets: int) -> tuple[LogFunction | None, ...]:
    if "target_functions" not in header:
        return ()
    found = header["target_functions"]
    if not isinstance(found, list) or len(found) != targets or not any(found):
        raise ValueError("not one function or null for each target")
    if not {"log", "log1p", None}.issuperset(found):
        raise ValueError("a target's function is not known")
    return tuple(found)


def _moments(
    row: Array,
    counted: tuple[int, int],
    float32: NDArray[np.bool_],
    rounding: float,
    *,
    ranges: bool,
) -> Moments:
    p = len(float32)
    mean, rest, *extremes = row[1 : 1 + p * (4 if ranges else 2)].reshape(-1, p)
    comoment = np.zeros((p, p))
    comoment[np.tril_indices(p)] = row[-(p * (p + 1) // 2) :]
    comoment += np.tril(comoment, -1).T
    minimum, maximum = extremes or np.full((2, p), np.nan)
    rows, logarithms = counted
    return Moments(
        rows, float(row[0]), mean, rest, comoment, minimum, maximum, float32, logarithms, rounding
    )
