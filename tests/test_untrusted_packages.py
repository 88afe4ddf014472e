"""Packages that are incomplete, damaged or forged are refused with a PackageError, every one."""

from __future__ import annotations

import hashlib
import json
import os
import random
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from click.testing import CliRunner
from google.protobuf import text_format
from onnx import ModelProto, TensorProto, numpy_helper

import gradline
from gradline.commands.group import cli
from gradline.package.reading import check_files, read_package
from gradline_export.freeze.formats import to_onnx
from hostile.case import sealed

FILES = ["golden.json", "manifest.json", "model.onnx", "model.pt", "report.html"]
Document = dict[str, Any]


@pytest.fixture
def package(orchard_package: Path, tmp_path: Path) -> Path:
    """A copy of artifacts/orchard/1, to be damaged."""
    return Path(shutil.copytree(orchard_package, tmp_path / "orchard" / "1"))


def load_and_verify(path: Path, **options: Any) -> None:
    gradline.load(path, **options)
    check_files(read_package(path))


def refusal(path: Path, **options: Any) -> gradline.PackageError:
    """Return the error that loading, or checking every file, ends with."""
    with pytest.raises(gradline.PackageError) as caught:
        load_and_verify(path, **options)
    error = caught.value
    assert error.exit_code == 1
    assert error.code
    assert len(str(error)) > 20
    assert str(error).isprintable()
    return error


def manifest_text(package: Path) -> str:
    """Return the text of the manifest without its seal."""
    text = (package / "manifest.json").read_text(encoding="utf-8")
    return text[: text.rindex(",")] + "\n}\n"


def reseal(package: Path, edit: Callable[[Document], object]) -> None:
    """Edit the manifest and seal it again, as a forger would."""
    document = json.loads(manifest_text(package))
    edit(document)
    text = json.dumps(document, indent=1, ensure_ascii=False)
    (package / "manifest.json").write_bytes(sealed(text))


def plant(package: Path, name: str, data: bytes) -> None:
    """Put other bytes into a file, hash and seal adapted, so that only its content tells."""
    (package / name).write_bytes(data)
    record = {"sha256": hashlib.sha256(data).hexdigest(), "bytes": len(data)}
    reseal(package, lambda document: document["files"].update({name: record}))


def test_the_forgers_tools_make_a_package_that_loads(package: Path) -> None:
    original = (package / "manifest.json").read_bytes()
    plant(package, "model.onnx", (package / "model.onnx").read_bytes())
    assert (package / "manifest.json").read_bytes() == original
    reseal(package, lambda document: document["training"]["notes"].update(author="nobody"))
    assert gradline.load(package).manifest["training"]["notes"] == {"author": "nobody"}


# Damage


@pytest.mark.parametrize("name", FILES)
def test_a_missing_file_is_named(name: str, package: Path) -> None:
    (package / name).unlink()
    error = refusal(package)
    assert str(error) == f"{name} is missing from {package}"
    assert error.code == "missing-file"


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("replace", [Path.mkdir, os.mkfifo], ids=["folder", "pipe"])
def test_what_is_no_regular_file_counts_as_missing(
    name: str, replace: Callable[[Path], None], package: Path
) -> None:
    (package / name).unlink()
    replace(package / name)
    assert refusal(package).code == "missing-file"


@pytest.mark.parametrize("name", ["manifest.json", "model.onnx"])
def test_every_flipped_byte_is_noticed(name: str, package: Path) -> None:
    data = (package / name).read_bytes()
    for place in range(len(data)):
        flipped = data[place] ^ (1 << place % 8)
        (package / name).write_bytes(data[:place] + bytes([flipped]) + data[place + 1 :])
        refusal(package, self_test=False)


@pytest.mark.parametrize("name", ["golden.json", "model.pt", "report.html"])
def test_a_flipped_byte_is_noticed_wherever_it_is(name: str, package: Path) -> None:
    data = (package / name).read_bytes()
    chance = random.Random(name)
    for place in [0, len(data) - 1, *chance.sample(range(len(data)), 300)]:
        flipped = data[place] ^ chance.randrange(1, 256)
        (package / name).write_bytes(data[:place] + bytes([flipped]) + data[place + 1 :])
        error = refusal(package)
        assert str(error).startswith(f"{name} is not the file that was published")
        assert error.code == "changed-file"


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize(
    "damage",
    [
        lambda data: b"",
        lambda data: data[:1],
        lambda data: data[: len(data) // 2],
        lambda data: data[:-1],
        lambda data: data + b"\n",
        lambda data: data + b"\0" * 70_000,
        lambda data: data + data,
        lambda data: b"\xef\xbb\xbf" + data,
    ],
    ids=["empty", "first byte", "half", "cut", "line", "zeros", "twice", "mark"],
)
def test_a_file_that_was_cut_or_grew_is_refused(
    name: str, damage: Callable[[bytes], bytes], package: Path
) -> None:
    (package / name).write_bytes(damage((package / name).read_bytes()))
    assert name in str(refusal(package))


def test_a_manifest_too_large_to_be_one_is_not_read_to_its_end(package: Path) -> None:
    with (package / "manifest.json").open("r+b") as file:
        file.truncate(1 << 32)
    assert str(refusal(package)).startswith("manifest.json is larger than the limit")


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("model.onnx", "golden.json"),
        ("model.onnx", "manifest.json"),
        ("model.pt", "model.onnx"),
        ("golden.json", "manifest.json"),
    ],
)
def test_swapped_files_are_refused(one: str, other: str, package: Path) -> None:
    first, second = ((package / name).read_bytes() for name in (one, other))
    (package / one).write_bytes(second)
    (package / other).write_bytes(first)
    refusal(package)


def test_a_file_of_another_package_is_refused(package: Path) -> None:
    graph = to_onnx(
        np.ones((2, 3), np.float32),
        np.ones(2, np.float32),
        name="orchard",
        features=["temperature", "rainfall", "humidity"],
        targets=["apples", "oranges"],
    )
    (package / "model.onnx").write_bytes(graph)
    assert refusal(package).code == "changed-file"


def test_further_files_are_ignored(package: Path) -> None:
    (package / "notes.txt").write_text("kept by someone")
    (package / "manifest.json~").write_bytes(b"{")
    assert gradline.load(package).version == 1


def test_loading_reads_each_file_that_it_uses_once_and_no_other(
    package: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[str] = []
    original = Path.open

    def spy(path: Path, *arguments: Any, **options: Any) -> Any:
        opened.append(path.name)
        return original(path, *arguments, **options)

    monkeypatch.setattr(Path, "open", spy)
    gradline.load(package)
    assert sorted(opened) == ["golden.json", "manifest.json", "model.onnx"]


# The manifest


def broken_seal(document: Document) -> bytes:
    return json.dumps({**document, "seal": "0" * 64}, indent=1).encode() + b"\n"


@pytest.mark.parametrize(
    ("forge", "code"),
    [
        (lambda text: text.encode(), "broken-seal"),
        (lambda text: broken_seal(json.loads(text)), "broken-seal"),
        (lambda text: sealed(text).replace(b'"seal"', b'"Seal"'), "broken-seal"),
        (lambda text: sealed(text) + b" ", "broken-seal"),
        (lambda text: sealed(text).replace(b"\n}\n", b"\n}"), "broken-seal"),
        (lambda text: sealed(text.replace("{", '{\n "format": 1,', 1)), "not-json"),
        (lambda text: sealed(text.replace('"epochs": 100', '"epochs": NaN')), "not-json"),
        (lambda text: sealed(text.replace('"epochs": 100', '"epochs": -Infinity')), "not-json"),
        (lambda text: sealed(text.replace('"epochs": 100', '"epochs": ' + "9" * 5000)), "not-json"),
        (lambda text: sealed(text.replace('"notes": {}', '"notes": ' + "[" * 99999)), "not-json"),
        (lambda text: sealed(text).replace(b"orchard", b"\xff\xfe\xfd\xfc"), "not-json"),
        (lambda text: text.encode("utf-16"), "not-json"),
        (lambda text: b"[" * 200_000, "not-json"),
        (lambda text: b'{"a":' * 200_000, "not-json"),
        (lambda text: b"[]", "bad-manifest"),
        (lambda text: b"null", "bad-manifest"),
        (lambda text: b"1", "bad-manifest"),
    ],
)
def test_a_manifest_that_is_no_sealed_json_object_is_refused(
    forge: Callable[[str], bytes], code: str, package: Path
) -> None:
    forged = forge(manifest_text(package))
    assert forged != (package / "manifest.json").read_bytes()
    (package / "manifest.json").write_bytes(forged)
    error = refusal(package)
    assert "manifest.json" in str(error)
    assert error.code == code


@pytest.mark.parametrize("seal", [sealed, str.encode], ids=["sealed", "sealed another way"])
def test_a_newer_format_asks_for_a_newer_gradline(
    seal: Callable[[str], bytes], package: Path
) -> None:
    text = manifest_text(package).replace('"format": 1', '"format": 3')
    (package / "manifest.json").write_bytes(seal(text))
    error = refusal(package)
    assert str(error) == "manifest.json has format 3, this gradline reads format 2"
    assert (error.code, error.hint) == ("newer-format", "pip install --upgrade gradline")


def put(*path: str, value: Any) -> Callable[[Document], None]:
    """Return an edit that sets a member of the manifest."""

    def edit(document: Document) -> None:
        for key in path[:-1]:
            document = document[key]
        document[path[-1]] = value

    return edit


RECORD = {"sha256": "0" * 64, "bytes": 1}
SHAPES: dict[str, Callable[[Document], object]] = {
    "no format": lambda document: document.pop("format"),
    "format 0": put("format", value=0),
    "format true": put("format", value=True),
    "format in quotes": put("format", value="1"),
    "no name": lambda document: document.pop("name"),
    "a path as name": put("name", value="../orchard"),
    "a list as name": put("name", value=["orchard"]),
    "no schema": lambda document: document.pop("schema"),
    "a list as schema": put("schema", value=[]),
    "half precision": put("schema", "dtype", value="float16"),
    "a list as dtype": put("schema", "dtype", value=["float32"]),
    "text as features": put("schema", "features", value="abc"),
    "numbers as targets": put("schema", "targets", value=[1, 2]),
    "no files": lambda document: document.pop("files"),
    "a list as files": put("files", value=[]),
    "no graph": lambda document: document["files"].pop("model.onnx"),
    "no golden rows": lambda document: document["files"].pop("golden.json"),
    "a file elsewhere": put("files", "../../secret", value=RECORD),
    "null as record": put("files", "model.onnx", value=None),
    "a list as record": put("files", "model.onnx", value=[]),
    "text as record": put("files", "model.onnx", value="0" * 64),
    "an empty record": put("files", "model.onnx", value={}),
    "a number as hash": put("files", "model.onnx", "sha256", value=7),
    "no hexadecimal hash": put("files", "model.onnx", "sha256", value="z" * 64),
    "a size in quotes": put("files", "model.onnx", "bytes", value="348"),
    "a size below 0": put("files", "model.onnx", "bytes", value=-2),
    "a size of true": put("files", "model.onnx", "bytes", value=True),
}


@pytest.mark.parametrize("edit", SHAPES.values(), ids=SHAPES)
def test_a_resealed_manifest_of_another_shape_is_refused(
    edit: Callable[[Document], object], package: Path
) -> None:
    reseal(package, edit)
    error = refusal(package)
    assert str(error).startswith("manifest.json is not a valid manifest: ")
    assert error.code == "bad-manifest"


@pytest.mark.parametrize("size", [0, 347, 349, 10**30])
def test_a_resealed_manifest_with_another_size_is_refused(size: int, package: Path) -> None:
    reseal(package, put("files", "model.onnx", "bytes", value=size))
    assert refusal(package).code == "changed-file"


@pytest.mark.parametrize(
    "edit",
    [
        put("name", value="vineyard"),
        put("schema", "dtype", value="float64"),
        put("schema", "features", value=["rainfall", "temperature", "humidity"]),
        put("schema", "features", value=["temperature", "rainfall"]),
        put("schema", "targets", value=["oranges", "apples"]),
    ],
)
def test_a_resealed_manifest_that_contradicts_the_graph_is_refused(
    edit: Callable[[Document], object], package: Path
) -> None:
    reseal(package, edit)
    error = refusal(package)
    assert str(error) == (
        "manifest.json and model.onnx name different models, features, targets or dtypes"
    )
    assert error.code == "contradiction"


@pytest.mark.parametrize("member", ["training", "columns", "metrics", "parity", "certificates"])
def test_a_resealed_manifest_without_its_record_is_refused_not_a_crash(
    member: str, package: Path
) -> None:
    reseal(package, lambda document: document.pop(member))
    result = CliRunner().invoke(cli, ["inspect", str(package)])
    assert isinstance(result.exception, gradline.PackageError)


# The graph

END = '} name: "gradline"'  # of the nodes, in protobuf's text format
X = '} input { name: "x"'  # where the initializers end and the inputs begin
TENSOR = 'tensor_type { elem_type: 1 shape { dim { dim_param: "N" } dim { dim_value: 3 } } }'
NAME = 'key: "gradline.name" value: "orchard"'
ZEROS = 'dims: 2 dims: 3 data_type: 1 name: "W" raw_data: "' + 24 * r"\000" + '"'
#: What is changed in the text of the model, and into what.
GRAPHS = {
    "a second node": (END, '} node { input: "y" output: "z" op_type: "Identity"' + END),
    "another operator": ('"Gemm"', '"Sum"'),
    "another domain": ("op_type", 'domain: "com.microsoft" op_type'),
    "a named node": ("op_type", 'name: "gemm" op_type'),
    "transB missing": ('attribute { name: "transB" i: 1 type: INT }', ""),
    "transB of 0": ("i: 1 type", "i: 0 type"),
    "transB of 2": ("i: 1 type", "i: 2 type"),
    "transB as a float": ("i: 1 type: INT", "f: 1 type: FLOAT"),
    "transA": ("INT }", 'INT } attribute { name: "transA" i: 1 type: INT }'),
    "alpha": ("INT }", 'INT } attribute { name: "alpha" f: 2 type: FLOAT }'),
    "beta for transB": ('"transB" i: 1 type: INT', '"beta" f: 0 type: FLOAT'),
    "no bias": (' input: "b"', ""),
    "swapped inputs": ('input: "x" input: "W"', 'input: "W" input: "x"'),
    "a second result": ('output: "y"', 'output: "y" output: "z"'),
    "another operator set": ('domain: ""', 'domain: "com.microsoft"'),
    "two operator sets": ("opset_import", 'opset_import { domain: "a" version: 1 } opset_import'),
    "no operator set": ('opset_import { domain: "" version: 13 }', ""),
    "an old operator set": ("version: 13", "version: 6"),
    "an operator set to come": ("version: 13", "version: 9999"),
    "an IR version to come": ("ir_version: 7", "ir_version: 9999"),
    "no IR version": ("ir_version: 7", ""),
    "weights transposed": ("dims: 2 dims: 3", "dims: 3 dims: 2"),
    "weights as a vector": ("dims: 2 dims: 3", "dims: 6"),
    "weights cut": ("dims: 2 dims: 3", "dims: 2 dims: 2"),
    "weights of no row": ("dims: 2 dims: 3", "dims: 0 dims: 3"),
    "weights of negative size": ("dims: 2 dims: 3", "dims: -2 dims: -3"),
    "weights of wrapped size": ("dims: 2 dims: 3", f"dims: {2**62} dims: {2**62} dims: 6"),
    "weights of integers": ("data_type: 1", "data_type: 6"),
    "weights of float64": ("data_type: 1", "data_type: 11"),
    "weights of no known type": ("data_type: 1", "data_type: 99"),
    "weights in two fields": ('name: "W"', 'name: "W" float_data: 1'),
    "a matrix as bias": ("dims: 2 data_type", "dims: 1 dims: 2 data_type"),
    "a scalar as bias": ('dims: 2 data_type: 1 name: "b"', 'data_type: 1 name: "b"'),
    "no initializer b": ('name: "b" raw', 'name: "c" raw'),
    "W for b": ('name: "b" raw', 'name: "W" raw'),
    "W twice": (X, f"}} initializer {{ {ZEROS} {X}"),
    "a third initializer": (X, '} initializer { dims: 0 data_type: 1 name: "c" raw_data: ""' + X),
    "a sparse initializer": (X, "} sparse_initializer { dims: 2 dims: 3" + X),
    "an inner value": (X, '} value_info { name: "h"' + X),
    "a remark": (END, '} doc_string: "remark" name: "gradline"'),
    "a second input": (X, '} input { name: "W" type { tensor_type { elem_type: 1 } }' + X),
    "another input": ('{ name: "x"', '{ name: "rows"'),
    "another output": ('{ name: "y"', '{ name: "z"'),
    "a fixed number of rows": ('dim_param: "N"', "dim_value: 1"),
    "an input of 4 columns": ("dim_value: 3", "dim_value: 4"),
    "an input of any width": ("dim_value: 3", 'dim_param: "d"'),
    "an output of 3 columns": ("dim_value: 2", "dim_value: 3"),
    "an input of float64": ("elem_type: 1", "elem_type: 11"),
    "an input of no shape": (TENSOR, "tensor_type { elem_type: 1 }"),
    "an input of no type": (f"type {{ {TENSOR} }}", ""),
    "a sequence as input": (TENSOR, f"sequence_type {{ elem_type {{ {TENSOR} }} }}"),
    "a local function": ("opset_import", 'functions { name: "Gemm" } opset_import'),
    "a training step": ("opset_import", "training_info { } opset_import"),
    "a key twice": ("metadata_props", f"metadata_props {{ {NAME} }} metadata_props"),
    "another format": ('value: "1"', 'value: "2"'),
    "no format": ("gradline.format", "format"),
    "no name": ('value: "orchard"', 'value: ""'),
    "another dtype": ('value: "float32"', 'value: "float64"'),
    "no features": ("gradline.features", "features"),
    "two features": (r"\"temperature\", ", ""),
    "a feature twice": ("temperature", "rainfall"),
    "a target twice": ("oranges", "apples"),
    "numbers for names": (r"\"apples\", \"oranges\"", "1, 2"),
    "an object for names": (r"[\"apples\", \"oranges\"]", "{}"),
    "names that are no JSON": (r"[\"apples\", \"oranges\"]", "apples, oranges"),
    "names of deep nesting": (r"[\"apples\", \"oranges\"]", "[" * 99_999),
}


def expect_not_the_graph(package: Path, data: bytes) -> None:
    """Check that these bytes are refused, in a package that is sealed around them and alone."""
    plant(package, "model.onnx", data)
    for path in (package, package / "model.onnx"):
        error = refusal(path, self_test=False)
        assert str(error).startswith("model.onnx is not the graph y = x @ W.T + b: it ")
        assert error.code == "not-the-graph"


@pytest.mark.parametrize(("old", "new"), GRAPHS.values(), ids=GRAPHS)
def test_a_graph_that_is_not_the_one_node_graph_is_refused(
    old: str, new: str, package: Path
) -> None:
    original = onnx.load(package / "model.onnx")
    text = text_format.MessageToString(original, as_one_line=True)
    assert old in text
    forged = text_format.Parse(text.replace(old, new, 1), ModelProto())
    assert forged != original
    expect_not_the_graph(package, forged.SerializeToString())


WEIGHTS, BIAS = np.ones((2, 3), np.float32), np.ones(2, np.float32)


def graph_of(package: Path, weights: Any, bias: Any) -> bytes:
    """Return the package's graph with other initializers."""
    model = onnx.load(package / "model.onnx")
    for tensor, values in zip(model.graph.initializer, (weights, bias), strict=True):
        tensor.CopyFrom(numpy_helper.from_array(values, tensor.name))
    data: bytes = model.SerializeToString()
    return data


@pytest.mark.parametrize(
    ("weights", "bias"),
    [
        (np.where(np.eye(2, 3), np.float32(np.nan), WEIGHTS), BIAS),
        (np.where(np.eye(2, 3), np.float32(np.inf), WEIGHTS), BIAS),
        (WEIGHTS, np.array([1, -np.inf], np.float32)),
        (WEIGHTS, np.ones(3, np.float32)),
        (WEIGHTS, np.ones(2, np.float64)),
        (WEIGHTS.astype(np.float64), BIAS.astype(np.float64)),
        (WEIGHTS.astype(np.int32), BIAS.astype(np.int32)),
        (WEIGHTS.astype(np.float16), BIAS.astype(np.float16)),
        (np.ones((2, 4), np.float32), BIAS),
        (np.ones((3, 3), np.float32), np.ones(3, np.float32)),
    ],
)
def test_initializers_of_another_kind_are_refused(weights: Any, bias: Any, package: Path) -> None:
    expect_not_the_graph(package, graph_of(package, weights, bias))


@pytest.mark.parametrize("location", ["weights.bin", "./weights.bin", "../1/weights.bin"])
def test_weights_in_another_file_are_refused_though_the_file_is_there(
    location: str, package: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(package)
    model = onnx.load("model.onnx")
    tensor = model.graph.initializer[0]
    Path("weights.bin").write_bytes(tensor.raw_data)
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value=location)
    expect_not_the_graph(package, model.SerializeToString())
    assert "field 13 in the initializer" in str(refusal(package))


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\0",
        b"\xff" * 64,
        b"not a model at all",
        b"\x08",
        b"\x3a\xff\xff\xff\xff\x0f",
        b"\x3a\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x01",
        b"\x0b" * 100_000,
    ],
)
def test_bytes_that_are_no_model_are_refused(data: bytes, package: Path) -> None:
    expect_not_the_graph(package, data)


@pytest.mark.parametrize("more", [b"\0", b"\x08\x07", b"\xa0\x06\x01", b"\x42\x04\x0a\x00\x10\x0d"])
def test_fields_after_the_model_are_refused(more: bytes, package: Path) -> None:
    expect_not_the_graph(package, (package / "model.onnx").read_bytes() + more)


def test_names_that_are_not_utf8_are_refused(package: Path) -> None:
    graph = (package / "model.onnx").read_bytes()
    expect_not_the_graph(package, graph.replace(b"apples", b"\xff\xfeples"))


# The golden rows


def test_a_host_that_computes_wrongly_is_told_row_and_target(package: Path) -> None:
    golden = json.loads((package / "golden.json").read_bytes())
    golden["outputs"][5][1] += 2 * golden["bounds"][5][1]
    plant(package, "golden.json", json.dumps(golden).encode())
    error = refusal(package)
    assert str(error).startswith("the self-test failed: golden row 5, target 'oranges': ")
    assert f"the exact value is {golden['outputs'][5][1]!r} ± " in str(error)
    assert "onnxruntime" in str(error)
    assert (error.code, error.hint[:19]) == ("self-test", "do not predict here")
    model = gradline.load(package, self_test=False)
    assert model.predict([[73, 67, 43]]).shape == (1, 2)


def test_other_weights_fail_the_self_test(package: Path) -> None:
    weights, bias = map(numpy_helper.to_array, onnx.load(package / "model.onnx").graph.initializer)
    other = weights * np.array([1 + 1e-5, 1, 1], np.float32)
    plant(package, "model.onnx", graph_of(package, other, bias))
    error = refusal(package)
    assert "golden row 0, target 'apples'" in str(error)
    assert error.code == "self-test"


@pytest.mark.parametrize(
    "golden",
    [
        [],
        {},
        None,
        {"inputs": [], "outputs": [], "bounds": []},
        {"inputs": [[1, 2]], "outputs": [[1, 2]], "bounds": [[1, 1]]},
        {"inputs": [[1, 2, 3]], "outputs": [[1, 2]], "bounds": [[1]]},
        {"inputs": [[1, 2, 3]], "outputs": [[1, 2], [3, 4]], "bounds": [[1, 1]]},
        {"inputs": [[1, 2, "x"]], "outputs": [[1, 2]], "bounds": [[1, 1]]},
        {"inputs": [[1, 2, 3], [4]], "outputs": [[1, 2], [1, 2]], "bounds": [[1, 1], [1, 1]]},
        {"inputs": [[1, 2, 1e300]], "outputs": [[1, 2]], "bounds": [[1, 1]]},
        {"inputs": [[0, 0, 0]], "outputs": [[1, None]], "bounds": [[1, 1]]},
        {"inputs": [[0, 0, 0]], "outputs": [[1, 2]], "bounds": [[-1, -1]]},
        {"inputs": [[0, 0, 0]], "outputs": [[1, 2]], "bounds": [[0, 0]]},
    ],
    ids=lambda golden: json.dumps(golden)[:60],
)
def test_golden_rows_that_do_not_fit_the_graph_are_refused(golden: Any, package: Path) -> None:
    plant(package, "golden.json", json.dumps(golden).encode())
    assert refusal(package).code in ("bad-golden", "self-test")


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{",
        b"\xff",
        b"[" * 200_000,
        b'{"inputs": [[NaN, 0, 0]]}',
        b'{"inputs": [[1%s, 0, 0]]}' % (b"0" * 400),
        b'{"a": 1, "a": 2}',
    ],
)
def test_golden_rows_that_are_no_json_are_refused(data: bytes, package: Path) -> None:
    plant(package, "golden.json", data)
    error = refusal(package)
    assert str(error).startswith("golden.json cannot be read as JSON")
    assert error.code == "not-json"


# Where packages lie


def test_nothing_at_the_path_is_an_input_error_that_names_neighbours(package: Path) -> None:
    artifacts = package.parent.parent
    for path in (artifacts / "vineyard", artifacts / "orchard" / "7", artifacts / "no" / "where"):
        with pytest.raises(gradline.InputError) as caught:
            gradline.load(path)
        assert str(caught.value) == f"no package at {path}"
        assert (caught.value.code, caught.value.exit_code) == ("no-package", 2)
        assert caught.value.hint
    with pytest.raises(gradline.InputError) as caught:
        gradline.load(artifacts / "vineyard")
    assert caught.value.hint == f"available: {artifacts / 'orchard'}"


def test_a_folder_without_versions_is_an_input_error(package: Path) -> None:
    with pytest.raises(gradline.InputError, match="no package in") as caught:
        gradline.load(package.parent.parent)
    assert caught.value.hint == f"available: {package.parent}"


def versions(package: Path, *numbers: int) -> Path:
    for number in numbers:
        shutil.copytree(package, package.parent / str(number))
    return package.parent


def test_the_newest_version_is_the_highest_number(package: Path) -> None:
    folder = versions(package, 2, 9, 10)
    for strange in ("011", "12.sig", "latest", ".building-99", "１３"):
        (folder / strange).mkdir()
    (folder / "99").write_text("no folder")
    assert gradline.load(folder).version == 10
    assert gradline.load(folder / "9").version == 9
    assert gradline.load(str(folder)).version == 10


@pytest.mark.parametrize("pin", ["2", "2\n", " 2 \r\n"])
def test_a_pinned_version_is_followed(pin: str, package: Path) -> None:
    folder = versions(package, 2, 3)
    (folder / "pinned").write_text(pin)
    assert gradline.load(folder).version == 2
    assert gradline.load(folder / "3").version == 3


@pytest.mark.parametrize(
    "pin",
    [b"", b"7", b"02", b"-1", b"latest", b"\xff\xfe", b"2\n3", b"../2"],
)
def test_a_pin_of_no_published_version_is_refused(pin: bytes, package: Path) -> None:
    folder = versions(package, 2)
    (folder / "pinned").write_bytes(pin)
    error = refusal(folder)
    assert str(error).startswith(f"{folder / 'pinned'} names version ")
    assert (error.code, error.hint) == ("bad-pin", "published: 1, 2")


def test_a_pin_that_is_no_file_is_refused(package: Path) -> None:
    pin = package.parent / "pinned"
    for make, remove in (
        (pin.mkdir, pin.rmdir),
        (lambda: os.mkfifo(pin), pin.unlink),  # reading it would never end
        (lambda: pin.symlink_to("nowhere"), pin.unlink),
    ):
        make()
        error = refusal(package.parent)
        assert (str(error), error.code) == (f"{pin} is not a file", "bad-pin")
        remove()


def test_a_bare_graph_that_is_refused_is_named_as_it_was_given(tmp_path: Path) -> None:
    (tmp_path / "fruit.onnx").write_bytes(b"no model")
    assert str(refusal(tmp_path / "fruit.onnx")).startswith("fruit.onnx is not the graph")
