"""A Ray cluster gives the same bytes and rows as this process, whoever is lost on the way."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from gradline.errors import GradlineError, InputError, MissingExtraError
from gradline.scoring import ray_cluster as on_ray
from gradline.scoring.open_engine import open_engine
from gradline.tables import open_files, shards
from gradline.tables.shards import uncut
from gradline_export import export_package
from gradline_trainer import fit, save_moments

ray: Any = pytest.importorskip("ray")
pytestmark = [
    pytest.mark.slow,
    # Ray leaves sockets and processes to the garbage collector.
    pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]

FEATURES = ["x0", "x1", "x2"]
MANY = [150_000, 5, 70_000, 0, 1_000, 140_000, 10]  # rows of the files
QUIET = {"include_dashboard": False, "object_store_memory": 80_000_000, "log_to_driver": False}
COMMAND = [sys.executable, "-m", "gradline"]


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Files of very different sizes, one of them without rows."""
    folder = tmp_path_factory.mktemp("table")
    generator = np.random.default_rng(5)
    for place, n in enumerate(MANY):
        X = generator.normal(size=(n, 3)) * [1, 100, 1e-3] + [0, 5000, 1]
        frame = pl.DataFrame(X, schema=FEATURES).with_columns(
            y=X @ [1.0, 0.02, 3000.0] + generator.normal(size=n),
            w=pl.Series(generator.integers(0, 4, n)),
            g=pl.Series(generator.choice(["a", "b", "c"], n), dtype=pl.String),
        )
        gaps = pl.int_range(pl.len()) % 1000 == 7
        frame = frame.with_columns(z=pl.when(gaps).then(None).otherwise(pl.col("x0").cos()))
        frame.write_parquet(folder / f"{place}.parquet", row_group_size=50_000)
    return folder


@pytest.fixture
def cut_small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Cuts a table of a few megabytes as one of many gigabytes would be."""
    monkeypatch.setattr(shards, "SHARD_BLOCKS", 2)
    monkeypatch.setattr(shards, "SHARD_BYTES", 100_000)


@pytest.fixture(scope="module")
def ended() -> Iterator[None]:
    """Ends the cluster with the last test; workers get what tests define here by its bytes."""
    ray.cloudpickle.register_pickle_by_value(sys.modules[__name__])
    yield
    ray.shutdown()


@pytest.fixture
def cluster(ended: None) -> None:
    """A cluster of two workers, the same for all tests but those that need another."""
    if not ray.is_initialized():
        ray.init(num_cpus=2, **QUIET)


OPTIONS: dict[str, dict[str, Any]] = {
    "fast": {"features": FEATURES, "arithmetic": "fast"},
    "exact": {"features": FEATURES, "arithmetic": "exact"},
    "weights": {"features": FEATURES, "sample_weight": "w"},
    "missing": {"features": [*FEATURES, "z"], "missing": "drop"},
    "mean": {"features": [*FEATURES, "z"], "missing": "mean"},
    "one-hot": {"features": [*FEATURES, "g"], "one_hot": "g", "sample_weight": "w"},
    "holdout": {"features": FEATURES, "holdout": 0.13, "seed": 4},
    "folds": {"features": FEATURES, "ridge": "auto", "folds": 3, "holdout": 0.1},
    "logged": {"features": FEATURES, "target": "log1p(w)", "holdout": 0.1, "ridge": "auto"},
    "robust": {"features": FEATURES, "robust": "HC3", "sample_weight": "w", "holdout": 0.5},
}


@pytest.fixture(scope="module")
def locally(files: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Any]:
    """The bytes of the package that this process makes with the options of that name."""

    @cache
    def made(name: str) -> dict[str, bytes]:
        return published(files, tmp_path_factory.mktemp("here"), **OPTIONS[name])

    return made


def published(table: Path | str, root: Path, **options: Any) -> dict[str, bytes]:
    """The bytes of the package's files."""
    found = fit(table, options.pop("target", "y"), **options)
    package = export_package(found, root, "m")
    return {path.name: path.read_bytes() for path in sorted(package.iterdir())}


@pytest.mark.usefixtures("cut_small", "cluster")
@pytest.mark.parametrize("name", OPTIONS)
def test_the_package_is_the_local_one_byte_for_byte(
    name: str, files: Path, tmp_path: Path, locally: Callable[[str], Any]
) -> None:
    there = published(files, tmp_path, engine="ray", **OPTIONS[name])
    assert "manifest.json" in there
    assert there == locally(name)


@pytest.mark.usefixtures("cut_small", "cluster")
@pytest.mark.parametrize(
    "options",
    [{}, {"features": ["*", "log(rank):g"], "holdout": 0.2, "sample_weight": "w"}],
)
def test_so_are_the_decisions_about_columns(options: dict[str, Any], tmp_path: Path) -> None:
    generator = np.random.default_rng(6)
    (tmp_path / "t").mkdir()
    for place, n in enumerate((9_000, 3, 4_000, 20_000)):
        at = np.datetime64("2020-01-01") + generator.integers(0, 1000, n).astype("m8[D]")
        frame = pl.DataFrame(
            {
                "x": generator.normal(size=n).round(3),
                "rank": generator.integers(1, 5, n),
                "w": generator.integers(0, 3, n),
                "g": generator.choice(["a", "b", "c"], n).tolist() if place else [None] * n,
                "price": [f"${k % 97}" if k % 50 else "?" for k in range(n)],
                "at": np.datetime_as_string(at).tolist(),
                "odd": [("<1", ">9", "T")[k % 3] if k % 40 == place else str(k) for k in range(n)],
                "one": ["same"] * n,
                "name": [f"{place}-{k}" for k in range(n)],
                "y": generator.normal(size=n).round(3),
            }
        )
        frame.write_parquet(tmp_path / "t" / f"{place}.parquet", row_group_size=1000)
    here = published(tmp_path / "t", tmp_path / "here", **options)
    assert published(tmp_path / "t", tmp_path / "there", engine="ray", **options) == here
    assert b"month(at)=" in here["manifest.json"]


@pytest.mark.usefixtures("cut_small", "cluster")
@pytest.mark.parametrize(
    "options",
    [{"holdout": 0.3, "sample_weight": "w"}, {"missing": "drop"}, {"target": "log1p(w)"}],
)
def test_so_is_that_of_a_table_too_wide_for_co_moments(
    options: dict[str, Any], files: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gradline_trainer.learning.WIDE", 2)
    monkeypatch.setattr("gradline_trainer.wide.streaming.FILE_BLOCK_BYTES", 1 << 20)
    monkeypatch.setattr("gradline_trainer.wide.streaming.CHUNK_BYTES", 1 << 18)
    options = {"features": [*FEATURES, "z"], "epochs": 3, "missing": "drop", **options}
    here = published(files, tmp_path / "here", **options)
    assert b"a wide table" in here["manifest.json"]
    assert published(files, tmp_path / "there", engine="ray", **options) == here


@pytest.mark.usefixtures("cut_small", "cluster")
def test_so_are_the_saved_moments(files: Path, tmp_path: Path) -> None:
    for engine in ("local", "ray"):
        found = fit(files, "y", FEATURES, engine=engine, keep_moments=True, holdout=0.1)
        save_moments(found, tmp_path / engine)
    assert (tmp_path / "ray").read_bytes() == (tmp_path / "local").read_bytes()


@pytest.mark.usefixtures("cut_small", "cluster")
def test_a_table_that_changes_between_passes_is_refused(files: Path, tmp_path: Path) -> None:
    folder = tmp_path / "t"
    shutil.copytree(files, folder)

    def change(stage: str, count: int) -> None:
        if stage == "epochs" and count == 1:
            pl.read_parquet(folder / "4.parquet").head(500).write_parquet(folder / "4.parquet")

    with pytest.raises(InputError, match="changed while it was read") as caught:
        fit(folder, "y", FEATURES, engine="ray", robust="HC1", progress=change)
    assert caught.value.code == "changed-data"


@pytest.mark.usefixtures("cluster")
@pytest.mark.parametrize("data", ["t.csv", "k=2/*.parquet"])
def test_workers_that_run_in_another_folder_find_the_table(
    data: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ray.get(ray.remote(lambda: None).remote())  # a worker is there, and does not go along
    monkeypatch.chdir(tmp_path)
    Path("k=2").mkdir()
    frame = pl.DataFrame({"x": range(50), "y": [i * 2.5 + i % 3 for i in range(50)]})
    frame.write_csv("t.csv")
    frame.write_parquet("k=2/t.parquet")
    here = published(data, tmp_path / "here")
    assert published(data, tmp_path / "there", engine="ray") == here
    package = next((tmp_path / "there").glob("m/1"))
    assert predict(package, data, Path("out"), "--engine", "ray")["rows"] == 50


@pytest.mark.usefixtures("cut_small", "cluster")
@pytest.mark.parametrize("suffix", ["csv", "arrow", "parquet"])
def test_so_is_that_of_a_table_of_one_file_and_one_block(suffix: str, tmp_path: Path) -> None:
    frame = pl.DataFrame({"x": range(500), "y": [i * 2.5 + i % 3 for i in range(500)]})
    data = tmp_path / f"t.{suffix}"
    {"csv": frame.write_csv, "arrow": frame.write_ipc, "parquet": frame.write_parquet}[suffix](data)
    here = published(data, tmp_path / "here")
    assert published(data, tmp_path / "there", engine="ray") == here


def test_shares_cover_every_row_once_at_its_own_place(
    files: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = open_files(files)
    whole = {(b.part, b.start): b.values for b in table.blocks(["x0", "y"])}
    for blocks, together in ((1, 0), (2, 100_000), (128, 1 << 30)):
        monkeypatch.setattr(shards, "SHARD_BLOCKS", blocks)
        monkeypatch.setattr(shards, "SHARD_BYTES", together)
        found: dict[tuple[int, int], Any] = {}
        for shard in shards.shards(table):
            for b in shard.table.blocks(["x0", "y"]):
                assert (b.part, b.start) not in found
                found[b.part, b.start] = b.values
                assert shard.table.label(b.part) == table.label(b.part)
        assert list(found) == list(whole)
        assert all((found[key] == whole[key]).all() for key in whole)


def test_a_large_file_that_cannot_be_cut_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for suffix in ("csv", "parquet"):
        frame = pl.DataFrame({"x": range(100)})
        (frame.write_csv if suffix == "csv" else frame.write_parquet)(tmp_path / f"t.{suffix}")
    assert uncut(open_files(tmp_path / "t.csv")) is None
    monkeypatch.setattr(shards, "SHARD_BYTES", 50)
    assert "t.csv is read by one task" in (uncut(open_files(tmp_path / "t.csv")) or "")
    assert uncut(open_files(tmp_path / "t.parquet")) is None


@pytest.mark.usefixtures("cluster")
def test_results_come_in_order_and_an_error_when_the_others_are_done(tmp_path: Path) -> None:
    def slow_first(item: int) -> int:
        time.sleep(0.5 if item == 0 else 0)
        return item * item

    def odd(item: int) -> int:
        if item == 1:
            raise InputError("one is odd", code="odd", hint="give two")
        (tmp_path / str(item)).touch()
        return item

    with open_engine("ray", None) as engine:
        assert engine is not None
        assert list(engine(slow_first, range(30))) == [i * i for i in range(30)]
        with pytest.raises(InputError, match="one is odd") as caught:
            list(engine(odd, range(20)))
    assert (caught.value.code, caught.value.hint) == ("odd", "give two")
    assert len(list(tmp_path.iterdir())) == 19


@pytest.mark.usefixtures("cluster")
def test_more_tasks_are_under_way_when_the_cluster_has_grown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Of cores that are only told of: it begins with none, where four tasks would be waited for."""
    cores = iter([{}, {}, {}, *[{"CPU": 5.0}] * 1000])
    monkeypatch.setattr(ray, "cluster_resources", lambda: next(cores))
    monkeypatch.setattr(on_ray, "AGAIN", 0.05)
    monkeypatch.setattr(on_ray, "PATIENCE", 0.06)

    def wait_for_all(item: int) -> int:
        ends = time.monotonic() + 30
        while not (tmp_path / "19").exists():
            assert time.monotonic() < ends
            time.sleep(0.05)
        return item

    def items() -> Iterator[int]:
        for item in range(20):
            (tmp_path / str(item)).touch()
            yield item

    assert list(on_ray._in_order(wait_for_all, items())) == list(range(20))
    assert capsys.readouterr().err.count("no machine of the Ray cluster has a CPU") == 1


@pytest.mark.usefixtures("cluster")
def test_what_a_workers_system_refuses_is_told_with_the_file(tmp_path: Path) -> None:
    path = tmp_path / ("long" * 70)
    with pytest.raises(InputError) as caught:
        list(on_ray._in_order(Path.read_bytes, [path]))
    assert str(caught.value).startswith(f"{path}: File name too long (")
    assert caught.value.code == "os-error"


@pytest.mark.usefixtures("cluster")
def test_an_address_is_that_of_the_cluster_that_is_connected(files: Path) -> None:
    connected = ray.get_runtime_context().gcs_address
    port = connected.rpartition(":")[2]
    for address in (connected, f"localhost:{port}", "auto", None):
        with open_engine("ray", address):
            pass
    with pytest.raises(InputError, match=f"Ray is connected to {connected} already") as caught:
        fit(files, "y", FEATURES, engine="ray", address="127.0.0.1:1")
    assert caught.value.code == "bad-option"


@pytest.mark.usefixtures("cut_small", "cluster")
def test_faults_are_counted_and_named_as_they_are_here(files: Path) -> None:
    told = []
    for engine in ("local", "ray"):
        with pytest.raises(InputError) as caught:
            fit(files, "y", [*FEATURES, "z"], engine=engine, strict=True)
        told.append((str(caught.value), caught.value.code, caught.value.hint))
    assert told[0] == told[1]
    assert "in row 8 of 0.parquet" in told[0][0]


@pytest.mark.usefixtures("cut_small", "cluster")
def test_a_corrupt_file_is_named_and_nothing_is_published(files: Path, tmp_path: Path) -> None:
    corrupt(files, tmp_path / "t")
    with pytest.raises(GradlineError, match=r"2\.parquet cannot be read"):
        published(tmp_path / "t", tmp_path / "out", features=FEATURES, engine="ray")
    assert not (tmp_path / "out").exists()


def corrupt(files: Path, folder: Path) -> None:
    """Copy the files, the third with pages that can't be decoded behind a footer that can."""
    folder.mkdir()
    for path in files.iterdir():
        data = bytearray(path.read_bytes())
        if path.name == "2.parquet":
            data[4 : len(data) // 2] = bytes(len(data) // 2 - 4)
        (folder / path.name).write_bytes(data)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"preconditioning": "none"}, "preconditioning 'none' keeps the rows"),
        ({"gradient": "rows"}, "gradient 'rows' keeps the rows"),
    ],
)
@pytest.mark.usefixtures("cluster")
def test_what_cannot_be_shared_out_is_refused_by_name(
    options: dict[str, str], message: str, files: Path
) -> None:
    with pytest.raises(InputError, match=message):
        fit(files, "y", FEATURES, engine="ray", **options)
    with pytest.raises(InputError, match="a table in memory"):
        fit({"x": [1.0, 2.0], "y": [1.0, 2.0]}, "y", engine="ray")


# Scoring


@pytest.fixture(scope="module")
def package(files: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return export_package(fit(files, "y", FEATURES), tmp_path_factory.mktemp("artifacts"), "m")


def predict(package: Path, data: Path | str, out: Path, *options: str) -> dict[str, Any]:
    """Predict in this process, so that its Ray cluster is used, and return what it says."""
    from click.testing import CliRunner

    from gradline.commands.predict import command

    arguments = [str(package), str(data), "-o", str(out), "--json", *options]
    done = CliRunner().invoke(command, arguments, catch_exceptions=False, standalone_mode=False)
    told: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])  # Ray may have said something
    return told


def joined(out: Path) -> pl.DataFrame:
    return pl.concat([pl.read_parquet(path) for path in sorted(out.glob("*.parquet"))])


@pytest.mark.usefixtures("cut_small", "cluster")
def test_scoring_writes_each_file_once_and_goes_on_where_it_ended(
    files: Path, package: Path, tmp_path: Path
) -> None:
    predict(package, files, tmp_path / "all.parquet", "--keep", "x0")
    out = tmp_path / "out"
    ours = ("--engine", "ray", "--keep", "x0")
    told = predict(package, files, out, *ours)
    assert (told["rows"], told["before"]) == (sum(MANY), 0)
    names = sorted(path.name for path in out.glob("*.parquet"))
    assert names[0] == "000000-000000-0.parquet"
    assert "000003-3.parquet" in names
    assert joined(out).equals(pl.read_parquet(tmp_path / "all.parquet"))
    lost = out / names[0]
    before = {path: path.stat().st_mtime_ns for path in out.iterdir() if path != lost}
    lost.unlink()
    (out / ".gradline-0123456789abcdef").write_bytes(b"half")  # of a writer that was killed
    told = predict(package, files, out, *ours)
    assert (told["rows"], told["files"], told["before"]) == (sum(MANY), len(names), len(names) - 1)
    assert before == {path: path.stat().st_mtime_ns for path in out.iterdir() if path != lost}
    assert joined(out).equals(pl.read_parquet(tmp_path / "all.parquet"))
    with pytest.raises(InputError, match="another model or of other options"):
        predict(package, files, out, "--engine", "ray")
    (out / "notes.txt").write_text("mine")
    with pytest.raises(InputError, match=r"'notes\.txt'"):
        predict(package, files, out, *ours)


@pytest.mark.usefixtures("cut_small", "cluster")
def test_what_is_in_the_folder_already_is_refused_by_name(
    files: Path, package: Path, tmp_path: Path
) -> None:
    (tmp_path / "000000-0.parquet").write_bytes(b"somebody's")
    with pytest.raises(InputError, match=r"'000000-0\.parquet'"):
        predict(package, files, tmp_path, "--engine", "ray")
    assert len(list(tmp_path.iterdir())) == 1


@pytest.mark.usefixtures("cluster")
def test_a_folder_is_written_to_by_one_run_at_a_time(
    files: Path, package: Path, tmp_path: Path
) -> None:
    (tmp_path / "out").mkdir()
    other = os.open(tmp_path / "out", os.O_RDONLY)
    fcntl.flock(other, fcntl.LOCK_EX)
    with pytest.raises(InputError, match="another run is writing to"):
        predict(package, files, tmp_path / "out", "--engine", "ray")
    assert not any((tmp_path / "out").iterdir())
    os.close(other)
    assert predict(package, files, tmp_path / "out", "--engine", "ray")["rows"] == sum(MANY)


@pytest.mark.usefixtures("cut_small", "cluster")
def test_a_corrupt_file_is_named_when_the_others_are_predicted_and_may_be_replaced(
    files: Path, package: Path, tmp_path: Path
) -> None:
    corrupt(files, tmp_path / "t")
    with pytest.raises(InputError, match=r"2\.parquet cannot be read"):
        predict(package, tmp_path / "t", tmp_path / "out", "--engine", "ray")
    assert len(joined(tmp_path / "out")) == sum(MANY) - MANY[2]
    shutil.copy(files / "2.parquet", tmp_path / "t")
    told = predict(package, tmp_path / "t", tmp_path / "out", "--engine", "ray")
    assert told["rows"] == sum(MANY)
    predict(package, files, tmp_path / "all.parquet")
    assert joined(tmp_path / "out").equals(pl.read_parquet(tmp_path / "all.parquet"))


@pytest.mark.usefixtures("cluster")
def test_an_answer_stands_for_no_other_file_and_no_other_reading(
    package: Path, tmp_path: Path
) -> None:
    """Files of one name, size and time, in two folders; text that is read in another way."""
    head, out = ",".join(FEATURES), tmp_path / "out"
    for place, value in (("a", 1), ("b", 2)):
        (tmp_path / place).mkdir()
        for number in range(2):
            path = tmp_path / place / f"{number}.csv"
            path.write_text(f"{head}\n" + ",".join([str(value)] * len(FEATURES)) + "\n")
            os.utime(path, (0, 0))
    ray_ = ("--engine", "ray")
    assert predict(package, tmp_path / "a", out, *ray_)["before"] == 0
    assert predict(package, tmp_path / "a", out, *ray_)["before"] == 2
    with pytest.raises(InputError, match=r"source of \S+000000-0\.parquet is another file"):
        predict(package, tmp_path / "b", out, *ray_)
    with pytest.raises(InputError, match="of other options"):
        predict(package, tmp_path / "a", out, *ray_, "--null=-999")
    (out / "000001-1.parquet").unlink()
    (tmp_path / "a" / "1.csv").write_text(f"{head}\n" * 2)
    with pytest.raises(InputError, match=r"1\.csv"):
        predict(package, tmp_path / "a", out, *ray_)
    os.utime(tmp_path / "a" / "0.csv", (1, 1))
    with pytest.raises(InputError, match="or has changed"):
        predict(package, tmp_path / "a", out, *ray_)


@pytest.mark.parametrize("kind", ["ndjson", "csv", "tsv.gz", "arrow"])
@pytest.mark.usefixtures("cluster")
def test_answers_of_every_form_are_counted_when_it_goes_on(
    kind: str, files: Path, tmp_path: Path
) -> None:
    """Of a file without rows, too, and of a target whose name holds another separator."""
    odd = {name: np.arange(5.0) ** power for power, name in enumerate(FEATURES, 1)}
    package = export_package(fit({**odd, "p|q": np.arange(5.0)}, "p|q"), tmp_path, "odd")
    (tmp_path / "t").mkdir()
    pl.DataFrame(odd).write_parquet(tmp_path / "t" / "0.parquet")
    pl.DataFrame(odd).clear().write_parquet(tmp_path / "t" / "1.parquet")
    for before in (0, 2):
        told = predict(
            package, tmp_path / "t", tmp_path / "out", "--engine", "ray", "--format", kind
        )
        assert (told["rows"], told["before"]) == (5, before)


@pytest.mark.usefixtures("cluster")
def test_a_folder_that_is_refused_loses_nothing(files: Path, package: Path, tmp_path: Path) -> None:
    (tmp_path / ".gradline-deadbeef").touch()
    (tmp_path / "notes.txt").touch()
    with pytest.raises(InputError, match=r"notes\.txt"):
        predict(package, files, tmp_path, "--engine", "ray")
    assert (tmp_path / ".gradline-deadbeef").exists()


# Workers and machines that are lost


def lose_workers(folder: Path, how: Callable[[], None], times: int) -> Callable[[Any, Any], Any]:
    """Return a replacement of `on_ray._run` whose first calls end their worker."""
    plain = on_ray._run

    def run(work: Any, item: Any, versions: Any) -> Any:
        for number in range(times):
            try:
                (folder / f"lost-{number}").touch(exist_ok=False)
            except FileExistsError:
                continue
            how()
        return plain(work, item, versions)

    return run


def kill_myself() -> None:
    time.sleep(0.2)  # in the middle: others are at work
    os.kill(os.getpid(), signal.SIGKILL)


@pytest.mark.usefixtures("cut_small", "cluster")
def test_a_killed_worker_changes_no_byte_and_no_row(
    files: Path,
    package: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    locally: Callable[[str], Any],
) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    monkeypatch.setattr(on_ray, "_run", lose_workers(tmp_path / "a", kill_myself, 2))
    there = published(files, tmp_path / "there", engine="ray", **OPTIONS["exact"])
    assert there == locally("exact")
    assert len(list((tmp_path / "a").iterdir())) == 2
    monkeypatch.setattr(on_ray, "_run", lose_workers(tmp_path / "b", kill_myself, 1))
    predict(package, files, tmp_path / "all.parquet")
    told = predict(package, files, tmp_path / "out", "--engine", "ray")
    assert len(list((tmp_path / "b").iterdir())) == 1
    assert told["rows"] == sum(MANY)
    assert joined(tmp_path / "out").equals(pl.read_parquet(tmp_path / "all.parquet"))
    assert not list((tmp_path / "out").glob(".gradline-*"))


@pytest.fixture(scope="module")
def machines(ended: None) -> Iterator[Any]:
    """A cluster whose head has one worker, in place of the other; machines come and go."""
    from ray.cluster_utils import Cluster

    ray.shutdown()
    # A machine that is gone is missed sooner than the 15 seconds that Ray gives it.
    sooner = {"health_check_period_ms": 500, "health_check_failure_threshold": 3}
    head = {"num_cpus": 1, "include_dashboard": False, "object_store_memory": 80_000_000}
    found = Cluster(initialize_head=True, head_node_args={**head, "_system_config": sooner})
    ray.init(found.address, log_to_driver=False)
    yield found
    ray.shutdown()
    found.shutdown()


def machine(machines: Any, workers: int) -> Any:
    node = machines.add_node(num_cpus=workers, object_store_memory=80_000_000)
    machines.wait_for_nodes()
    return node


@pytest.mark.usefixtures("cut_small")
def test_one_worker_gives_the_same_bytes_to_a_command_too(
    files: Path, tmp_path: Path, machines: Any, locally: Callable[[str], Any]
) -> None:
    assert ray.cluster_resources()["CPU"] == 1
    assert published(files, tmp_path, engine="ray", **OPTIONS["fast"]) == locally("fast")
    asked = ["train-and-export", str(files), "-t", "y", "--arithmetic", "exact", "--json"]
    asked += [part for name in FEATURES for part in ("-f", name)]
    asked += ["-o", str(tmp_path / "command"), "--name", "m", "--engine", "ray"]
    done = subprocess.run(
        [*COMMAND, *asked, "--address", machines.address],
        capture_output=True,
        text=True,
        check=True,
    )
    assert Path(json.loads(done.stdout)["path"]).parent == tmp_path / "command" / "m"
    made = {p.name: p.read_bytes() for p in (tmp_path / "command" / "m" / "1").iterdir()}
    assert made == locally("exact")


@pytest.mark.usefixtures("cut_small")
def test_neither_four_workers_nor_a_machine_that_goes_change_a_byte_or_a_row(
    files: Path,
    package: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    machines: Any,
    locally: Callable[[str], Any],
) -> None:
    other = machine(machines, workers=3)
    for name in ("fast", "exact"):
        assert published(files, tmp_path / name, engine="ray", **OPTIONS[name]) == locally(name)
    plain = on_ray._run

    def slowly(work: Any, item: Any, versions: Any) -> Any:
        host = os.environ.get("RAY_NODE_ID") or ray.get_runtime_context().get_node_id()
        (tmp_path / f"on-{host}").touch()
        time.sleep(0.5)
        return plain(work, item, versions)

    def stop(other: Any) -> None:
        gone = tmp_path / f"on-{other.node_id}"
        ends = time.monotonic() + 60
        while not gone.exists() and time.monotonic() < ends:  # until it is at work
            time.sleep(0.05)
        assert gone.exists()
        machines.remove_node(other, allow_graceful=False)

    monkeypatch.setattr(on_ray, "_run", slowly)
    with ThreadPoolExecutor(1) as pool:
        stopped = pool.submit(stop, other)
        there = published(files, tmp_path / "there", engine="ray", **OPTIONS["fast"])
        assert there == locally("fast")
        stopped.result()
        stopped = pool.submit(stop, machine(machines, workers=1))
        told = predict(package, files, tmp_path / "out", "--engine", "ray")
        stopped.result()
    assert told["rows"] == sum(MANY)
    predict(package, files, tmp_path / "all.parquet")
    assert joined(tmp_path / "out").equals(pl.read_parquet(tmp_path / "all.parquet"))


SLOW = """
import sys, time
from pathlib import Path
from gradline.scoring import ray_cluster as on_ray
from gradline.cli import main

def run(*_):
    Path("BEGUN").touch()
    time.sleep(300)

on_ray._run = run
main(sys.argv[1:])
"""


def test_sigterm_ends_a_command_and_the_ray_that_it_started(files: Path, tmp_path: Path) -> None:
    begun, mark = tmp_path / "begun", f"GRADLINE_TEST={os.getpid()}-{time.time_ns()}"
    program = SLOW.replace("BEGUN", str(begun))
    asked = ["train-and-export", str(files), "-t", "y", "-f", "x0", "--engine", "ray", "--json"]
    environment = {**os.environ, **dict([mark.split("=")]), "RAY_ADDRESS": "local"}
    command = subprocess.Popen(
        [sys.executable, "-c", program, *asked],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
        cwd=tmp_path,
    )
    ends = time.monotonic() + 90
    while not begun.exists() and time.monotonic() < ends:
        time.sleep(0.1)
    command.terminate()
    out, told = command.communicate(timeout=60)
    assert (command.returncode, out) == (128 + signal.SIGTERM, ""), told
    assert json.loads(told.splitlines()[-1])["error"] == "terminated"
    assert begun.exists()
    assert not list(tmp_path.glob("artifacts/*"))
    ends = time.monotonic() + 15
    while (left := of_environment(mark)) and time.monotonic() < ends:  # until they are reaped
        time.sleep(0.2)
    assert not left


def of_environment(mark: str) -> list[str]:
    """The processes that have this in their environment."""
    found = []
    for path in Path("/proc").glob("[0-9]*/environ"):
        with contextlib.suppress(OSError):
            if mark.encode() in path.read_bytes():
                found.append((path.parent / "cmdline").read_text())
    return found


# Bad input


def test_without_ray_the_extra_is_named(files: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(MissingExtraError) as caught:
        fit(files, "y", FEATURES, engine="ray")
    assert caught.value.hint.endswith('pip install ".[ray]"')


def test_ray_is_not_imported_unless_asked_for(tmp_path: Path) -> None:
    program = "import sys; from gradline_trainer import fit; fit(([[1.],[2.],[4.]],[1.,2.,3.])); "
    asked = [sys.executable, "-c", program + "assert 'ray' not in sys.modules"]
    subprocess.run(asked, check=True)


@pytest.mark.parametrize("address", ["127.0.0.1", "somewhere", "127.0.0.1:x", "ray://127.0.0.1:1"])
def test_an_address_of_no_use_is_refused(address: str, files: Path) -> None:
    ray.shutdown()
    with pytest.raises(InputError, match="expected HOST:PORT"):
        fit(files, "y", FEATURES, engine="ray", address=address)
    with pytest.raises(InputError, match="without engine 'ray'"):
        fit(files, "y", FEATURES, address=address)


def test_no_cluster_at_the_address_is_said_within_seconds(files: Path) -> None:
    ray.shutdown()
    started = time.monotonic()
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    with pytest.raises(InputError, match=f"no Ray cluster at {address}") as caught:
        fit(files, "y", FEATURES, engine="ray", address=address)
    assert caught.value.code == "no-cluster"
    assert time.monotonic() - started < 6


def test_the_last_cluster_here_that_died_is_told_within_seconds(
    files: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ray.shutdown()
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    (tmp_path / "ray").mkdir()
    (tmp_path / "ray" / "ray_current_cluster").write_text(address)
    monkeypatch.setenv("RAY_TMPDIR", str(tmp_path))
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    started = time.monotonic()
    with pytest.raises(InputError, match=f"no Ray cluster at {address}") as caught:
        fit(files, "y", FEATURES, engine="ray")
    assert "ray stop" in caught.value.hint
    assert time.monotonic() - started < 6


def test_sigterm_while_ray_starts_is_told_from_that_by_which_it_gives_up(
    files: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ray.shutdown()
    monkeypatch.setattr(ray, "init", lambda *_, **__: sys.exit(signal.SIGTERM))
    monkeypatch.setenv("RAY_ADDRESS", "local")
    with pytest.raises(SystemExit) as ended:
        fit(files, "y", FEATURES, engine="ray")
    assert ended.value.code == 128 + signal.SIGTERM
    monkeypatch.setattr(on_ray, "GIVES_UP", 0)
    with pytest.raises(InputError) as caught:
        fit(files, "y", FEATURES, engine="ray")
    assert str(caught.value) == "no Ray cluster on this machine could be reached or started"


def test_what_listens_but_lets_nobody_in_is_told_with_what_it_may_want(
    files: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise ConnectionError("Failed to connect to Ray cluster")

    ray.shutdown()
    monkeypatch.setattr(ray, "init", refuse)
    with socket.create_server(("127.0.0.1", 0)) as busy:
        address = f"127.0.0.1:{busy.getsockname()[1]}"
        monkeypatch.setenv("RAY_ADDRESS", address)
        with pytest.raises(InputError, match=f"{address} is not a Ray cluster, or refuses") as told:
            fit(files, "y", FEATURES, engine="ray")
    assert "RAY_AUTH_MODE=token" in told.value.hint


def test_other_versions_on_a_worker_are_named() -> None:
    assert on_ray._check_versions(on_ray._versions()) is None
    with pytest.raises(InputError, match=r"polars .* and not 0\.1"):
        on_ray._check_versions({**on_ray._versions(), "polars": "0.1"})
