"""What a shell or a notebook shows of a fit and its summary: a few lines, and never the rows."""

from __future__ import annotations

import pickle
import re
import traceback
import warnings
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import gradline
from gradline import GradlineWarning, InputError, MissingExtraError
from gradline_export import export_package
from gradline_trainer import Fit, fit, load_moments, save_moments
from test_x_and_y import BAD

random = np.random.default_rng(0)
X = random.standard_normal((300, 4))
FRAME = pd.DataFrame(
    {
        "id": range(300),
        "price": X[:, 0],
        "<b>&'\"": X[:, 1],
        "town": ["u", "v"] * 150,
        "constant": 1.0,
        "name": [f"row {j}" for j in range(300)],
        "revenue": X @ [1.0, 2, 3, 4] + 5 + random.standard_normal(300),
    }
)
TAGS = {"div", "p", "strong", "table", "thead", "tbody", "tr", "td", "th"}
FITTED = fit(FRAME, "revenue")


class Tags(HTMLParser):
    """The tags and the text of a page, whose tags are closed in order."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: set[str] = set()
        self.text = ""
        self.feed(text)
        assert not self.open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.open.append(tag)
        self.tags.add(tag)
        assert {name for name, _ in attrs} <= {"style"}

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


def page(shown: Any) -> Tags:
    html = shown._repr_html_()
    assert "color" not in html.replace("currentColor", ""), "a dark notebook has other colours"
    return Tags(html)


def test_a_fit_shows_its_equation_its_metrics_and_what_was_left_out() -> None:
    lines = str(FITTED).splitlines()
    assert lines[0] == "Fit of revenue: 3 features, 300 rows"
    assert lines[1].startswith("  revenue = ")
    assert lines[2].split() == ["training", "rows", "RMSE", "MAE", "R²", "5-fold", "R²"]
    assert lines[3].split()[0] == "revenue"
    assert lines[4].startswith("  left out  id (an identifier by its name), constant (")
    assert repr(FITTED) == str(FITTED)
    assert "row 7" not in str(FITTED)


def test_the_html_has_escaped_names_and_no_script() -> None:
    found = page(FITTED)
    assert found.tags <= TAGS
    assert "<b>&'\"" in found.text
    assert "R²" in found.text
    assert page(FITTED.summary()).tags <= TAGS


def large() -> Fit:
    wide = random.standard_normal((500, 150))
    return fit(wide, wide[:, :20] + random.standard_normal((500, 20)))


@pytest.mark.parametrize(
    "make",
    [
        lambda: FITTED,
        large,
        lambda: fit(FRAME.assign(revenue=np.exp(FRAME["revenue"] / 9)), "log(revenue)"),
        lambda: fit(X[:, :3], X[:, 3], holdout=0.3, robust=True),
        lambda: fit(X[:, :3], X[:, 3], ridge=1.0),
        lambda: fit(X[:, :3], X[:, 3], preconditioning="none", epochs=3),
        lambda: fit(X[:, :3] * 1e-100, X[:, 3], arithmetic="exact", dtype="float64"),
        lambda: fit(np.ones((4, 1)) * [[1], [2], [3], [4]], [1, 2, 3, 4]),
    ],
    ids=["frame", "large", "logged", "held out", "ridge", "stopped", "tiny", "perfect"],
)
def test_any_fit_fits_a_screen(make: Any) -> None:
    found = make()
    assert len(repr(found).splitlines()) <= 16
    assert len(repr(found)) <= 3000
    page(found)
    if found.converged and not found.options.ridge:
        summary = found.summary()
        assert len(repr(summary).splitlines()) <= 34
        assert len(repr(summary).splitlines()) <= len(str(summary).splitlines()) + 2
        page(summary)


def test_a_large_summary_says_where_the_rest_is() -> None:
    summary = large().summary()
    assert repr(summary).endswith("print() shows all, frame() makes a data frame")
    assert len(str(summary).splitlines()) > 20 * 150


def test_a_fit_of_saved_moments_is_shown_without_the_rows(tmp_path: Path) -> None:
    save_moments(fit(FRAME, "revenue", keep_moments=True), tmp_path / "m")
    found = fit(load_moments(tmp_path / "m"))
    assert "need the rows" in str(found) or "MAE" in str(found)
    page(found)


# Predictions and export


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_fit_predicts_bit_for_bit_what_its_package_does(dtype: Any, tmp_path: Path) -> None:
    found = fit(FRAME, "revenue", dtype=dtype)
    path = found.export(tmp_path, name="sales", report=False, notes={"author": "me"})
    assert path == tmp_path / "sales" / "1"
    model = gradline.load(path)
    assert model.manifest["training"]["notes"] == {"author": "me"}
    rows = FRAME.drop(columns="revenue")
    answers = found.predict(rows)
    assert answers.dtype == model.dtype == dtype
    np.testing.assert_array_equal(answers, model.predict(rows))
    one, other = found.predict(rows, intervals=0.9), model.predict(rows, intervals=0.9)
    for name in ("values", "lower", "upper"):
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name))
    _, outside = found.predict(rows.assign(price=99.0), check=True)
    assert "price" in outside.told(0)
    parts = found.explain(rows)
    np.testing.assert_array_equal(parts.by_column, model.explain(rows).by_column)
    unseen = rows.assign(town="w")
    assert np.isnan(found.predict(unseen)).all()
    assert np.isfinite(found.predict(unseen, unknown_category="zero")).all()


def test_many_features_have_intervals_without_a_file() -> None:
    wide = random.standard_normal((100, 40))
    found = fit(wide, wide @ np.ones(40) + random.standard_normal(100))
    assert (found.predict(wide, intervals=0.5).lower < found.predict(wide)).all()


def test_no_intervals_says_why() -> None:
    for features in (3, 40):
        wide = random.standard_normal((100, features))
        found = fit(wide, wide @ np.ones(features) + random.standard_normal(100), ridge=1.0)
        with pytest.raises(gradline.RefusedError, match="the ridge penalty") as caught:
            found.predict(wide, intervals=0.5)
        assert caught.value.code == "no-intervals"


def test_the_model_is_made_once_and_not_pickled() -> None:
    found = fit(X[:, :3], X[:, 3])
    before = len(pickle.dumps(found))
    answers = found.predict(X[:, :3])
    assert found._model is found._model
    assert len(pickle.dumps(found)) == before
    again = pickle.loads(pickle.dumps(found))  # noqa: S301 - our own
    np.testing.assert_array_equal(again.predict(X[:, :3]), answers)


@pytest.mark.parametrize("call", ["predict", "explain", "export"])
def test_without_the_export_wing_it_is_named(call: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gradline_trainer.higher.entry_points", lambda **_: ())
    found = fit(X[:, :3], X[:, 3])
    with pytest.raises(MissingExtraError, match="gradline_export"):
        getattr(found, call)(X[:, :3])


def test_export_is_export_package(tmp_path: Path) -> None:
    one = FITTED.export(tmp_path / "a", name="sales")
    other = export_package(FITTED, tmp_path / "b", "sales")
    names = sorted(path.name for path in one.iterdir())
    assert names == sorted(path.name for path in other.iterdir())
    assert {(one / n).read_bytes() == (other / n).read_bytes() for n in names} == {True}


# Warnings


def test_each_warning_is_one_of_python_at_the_callers_line(tmp_path: Path) -> None:
    holed = FRAME.assign(revenue=FRAME["revenue"].where(FRAME["id"] > 5))
    holed.to_csv(tmp_path / "holed.csv", index=False)
    for table in (holed, tmp_path / "holed.csv"):
        with pytest.warns(GradlineWarning) as caught:
            found = fit(table, "revenue")
        assert [str(one.message) for one in caught] == found.warnings
        assert "6 of 300 rows dropped for missing values of revenue" in found.warnings
        assert {one.filename for one in caught} == {__file__}
    with pytest.warns(GradlineWarning) as caught:
        constant = fit(np.c_[X, np.ones(300)], X[:, 0])
    assert [str(one.message) for one in caught] == constant.warnings != []


def test_a_clean_table_has_no_warning() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert fit(FRAME, "revenue").warnings == []


def test_a_command_prints_a_warning_once_and_not_as_python_does(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    from gradline.commands.group import run

    table = tmp_path / "t.csv"
    FRAME.assign(revenue=FRAME["revenue"].where(FRAME["id"] > 5)).to_csv(table, index=False)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", GradlineWarning)
        assert run(["train-and-export", str(table), "-t", "revenue", "-o", str(tmp_path)]) == 0
    assert [one for one in caught if issubclass(one.category, GradlineWarning)] == []
    shown = capfd.readouterr().err
    assert len(re.findall("6 of 300 rows", shown)) == 1


def test_moments_that_reveal_rows_warn(tmp_path: Path) -> None:
    few = fit(X[:4, :2], X[:4, 3], keep_moments=True)
    with pytest.warns(GradlineWarning, match="the moments of so few rows"):
        save_moments(few, tmp_path / "few.moments")


# Tracebacks


def frames_of(error: BaseException | None) -> int:
    """Count our frames in a traceback, those of earlier errors included."""
    count = 0
    while error is not None:
        for frame, _ in traceback.walk_tb(error.__traceback__):
            package = str(frame.f_globals["__name__"]).partition(".")[0]
            count += package in ("gradline", "gradline_trainer", "gradline_export")
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    return count


FAULTS = [
    *(call for call, _, _ in BAD),
    lambda: fit("no/such.csv", "y"),
    lambda: fit(FRAME, "revenues"),
    lambda: fit(FRAME, "revenue", ["log(price)"]),
    lambda: fit(FRAME, "revenue", epochs=0),
    lambda: fit(FRAME, "revenue", epoch=1),  # type: ignore[call-arg]
    lambda: fit(FRAME.assign(town=[b"\xff"] * 300), "revenue", ["town"]),
    lambda: fit({"x": [1, 2, object()], "y": [1, 2, 3]}, "y"),
    lambda: fit({"x": [1, 2], "y": [1, 2, 3]}, "y"),
    lambda: fit(X, X[:, 0], preconditioning="none", learning_rate=9.0),
    lambda: FITTED.predict([[1.0]]),
    lambda: FITTED.predict(FRAME.drop(columns="price")),
    lambda: FITTED.predict(FRAME, intervals=2.0),
    lambda: FITTED.predict(FRAME.assign(price="cheap")),
    lambda: FITTED.explain([[1.0]]),
    lambda: FITTED.export("artifacts", name=".."),
    lambda: FITTED.export(__file__),
    lambda: FITTED.summary(2.0),
]


@pytest.mark.parametrize("call", FAULTS, ids=range(len(FAULTS)))
def test_a_traceback_has_at_most_three_frames_of_ours(call: Any) -> None:
    with pytest.raises(gradline.GradlineError) as caught:
        call()
    assert 1 <= frames_of(caught.value) <= 3, "".join(traceback.format_exception(caught.value))


def test_a_fault_of_the_callers_keeps_its_frames() -> None:
    def note(stage: str, count: int) -> None:
        raise KeyError(stage)

    with pytest.raises(KeyError) as caught:
        fit(X, X[:, 0], progress=note)
    assert traceback.extract_tb(caught.value.__traceback__)[-1].name == "note"


def test_the_three_packages_know_their_version_and_their_names() -> None:
    import gradline_export
    import gradline_trainer

    for face in (gradline_trainer, gradline_export):
        assert face.__version__ == gradline.__version__
        assert dir(face) == sorted([*face.__all__, "__version__"])
        assert face.__doc__
    with pytest.raises(AttributeError):
        _ = gradline_trainer.nothing
    with pytest.raises(InputError):
        fit(None)
