"""The bytes of a package: what each file holds, what none holds, and how a version appears."""

from __future__ import annotations

import base64
import errno
import hashlib
import json
import math
import os
import resource
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from google.protobuf.json_format import MessageToDict
from onnx import numpy_helper

import gradline
from gradline_export import export_package
from gradline_export.freeze.parity import golden_rows
from gradline_export.publish import publishing
from gradline_trainer import Fit, fit
from gradline_trainer.moments.moments import Moments
from gradline_trainer.orchard import FEATURES, TARGETS, orchard

NAMES = ["temperature °F", "雨量", 'the "wet" \\ share', "🍎"]
FILES = ["golden.json", "manifest.json", "model.onnx", "model.pt", "report.html"]
EXPORT = """
import sys
from gradline_export import export_package
from gradline_trainer import fit
export_package(fit(sys.argv[1], ["y0", "y1"]), sys.argv[2], "table")
"""


def contents(version: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(version.iterdir())}


def initializers(version: Path) -> tuple[np.ndarray, np.ndarray]:
    weights, bias = onnx.load(version / "model.onnx").graph.initializer
    return numpy_helper.to_array(weights).copy(), numpy_helper.to_array(bias).copy()


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A CSV file of 3,000 rows with 45 features, big enough for threads to share the work."""
    generator = np.random.default_rng(3)
    X = generator.normal(50, 10, size=(3000, 45))
    Y = X @ generator.normal(size=(45, 2)) + generator.normal(size=(3000, 2))
    header = ",".join([*(f"x{j}" for j in range(45)), "y0", "y1"])
    path = tmp_path_factory.mktemp("tables") / "table.csv"
    np.savetxt(path, np.hstack([X, Y]), "%.6f", ",", header=header, comments="")
    return path


@pytest.fixture(scope="module")
def table_package(table: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return export_package(fit(table, ["y0", "y1"]), tmp_path_factory.mktemp("artifacts"), "table")


@pytest.fixture(scope="module")
def float64_package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    trained = fit(orchard(), TARGETS, dtype="float64")
    return export_package(trained, tmp_path_factory.mktemp("artifacts"), "orchard")


@pytest.fixture(params=["orchard_package", "float64_package", "table_package"])
def package(request: pytest.FixtureRequest) -> Path:
    version: Path = request.getfixturevalue(request.param)
    return version


# The graph


@pytest.mark.parametrize(
    ("fixture", "dtype"), [("orchard_package", "float32"), ("float64_package", "float64")]
)
def test_the_onnx_file_is_one_gemm_and_nothing_else(
    fixture: str, dtype: str, orchard_fit: Fit, request: pytest.FixtureRequest
) -> None:
    version = request.getfixturevalue(fixture)
    element = {"float32": 1, "float64": 11}[dtype]

    def value(name: str, columns: str) -> dict[str, Any]:
        shape = {"dim": [{"dimParam": "N"}, {"dimValue": columns}]}
        return {"name": name, "type": {"tensorType": {"elemType": element, "shape": shape}}}

    def tensor(name: str, values: torch.Tensor) -> dict[str, Any]:
        raw = values.numpy().astype(np.dtype(dtype).newbyteorder("<")).tobytes()
        dims = [str(extent) for extent in values.shape]
        encoded = base64.b64encode(raw).decode()
        return {"dims": dims, "dataType": element, "name": name, "rawData": encoded}

    transposed = {"name": "transB", "i": "1", "type": "INT"}
    gemm = {"input": ["x", "W", "b"], "output": ["y"], "opType": "Gemm", "attribute": [transposed]}
    metadata = {
        "gradline.dtype": dtype,
        "gradline.features": '["temperature", "rainfall", "humidity"]',
        "gradline.format": "1",
        "gradline.name": "orchard",
        "gradline.targets": '["apples", "oranges"]',
    }
    assert MessageToDict(onnx.load(version / "model.onnx")) == {
        "irVersion": "7",
        "opsetImport": [{"domain": "", "version": "13"}],
        "producerName": "gradline",
        "modelVersion": "1",
        "graph": {
            "name": "gradline",
            "node": [gemm],
            "initializer": [tensor("W", orchard_fit.weights), tensor("b", orchard_fit.bias)],
            "input": [value("x", "3")],
            "output": [value("y", "2")],
        },
        "metadataProps": [{"key": key, "value": text} for key, text in metadata.items()],
    }


def test_names_of_any_script_are_kept_verbatim(tmp_path: Path) -> None:
    values = np.random.default_rng(0).normal(size=(20, 4))
    columns = dict(zip(NAMES, values.T, strict=True))
    version = export_package(fit(columns, NAMES[-1]), tmp_path, "names")
    metadata = {p.key: p.value for p in onnx.load(version / "model.onnx").metadata_props}
    assert json.loads(metadata["gradline.features"]) == NAMES[:-1]
    assert json.loads(metadata["gradline.targets"]) == NAMES[-1:]
    for name in (NAMES[0], NAMES[1]):
        assert name in metadata["gradline.features"]
        assert name.encode() in (version / "manifest.json").read_bytes()
    model = gradline.load(version)
    assert (model.features, model.targets) == (NAMES[:-1], NAMES[-1:])


# The other files


def test_a_package_holds_these_files_and_no_other(package: Path) -> None:
    assert [path.name for path in sorted(package.iterdir())] == FILES


def test_the_seal_is_the_last_member_and_hashes_all_bytes_before_it(package: Path) -> None:
    data = (package / "manifest.json").read_bytes()
    document = json.loads(data)
    body, _, rest = data.rpartition(b'"seal"')
    assert list(document)[-1] == "seal"
    assert document["seal"] == hashlib.sha256(body).hexdigest()
    assert rest == b': "' + document["seal"].encode() + b'"\n}\n'


def test_the_manifest_has_the_hash_and_size_of_every_other_file(package: Path) -> None:
    files = contents(package)
    document = json.loads(files.pop("manifest.json"))
    assert document["files"] == {
        name: {"sha256": hashlib.sha256(data).hexdigest(), "bytes": len(data)}
        for name, data in files.items()
    }


def test_the_manifest_names_input_files_by_base_name_size_and_hash(
    table: Path, table_package: Path
) -> None:
    data = table.read_bytes()
    record = {
        "name": "table.csv",
        "bytes": len(data),
        "sha256": hashlib.sha256(data).hexdigest(),
    }
    assert json.loads((table_package / "manifest.json").read_bytes())["training"]["files"] == [
        record
    ]


def test_torchscript_loads_with_torch_alone(package: Path) -> None:
    weights, bias = initializers(package)
    with torch.no_grad():
        script = torch.jit.load(package / "model.pt")
        x = torch.eye(weights.shape[1], dtype=torch.from_numpy(weights).dtype)
        answers = script(x).numpy()
    assert {name: tuple(b.shape) for name, b in script.named_buffers()} == {
        "weight": weights.shape,
        "bias": bias.shape,
    }
    assert np.array_equal(answers, weights.T + bias)


def test_the_torchscript_archive_is_stored_sorted_and_undated(package: Path) -> None:
    with zipfile.ZipFile(package / "model.pt") as archive:
        entries = archive.infolist()
    names = [entry.filename for entry in entries]
    assert names == sorted(names)
    assert not [n for n in names if n.endswith(("debug_pkl", "serialization_id"))]
    assert {entry.date_time for entry in entries} == {(1980, 1, 1, 0, 0, 0)}
    assert {entry.compress_type for entry in entries} == {zipfile.ZIP_STORED}


def test_torch_export_adds_a_program_that_loads_and_has_the_same_bytes_again(
    orchard_fit: Fit, tmp_path: Path
) -> None:
    versions = [
        export_package(orchard_fit, tmp_path, "orchard", torch_export=True) for _ in range(2)
    ]
    weights, bias = initializers(versions[0])
    program = torch.export.load(versions[0] / "model.pt2").module()
    for rows in (1, 3, 7):
        x = torch.eye(rows, 3)
        assert np.array_equal(program(x).numpy(), x.numpy() @ weights.T + bias)
    assert sorted(contents(versions[0])) == sorted([*FILES, "model.pt2"])
    assert contents(versions[0]) == contents(versions[1])


# What no file depends on


def test_the_same_fit_gives_the_same_bytes_in_any_folder_and_version(
    orchard_fit: Fit, orchard_package: Path, tmp_path: Path
) -> None:
    elsewhere = tmp_path / "elsewhere"
    again = [export_package(orchard_fit, elsewhere, "orchard") for _ in range(3)]
    assert [path.name for path in again] == ["1", "2", "3"]
    for version in again:
        assert contents(version) == contents(orchard_package)


def test_another_process_user_folder_and_thread_count_give_the_same_bytes(
    table: Path, table_package: Path, tmp_path: Path
) -> None:
    home = tmp_path / "home-of-margarethe"
    home.mkdir()
    copy = home / table.name
    copy.write_bytes(table.read_bytes())
    threads = "2" if torch.get_num_threads() == 1 else "1"
    surroundings = {
        "HOME": str(home),
        "USER": "margarethe",
        "LOGNAME": "margarethe",
        "TZ": "Asia/Kathmandu",
        "PYTHONHASHSEED": "7",
        "OMP_NUM_THREADS": threads,
        "OPENBLAS_NUM_THREADS": threads,
    }
    command = [sys.executable, "-c", EXPORT, str(copy), "packages"]
    subprocess.run(command, check=True, cwd=home, env={**os.environ, **surroundings})
    found = contents(home / "packages" / "table" / "1")
    assert found == contents(table_package)
    for data in found.values():
        for trace in (b"margarethe", str(tmp_path).encode(), str(Path.cwd()).encode()):
            assert trace not in data


# The golden rows


@pytest.mark.parametrize("d", [1, 3, 64, 65, 100, 1024, 1025, 5000])
def test_golden_rows_are_as_many_as_the_width_allows(d: int) -> None:
    low, high = -np.arange(1.0, d + 2), np.arange(2.0, d + 3)
    narrow = Moments.of(np.zeros((2, 1)))
    moments = replace(narrow, mean=(low + high) / 2, minimum=low, maximum=high)
    rows = golden_rows(moments, np.ones((1, d), np.float32), np.ones(1, np.float32), seed=0)
    assert rows.shape == (max(4, min(64, 4096 // d)), d)
    assert rows.dtype == np.float32
    assert ((low[:d] <= rows) & (rows <= high[:d])).all()


def test_golden_rows_hold_mean_extremes_and_zeros_but_no_training_row(
    orchard_package: Path,
) -> None:
    values = orchard().values[:, : len(FEATURES)]
    golden = json.loads((orchard_package / "golden.json").read_bytes())
    rows = [tuple(row) for row in golden["inputs"]]
    for wanted in (values.mean(axis=0), values.min(axis=0), values.max(axis=0), np.zeros(3)):
        assert tuple(wanted.astype(np.float32).tolist()) in rows
    assert not {tuple(row) for row in values.tolist()} & set(rows)
    assert len(set(rows)) == len(rows) == 64


def test_golden_inputs_are_numbers_of_the_graphs_dtype(package: Path) -> None:
    golden = json.loads((package / "golden.json").read_bytes())
    inputs = np.array(golden["inputs"])
    dtype = initializers(package)[0].dtype
    assert golden["dtype"] == str(dtype)
    assert np.array_equal(inputs, inputs.astype(dtype))


def test_golden_outputs_are_exact_and_bounds_are_the_analytic_ones(package: Path) -> None:
    golden = json.loads((package / "golden.json").read_bytes())
    weights, bias = initializers(package)
    u = Fraction(float(np.finfo(weights.dtype).eps)) / 2
    m = weights.shape[1] + 2
    gamma = m * u / (1 - m * u)
    floor = 2 * m * Fraction(float(np.finfo(weights.dtype).tiny))
    factors = [[Fraction(float(w)) for w in row] for row in weights]
    offsets = [Fraction(float(b)) for b in bias]
    for row, outputs, bounds in zip(
        *(golden[key] for key in ("inputs", "outputs", "bounds")), strict=True
    ):
        terms = [[Fraction(x) * w for x, w in zip(row, ws, strict=True)] for ws in factors]
        assert outputs == [float(sum(t, b)) for t, b in zip(terms, offsets, strict=True)]
        for products, offset, bound in zip(terms, offsets, bounds, strict=True):
            exact = gamma * sum(map(abs, products), abs(offset)) + floor
            assert math.isclose(bound, exact, rel_tol=1e-14)


# How a version appears


def test_a_version_takes_the_next_number_after_the_highest(
    orchard_fit: Fit, tmp_path: Path
) -> None:
    folder = tmp_path / "orchard"
    for strange in ("9", "007", "10.sig", ".building-x", "notes"):
        (folder / strange).mkdir(parents=True)
    assert export_package(orchard_fit, tmp_path, "orchard") == folder / "10"
    assert export_package(orchard_fit, tmp_path, "orchard") == folder / "11"


@contextmanager
def full_disk(limit: int) -> Iterator[None]:
    """Let no file grow beyond `limit` bytes."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_write_that_fails_midway_leaves_earlier_versions_and_nothing_else(
    orchard_fit: Fit, tmp_path: Path
) -> None:
    first = export_package(orchard_fit, tmp_path, "orchard")
    before = contents(first)
    with full_disk(1000), pytest.raises(gradline.OutputError, match="File too large") as caught:
        export_package(orchard_fit, tmp_path, "orchard")
    assert (caught.value.code, caught.value.exit_code) == ("cannot-write", 2)
    assert str(caught.value).startswith(f"cannot publish in {tmp_path / 'orchard'}: ")
    assert "--output DIR" in caught.value.command_hint
    assert list(first.parent.iterdir()) == [first]
    assert contents(first) == before
    assert export_package(orchard_fit, tmp_path, "orchard") == first.parent / "2"


@pytest.mark.parametrize("fault", [OSError(errno.ENOSPC, "No space left"), KeyboardInterrupt()])
@pytest.mark.parametrize("step", [1, 2, 3, 4])
def test_whichever_flush_fails_a_version_is_published_whole_or_not_at_all(
    step: int, fault: BaseException, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = {"a": b"1", "b": b"2"}  # flushed: a, b, the hidden directory, its parent
    folder = tmp_path / "letters"
    publishing.publish(files, tmp_path, "letters")
    flush, calls = os.fsync, 0

    def fsync(descriptor: int) -> None:
        nonlocal calls
        calls += 1
        if calls == step:
            raise fault
        flush(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)
    with suppress(KeyboardInterrupt):
        try:
            publishing.publish(files, tmp_path, "letters")
        except gradline.OutputError:  # whose hint is that nothing was published
            assert [path.name for path in folder.iterdir()] == ["1"]
    versions = list(folder.iterdir())
    assert {version.name for version in versions} <= {"1", "2"}
    assert all(contents(version) == files for version in versions)


def test_a_reader_sees_no_version_before_it_is_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    flush, seen = os.fsync, []

    def fsync(descriptor: int) -> None:
        seen.append([p.name for p in (tmp_path / "letters").iterdir() if p.name[0] != "."])
        flush(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)
    publishing.publish({"a": b"1", "b": b"2"}, tmp_path, "letters")
    # Each file, their folder, then the folders whose names are new.
    assert seen == [[], [], [], ["1"], ["1"]]


def test_concurrent_publishers_get_versions_of_their_own(tmp_path: Path) -> None:
    def publish(writer: int) -> Path:
        return publishing.publish({"writer": str(writer).encode()}, tmp_path, "shared")

    with ThreadPoolExecutor(8) as pool:
        versions = list(pool.map(publish, range(64)))
    assert sorted(int(version.name) for version in versions) == list(range(1, 65))
    for writer, version in enumerate(versions):
        assert contents(version) == {"writer": str(writer).encode()}
    assert len(list((tmp_path / "shared").iterdir())) == 64


def test_publishing_obeys_the_umask_and_never_changes_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = os.umask(0o027)
    try:
        with monkeypatch.context() as patch:
            # The mask belongs to the whole process: while it is changed, other threads write.
            patch.setattr(os, "umask", lambda mask: pytest.fail(f"umask set to {mask:o}"))
            version = publishing.publish({"a": b"1"}, tmp_path, "letters")
    finally:
        os.umask(before)
    assert version.stat().st_mode & 0o777 == 0o750
    assert (version / "a").stat().st_mode & 0o777 == 0o640


@pytest.mark.parametrize(
    ("name", "usable"),
    [
        ("", "model"),
        ("...", "model"),
        ("-orchard", "orchard"),
        (".hidden", "hidden"),
        ("my model", "my-model"),
        ("../orchard", "orchard"),
        ("a/b", "a-b"),
        ("obst\n", "obst"),
        ("Äpfel", "pfel"),
        ("x" * 101, "x" * 100),
    ],
)
def test_a_bad_package_name_is_refused_with_a_usable_one(
    name: str, usable: str, orchard_fit: Fit, tmp_path: Path
) -> None:
    with pytest.raises(gradline.InputError, match="is not a package name") as caught:
        export_package(orchard_fit, tmp_path, name)
    assert repr(name) in str(caught.value)
    assert (caught.value.code, caught.value.exit_code) == ("bad-name", 2)
    assert caught.value.command_hint == f"--name {usable}"
    assert list(tmp_path.iterdir()) == []
    assert publishing.check_name(usable) == usable
