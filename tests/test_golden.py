"""The golden rows by themselves: what is taken, and what a host may answer.

`make mutants` puts faults into `gradline.package.golden` one at a time and runs this file alone,
without conftest.py, so that it imports neither PyTorch nor ONNX Runtime's sessions.
"""

from __future__ import annotations

import json
import platform
from dataclasses import FrozenInstanceError, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gradline.errors import PackageError
from gradline.package.golden import Golden, host_versions, row_count
from gradline.package.graph import parse_graph

FOLDER = Path(__file__).parent.parent / "artifacts" / "orchard" / "1"
DATA = (FOLDER / "golden.json").read_bytes()
GRAPH = parse_graph((FOLDER / "model.onnx").read_bytes())
AGAIN = "get the package again from where it was published"


def parsed(data: bytes = DATA) -> Golden:
    return Golden.parse(data, GRAPH.weights.shape, GRAPH.dtype)


def exactly(golden: Golden) -> Any:
    """A host that answers what is recorded."""
    return lambda rows: golden.outputs.copy()


def bad(data: bytes, shape: tuple[int, int] = (2, 3)) -> PackageError:
    with pytest.raises(PackageError) as caught:
        Golden.parse(data, shape, np.dtype(np.float32))
    return caught.value


@pytest.mark.parametrize(
    ("d", "rows"),
    [(1, 64), (64, 64), (65, 63), (241, 16), (1024, 4), (1025, 4), (4096, 4), (99_999, 4)],
)
def test_how_many_rows_a_width_has(d: int, rows: int) -> None:
    assert row_count(d) == rows


def test_what_is_read_is_written_again_byte_for_byte() -> None:
    golden = parsed()
    assert golden.inputs.shape == (64, 3)
    assert golden.inputs.dtype == np.float32
    assert golden.outputs.dtype == golden.bounds.dtype == np.float64
    assert golden.dump() == DATA
    with pytest.raises(FrozenInstanceError):
        golden.inputs = golden.outputs  # type: ignore[misc]


def test_one_row_is_enough() -> None:
    small = {"inputs": [[1, 2, 3]], "outputs": [[1, 2]], "bounds": [[1, 1]]}
    assert Golden.parse(json.dumps(small).encode(), (2, 3), GRAPH.dtype).inputs.shape == (1, 3)


CHANGES: dict[str, dict[str, Any]] = {
    "no row": {"inputs": [], "outputs": [], "bounds": []},
    "no row of the right width": {"inputs": [[]] * 0, "outputs": [[]] * 0, "bounds": [[]] * 0},
    "narrow inputs": {"inputs": [[1.0, 2]] * 64},
    "narrow outputs": {"outputs": [[1.0]] * 64},
    "narrow bounds": {"bounds": [[1.0]] * 64},
    "fewer outputs": {"outputs": [[1.0, 2]] * 63},
    "fewer bounds": {"bounds": [[1.0, 2]] * 63},
    "fewer inputs": {"inputs": [[1.0, 2, 3]] * 63},
    "flat": {"inputs": [1.0] * 64},
    "ragged": {"inputs": [[1.0, 2, 3], [1.0]]},
    "beyond float32": {"inputs": [[1e39, 2, 3]] * 64},
    "a null among the inputs": {"inputs": [[None, 2, 3]] * 64},
    "a null among the outputs": {"outputs": [[None, 2]] * 64},
    "a null among the bounds": {"bounds": [[None, 2]] * 64},
    "an object": {"inputs": {"a": 1}},
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_rows_that_are_not_of_the_graph_are_refused(change: dict[str, Any]) -> None:
    error = bad(json.dumps({**json.loads(DATA), **change}).encode())
    assert (error.code, error.hint) == ("bad-golden", AGAIN)
    assert str(error) == "golden.json does not hold rows of this graph"


@pytest.mark.parametrize("key", ["inputs", "outputs", "bounds"])
def test_each_of_the_three_has_to_be_there(key: str) -> None:
    document = json.loads(DATA)
    del document[key]
    assert bad(json.dumps(document).encode()).code == "bad-golden"
    assert bad(b"[1]").code == bad(b"7").code == "bad-golden"


@pytest.mark.parametrize("shape", [(1, 1), (2, 3), (3, 1), (5, 2), (1, 70)])
def test_no_more_is_read_than_the_rows_of_the_shape_can_take(shape: tuple[int, int]) -> None:
    """Each row has its values and three brackets; 20 more are the members of the object."""
    k, d = shape
    few = {"inputs": [[1] * d], "outputs": [[1] * k], "bounds": [[1] * k], "more": [1]}
    room = row_count(d) * (d + 2 * k + 3) + 20
    few["more"] *= 1 + room - sum(map(json.dumps(few).count, "[{,"))
    assert len(Golden.parse(json.dumps(few).encode(), shape, GRAPH.dtype).inputs) == 1
    few["more"].append(1)
    error = bad(json.dumps(few).encode(), shape)
    assert (error.code, error.args[0]) == (
        "not-json",
        f"golden.json cannot be read as JSON (it has more than {room} values)",
    )


@pytest.mark.parametrize("widths", [(4, 2, 2), (2, 2, 2), (3, 3, 2), (3, 2, 3), (3, 1, 1)])
def test_the_widths_are_those_of_the_graph(widths: tuple[int, int, int]) -> None:
    rows = ([[1] * width] * 4 for width in widths)
    data = dict(zip(("inputs", "outputs", "bounds"), rows, strict=True))
    assert bad(json.dumps(data).encode()).code == "bad-golden"


# What a host answers


def test_the_share_of_the_bound_is_the_largest_of_any_answer() -> None:
    golden = parsed()
    assert golden.check(exactly(golden), GRAPH) == 0
    off = np.zeros_like(golden.bounds)
    off[3, 1], off[60, 0] = -0.25, 0.125
    share = golden.check(lambda rows: golden.outputs + off * golden.bounds, GRAPH)
    assert share == pytest.approx(0.25, rel=1e-6)


@pytest.mark.parametrize("sign", [1, -1])
def test_an_answer_beyond_its_bound_is_told_with_row_and_target(sign: int) -> None:
    golden = parsed()
    answers = golden.outputs.copy()
    answers[5, 1] += sign * 1.01 * golden.bounds[5, 1]
    answers[9, 0] = 7
    with pytest.raises(PackageError) as caught:
        golden.check(lambda rows: answers, GRAPH, "the browser")
    error = caught.value
    assert (error.code, error.hint) == (
        "self-test",
        "do not predict here; try another ONNX Runtime release",
    )
    assert str(error) == (
        "the self-test failed: golden row 5, target 'oranges': the browser answers "
        f"{float(answers[5, 1])!r}, the exact value is {float(golden.outputs[5, 1])!r} ± "
        f"{golden.bounds[5, 1]:.3g} ({host_versions()})"
    )


def test_no_number_is_no_answer_on_this_machine() -> None:
    golden = parsed()
    answers = golden.outputs.copy()
    answers[63, 0] = np.nan
    with pytest.raises(PackageError, match="golden row 63, target 'apples': this machine answers"):
        golden.check(lambda rows: answers, GRAPH)


def test_the_host_is_given_the_rows_and_may_answer_in_the_graphs_dtype() -> None:
    golden = parsed()
    seen = []

    def host(rows: Any) -> Any:
        seen.append(rows)
        return rows @ GRAPH.weights.T + GRAPH.bias

    assert 0 <= golden.check(host, GRAPH) < 1
    assert seen[0] is golden.inputs


@pytest.mark.parametrize("factor", [1 + 1e-6, 1 - 1e-6, 1.01, 2, 1e6])
def test_bounds_that_are_not_the_graphs_prove_nothing(factor: float) -> None:
    golden = parsed()
    wide = Golden(golden.inputs, golden.outputs, golden.bounds * factor)
    with pytest.raises(PackageError) as caught:
        wide.check(exactly(golden), GRAPH)
    assert (caught.value.code, caught.value.hint) == ("bad-golden", AGAIN)
    assert str(caught.value) == (
        "the bounds in golden.json are not the rounding bounds of this graph"
    )


@pytest.mark.parametrize("factor", [1 + 1e-10, 1 - 1e-10])
def test_bounds_may_differ_by_the_rounding_of_their_own_sums(factor: float) -> None:
    golden = parsed()
    near = Golden(golden.inputs, golden.outputs, golden.bounds * factor)
    assert near.check(exactly(golden), GRAPH) == 0


def test_small_bounds_are_compared_as_closely() -> None:
    """Zeros have a bound of 2m·ω alone, far below any absolute tolerance."""
    bare = replace(GRAPH, bias=np.zeros_like(GRAPH.bias))
    rows = np.zeros((1, 3), np.float32)
    least = 2 * 5 * float(np.finfo(np.float32).tiny)
    for bound, right in ((least, True), (2 * least, False)):
        golden = Golden(rows, np.zeros((1, 2)), np.full((1, 2), bound))
        if right:
            assert golden.check(exactly(golden), bare) == 0
            assert golden.check(lambda _: np.full((1, 2), least), bare) == 1  # at the bound itself
        else:
            with pytest.raises(PackageError, match="are not the rounding bounds"):
                golden.check(exactly(golden), bare)


def test_the_versions_are_those_of_what_predicts() -> None:
    import onnxruntime

    assert host_versions() == (
        f"onnxruntime {onnxruntime.__version__}, numpy {np.__version__}, "
        f"Python {platform.python_version()}, {platform.machine()}"
    )
