"""Find the pipeline in which an estimator is fitted."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import Any

from gradline.errors import InputError


@dataclass(frozen=True)
class Surroundings:
    """The steps before an estimator, and the transformer of its target.

    Attributes:
        steps: The names and transformers of the pipelines that end in the estimator, in order.
        target: The transformer of the target; None without one.
    """

    steps: tuple[tuple[str, Any], ...] = ()
    target: Any = None

    def pipeline(self, estimator: Any) -> Any:
        """Build a pipeline of the steps and the fitted estimator; None without a step.

        Raises:
            InputError: If the target is transformed ("pipeline-steps").
        """
        if self.target is not None:
            raise InputError(
                f"the target is transformed by {type(self.target).__name__} (in a "
                "TransformedTargetRegressor), so the package would not answer in its units",
                code="pipeline-steps",
                hint="fit the estimator to y itself, or learn a logarithm of it with "
                "gradline_trainer.fit(table, 'log(NAME)')",
            )
        if not self.steps:
            return None
        from sklearn.pipeline import Pipeline

        return Pipeline([*self.steps, ("model", estimator)])


def surroundings_of(estimator: Any) -> Surroundings:
    """Find the pipelines that are being fitted now and end in `estimator`.

    scikit-learn does not tell an estimator which pipeline it is in, so we look among the callers.
    The steps are fitted by then. We keep the transformers, not the pipeline: it holds the estimator
    and would be saved with it.
    """
    steps: list[tuple[str, Any]] = []
    target, inner, frame = None, estimator, sys._getframe(1)
    # A pipeline among the callers has imported these; importing them here takes 0.1 s.
    pipeline = _class("sklearn.pipeline", "Pipeline")
    on_target = _class("sklearn.compose", "TransformedTargetRegressor")
    while frame is not None:
        caller = frame.f_locals.get("self")
        if isinstance(caller, pipeline) and caller.steps[-1][1] is inner:
            steps, inner = [*caller.steps[:-1], *steps], caller
        elif isinstance(caller, on_target) and getattr(caller, "regressor_", None) is inner:
            target, inner = caller.transformer_, caller
        frame = frame.f_back  # type: ignore[assignment]
    return Surroundings(tuple(steps), target)


def _class(module: str, name: str) -> Any:
    """Look up a class; return () if its module was never imported, which `isinstance` takes."""
    return getattr(sys.modules.get(module), name, ())
