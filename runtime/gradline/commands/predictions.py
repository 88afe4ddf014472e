"""Write predictions to a file, to stdout or to a folder, and report what came of them."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gradline.explain.counts import Counts
from gradline.formatting import count
from gradline.scoring.folder import score_files
from gradline.tables.shards import uncut
from gradline.tables.writing import COPIED, table_bytes, write_table
from gradline.terminal.output import say, say_json, tell, warn
from gradline.terminal.progress import ProgressDisplay

if TYPE_CHECKING:
    import polars as pl

    from gradline.scoring.engine import Engine
    from gradline.scoring.rows import Scoring


def answer(scoring: Scoring, output: Path | None, kind: str, *, as_json: bool, quiet: bool) -> None:
    """Predict in this process, to a file or to stdout."""
    report = _report(scoring)
    is_read_on_terminal = output is None and not as_json and _is_terminal(sys.stdout)
    is_for_programs = as_json and not sys.stderr.isatty()
    frames = _with_progress(scoring, quiet=quiet or is_for_programs or is_read_on_terminal)
    if output is not None:
        write_table(frames, scoring.schema(), output, kind)
        if as_json:
            say_json({**report, "rows": scoring.counts.rows, "output": str(output)})
        elif not quiet:
            rows = count(scoring.counts.rows, "row")
            tell(f"{rows} predicted by {scoring.model.name}, written to {output}")
    elif as_json:
        _say_object(report, scoring, frames)
    else:
        for part in table_bytes(frames, scoring.schema(), kind):
            say(part)
    _warn(scoring, scoring.counts)


def answer_in_files(
    scoring: Scoring, folder: Path, kind: str, engine: Engine, *, as_json: bool, quiet: bool
) -> None:
    """Let an engine predict into a folder, a file for each file or piece of a large one."""
    with ProgressDisplay(quiet=quiet or as_json) as progress:
        progress.expect("rows", scoring.table.expected_rows() or 0)
        if note := uncut(scoring.table):
            progress.note(note)
        found = score_files(scoring, folder, kind, engine, progress)
    if as_json:
        figures = {"rows": found.rows, "files": found.files, "before": found.before}
        say_json({**_report(scoring), **figures, "output": str(folder)})
    elif not quiet:
        rows, files = count(found.rows, "row"), count(found.files, "file")
        before = f" ({found.before} of them before)" if found.before else ""
        tell(f"{rows} predicted by {scoring.model.name}, in {files}{before} in {folder}")
    _warn(scoring, found)


def _report(scoring: Scoring) -> dict[str, Any]:
    return {"name": scoring.model.name, "version": scoring.model.version}


def _is_terminal(stream: Any) -> bool:
    return stream is not None and stream.isatty()


def _with_progress(scoring: Scoring, *, quiet: bool) -> Iterator[pl.DataFrame]:
    with ProgressDisplay(quiet=quiet) as progress:
        progress.expect("rows", scoring.table.expected_rows() or 0)
        for frame in scoring.frames():
            yield frame
            progress("rows", scoring.counts.rows)


def _say_object(
    report: Mapping[str, object], scoring: Scoring, frames: Iterator[pl.DataFrame]
) -> None:
    """Print all predictions as one JSON object, once the last is made; never all in memory."""
    import json
    from tempfile import TemporaryFile

    from polars import Float64, selectors

    with TemporaryFile() as file:
        for frame in frames:
            rows = frame.with_columns(selectors.float().cast(Float64)).write_ndjson()
            between = "," if file.tell() and rows else ""
            file.write((between + rows.rstrip("\n").replace("\n", ",")).encode())
        file.seek(0)
        head = json.dumps({**report, "rows": scoring.counts.rows}, ensure_ascii=False)
        opened = f'{head.removesuffix("}")}, "predictions": ['
        say(opened.encode(errors="backslashreplace"))
        while part := file.read(COPIED):
            say(part)
        say(b"]}\n")


def _warn(scoring: Scoring, found: Counts) -> None:
    for note in (*scoring.table.notes, *found.warnings(str(scoring.unknown_category))):
        warn(note)
