"""What is left of saved moments: statistics of the rest, and how many digits were lost."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import statsmodels.api as sm

from gradline.errors import InputError
from gradline_trainer import fit
from gradline_trainer.saved.algebra import merge_moments, subtract_moments
from gradline_trainer.saved.files import dump, parse_moments
from test_saved_moments import GOOD, file_with, saved_of

RNG = np.random.default_rng(11)


def test_the_likelihood_after_a_weighted_subtraction_is_that_of_the_rows_left() -> None:
    values, weights = RNG.normal(size=(80, 4)), RNG.uniform(0.2, 5, 80)
    whole = saved_of(values, weights)
    left = subtract_moments(whole, saved_of(values[50:], weights[50:]))
    rest = saved_of(values[:50], weights[:50])
    assert left.moments.log_weights == rest.moments.log_weights != whole.moments.log_weights
    found = fit(left).summary().targets["x3"]
    design = sm.add_constant(values[:50, :3])
    expected = sm.WLS(values[:50, 3], design, weights=weights[:50]).fit()
    assert found.log_likelihood == pytest.approx(expected.llf, rel=1e-9)
    assert (found.aic, found.bic) == pytest.approx((expected.aic, expected.bic), rel=1e-9)


def test_a_difference_that_is_subtracted_again_keeps_the_rounding_it_had() -> None:
    wide, narrow, more = (RNG.normal(size=(40, 3)) * scale for scale in (300.0, 1.0, 1.0))
    parts = [saved_of(rows) for rows in (wide, narrow, more)]
    once = subtract_moments(merge_moments(parts), parts[0])
    assert 1e-12 < once.moments.rounding < 1e-8  # a share of the far larger variance
    twice = subtract_moments(once, parts[1])  # from a difference
    assert twice.moments.rounding >= once.moments.rounding
    other = merge_moments([saved_of(np.vstack([narrow, more])), saved_of(more[::-1] + 1.0)])
    assert subtract_moments(other, once).moments.rounding >= once.moments.rounding  # one itself


@pytest.mark.parametrize("rounding", [-1e-300, -1e-3, -1.0, 1.0, 2.0])
def test_a_rounding_that_none_can_be_is_refused(rounding: float) -> None:
    with pytest.raises(InputError, match="invalid ranges or rounding") as caught:
        parse_moments(file_with(GOOD, rounding=rounding), "file")
    assert caught.value.code == "bad-moments"


def test_the_rounding_is_kept_in_the_file() -> None:
    lossy = replace(GOOD, moments=replace(GOOD.moments, rounding=math.ldexp(1.0, -30)))
    assert parse_moments(b"".join(dump(lossy)), "file").moments.rounding == math.ldexp(1.0, -30)
