"""Files as they flow: partitions, compression, change while they are read, progress, memory."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from gradline.errors import InputError
from gradline.tables import BLOCK_ROWS, open_files
from gradline.terminal.progress import ProgressDisplay
from gradline_trainer import Fit, fit

RNG = np.random.default_rng(4)


def frame(rows: int) -> pl.DataFrame:
    x = RNG.standard_normal((rows, 2))
    y = x @ [2.0, -1.0] + 3 + RNG.standard_normal(rows) / 10
    return pl.DataFrame({"a": x[:, 0], "b": x[:, 1], "y": y})


def assert_learned(found: Fit, whole: pl.DataFrame, features: list[str]) -> None:
    X = np.c_[whole.select(features).to_numpy(), np.ones(len(whole))]
    expected = np.linalg.lstsq(X, whole["y"].to_numpy(), rcond=None)[0]
    assert found.features == features
    values = np.append(found.weights.numpy()[0], found.bias.numpy())
    np.testing.assert_allclose(values, expected, rtol=1e-9)


@pytest.mark.parametrize("suffix", ["parquet", "csv"])
def test_partitions_are_columns(tmp_path: Path, suffix: str) -> None:
    parts = []
    for year, share in ((2023, "0.5"), (2024, "1.25"), (2026, "3")):
        folder = tmp_path / f"year={year}" / f"share={share}"
        folder.mkdir(parents=True)
        part = frame(20).with_columns(y=pl.col("y") + float(share))
        getattr(part, f"write_{suffix}")(folder / f"part.{suffix}")
        parts.append(part.with_columns(year=pl.lit(year), share=pl.lit(float(share))))
    (tmp_path / "notes").mkdir()
    frame(3).write_csv(tmp_path / "notes" / "other.csv")  # no partition
    whole = pl.concat(parts)
    for data in (tmp_path, tmp_path / "*" / "*" / f"*.{suffix}"):
        assert_learned(fit(data, "y", exclude="year"), whole, ["share", "a", "b"])
    assert open_files(tmp_path).names == ["year", "share", "a", "b", "y"]


def test_a_partition_of_names_is_text(tmp_path: Path) -> None:
    for site in ("north", "south%20west"):
        (tmp_path / f"site={site}").mkdir()
        frame(20).write_parquet(tmp_path / f"site={site}" / "part.parquet")
    found = fit(tmp_path, "y", one_hot="site")
    assert found.features == ["site=south west", "a", "b"]


def test_short_rows_of_a_zst_file_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "t.csv.zst"
    pl.scan_csv(b"a;b;y\n1;2;3\n2;3\n4;4;7\n".replace(b";", b",")).collect()
    rows = pl.DataFrame({"line": ["a,b,y", "1,2,3", "2,3", "4,4,7"]})
    rows.lazy().sink_csv(path, include_header=False, quote_style="never", compression="zstd")
    with pytest.raises(InputError, match="row 2 has 2 fields, the header has 3"):
        fit(path, "y", missing="drop")


@pytest.mark.parametrize("suffix", ["parquet", "csv"])
def test_a_file_that_changes_while_it_is_read_is_refused(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"t.{suffix}"
    table = frame(BLOCK_ROWS + 10)
    getattr(table, f"write_{suffix}")(path)
    before = path.stat()

    def touch(stage: str, count: int) -> None:
        os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns + 1))

    with pytest.raises(InputError, match=f"t.{suffix} changed while it was read") as caught:
        fit(path, "y", progress=touch)
    assert caught.value.code == "changed-data"


def test_a_file_that_disappears_is_named(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    frame(10).write_csv(path)
    table = open_files(path)
    path.unlink()
    with pytest.raises(InputError, match=r"t\.csv"):
        list(table.blocks(["a"]))


def test_words_in_a_later_file_are_named_with_file_and_row(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("a,y\n1,2\n2,3\n3,5\n")
    (tmp_path / "b.csv").write_text("a,y\n1,2\nmany,3\n")
    with pytest.raises(InputError, match=r"the first is in row 2 of b\.csv"):
        fit(tmp_path, "y", features="a", strict=True)
    assert "a=many" in fit(tmp_path, "y", features="a").features  # 4 of 5 values are numbers


def test_float32_columns_stay_float32_until_they_are_centred(tmp_path: Path) -> None:
    narrow = frame(40).select(pl.all().cast(pl.Float32))
    narrow.write_parquet(tmp_path / "t.parquet")
    (block,) = open_files(tmp_path / "t.parquet").blocks(["a", "y"])
    assert [piece.dtype for piece in block.pieces] == [np.float32]
    assert_learned(fit(tmp_path / "t.parquet", "y"), narrow.cast(pl.Float64), ["a", "b"])


@pytest.mark.parametrize("suffix", ["parquet", "ipc", "csv", "ndjson"])
def test_the_number_of_rows_is_known_beforehand(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"t.{'arrow' if suffix == 'ipc' else suffix}"
    getattr(frame(5000), f"write_{suffix}")(path)
    expected = open_files(path).expected_rows()
    assert expected == pytest.approx(5000, rel=0.02)
    if suffix in ("parquet", "ipc"):
        assert expected == 5000


def test_progress_says_how_long_it_takes(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    now = iter([100.0, 104.0])
    monkeypatch.setattr("gradline.terminal.progress.time.monotonic", lambda: next(now))
    with ProgressDisplay() as progress:
        progress.expect("rows", 3000)
        progress("rows", 0)
        progress("rows", 1000)
    assert capsys.readouterr().err == "1,000 rows, 250/s, about 8 s left\n"


MEASURED = """
import sys
from gradline_trainer import fit
fit(sys.argv[1], "column_0", arithmetic="fast")
print(next(line.split()[1] for line in open("/proc/self/status") if line.startswith("VmHWM")))
"""


def peak(path: Path) -> int:
    """Return the least peak memory of three runs, in kB: what other work delays is read ahead."""
    command = [sys.executable, "-c", MEASURED, str(path)]
    return min(int(subprocess.check_output(command)) for _ in range(3))


@pytest.mark.slow
@pytest.mark.alone
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="only Linux has it")
@pytest.mark.parametrize(
    ("suffix", "few", "many"), [("parquet", 2_000_000, 8_000_000), ("csv", 500_000, 2_000_000)]
)
def test_memory_does_not_grow_with_the_rows(
    tmp_path: Path, suffix: str, few: int, many: int
) -> None:
    whole = pl.DataFrame(RNG.standard_normal((many, 22)))
    peaks = []  # of files that are long enough to fill the reader's buffers
    for rows in (few, many):
        getattr(whole.head(rows), f"write_{suffix}")(tmp_path / f"{rows}.{suffix}")
        peaks.append(peak(tmp_path / f"{rows}.{suffix}"))
    assert peaks[1] <= 1.15 * peaks[0], peaks
