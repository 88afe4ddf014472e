"""Warn about what a person should know before they trust a fit."""

from __future__ import annotations

from gradline.formatting import and_more, count
from gradline_trainer.descent.arithmetic import ILL_CONDITIONED
from gradline_trainer.descent.diagnosis import Optimality
from gradline_trainer.descent.losses import Solution
from gradline_trainer.descent.problem import ColumnProblem, Problem
from gradline_trainer.exact.solution import ExactSolution
from gradline_trainer.moments.moments import ColumnMoments, Moments, one_value
from gradline_trainer.options import Options
from gradline_trainer.rows.columns import Columns
from gradline_trainer.rows.counts import Counts
from gradline_trainer.wide.optimality import WideOptimality

FILLED = "filled with the training mean"  # how the warning ends
ROUNDED = 1e13  # from this condition number on, perhaps only rounding separates the features


def advise(
    columns: Columns,
    counts: Counts,
    moments: Moments,
    problem: Problem,
    solution: Solution,
    options: Options,
) -> list[str]:
    """List the warnings of a run, one sentence each."""
    exact, optimality = solution.exact, solution.optimality
    found = _on_columns(columns, counts, moments, problem.constant, options)
    found += _on_dependent(problem.dependent, columns, options)
    if problem.supposed:
        found.append(_supposition([columns.features[j] for j in problem.supposed], exact))
    if not solution.converged and isinstance(optimality, Optimality):
        found.append(
            f"{_where(optimality)}; gradient norm {optimality.gradient_norm:.3g}; "
            + _way_on(options, optimality)
        )
    if problem.condition > ILL_CONDITIONED:
        weakest = columns.features[int(problem.active[problem.factor.diagonal().argmin()])]
        found.append(
            "features are nearly linearly dependent (condition number about "
            f"{problem.condition:.1e}): {weakest!r} is nearly a linear combination of earlier "
            "ones, and small changes of the data change their weights a lot"
            + "; leave it out if they differ only by rounding"
            * (problem.condition > ROUNDED)
        )
    if exact is not None and exact.uncertified:
        t, j = exact.uncertified[0]
        found.append(
            f"{count(len(exact.uncertified), 'coefficient')} could not be certified as correctly "
            f"rounded, the first of {[*columns.features, 'the bias'][j]!r} for "
            f"{columns.targets[t]!r}: give more --epochs, or leave out a feature that is nearly a "
            "linear combination of others"
        )
    return found


def _on_columns(
    columns: Columns,
    counts: Counts,
    moments: Moments | ColumnMoments,
    constant: list[int],
    options: Options,
) -> list[str]:
    """Warn about columns and rows that a run leaves out; `constant` has places of features."""
    alike = one_value(moments)

    found = list(columns.notes)
    if columns.left_out:
        names = ", ".join(map(repr, columns.left_out))
        found.append(f"not used, since they are not numeric: {names} (--one-hot adds text columns)")
    if counts.filled:
        found.append(f"{count(counts.filled, 'missing value')} {FILLED}")
    if counts.unknown and columns.are_given:
        found.append(
            f"{counts.unknown} of the dropped rows have a category that the package of --like "
            "does not know"
        )
    elif counts.unknown:
        found.append(
            f"{counts.unknown} of the dropped rows belong to the holdout but have a category that "
            "no training row has"
        )
    if counts.dropped:
        found.append(
            f"{counts.dropped} of {counts.read} rows dropped for missing values"
            + " or unknown categories" * bool(counts.unknown)
            + _of_target(columns, options) * (not counts.unknown)
        )
    if same := [j for j in constant if alike[j]]:
        found.append(f"constant, so their weight is 0: {_named(same, columns)}")
    if tiny := [j for j in constant if not alike[j]]:
        found.append(
            f"too small to square, so their weight is 0: {_named(tiny, columns)} "
            "(multiply the column first)"
        )
    return found


def _named(places: list[int], columns: Columns) -> str:
    """List features by name; a table's first column may have none."""
    names = [columns.features[j] for j in places]
    return and_more([repr(name) if name else "(no name)" for name in names])


def _of_target(columns: Columns, options: Options) -> str:
    """Name the column whose missing values drop rows, if only a single target's can."""
    is_sole = options.missing == "auto" and len(columns.targets) == 1 and columns.weight is None
    return f" of {columns.targets[0]}" if is_sole and columns.decisions else ""


def _on_dependent(dependent: list[int], columns: Columns, options: Options) -> list[str]:
    """Warn of features that are linear in earlier ones."""
    if not dependent:
        return []
    names = _named(dependent, columns)
    said = f"linearly dependent on earlier features, or more than the rows determine: {names}"
    if options.dependent == "drop":
        return [f"{said}; their weight is 0"]
    return [
        f"{said}; many weights fit equally well, and these have the least norm "
        "(--dependent drop sets the weights of the named features to 0)"
    ]


def advise_on_wide(
    columns: Columns,
    counts: Counts,
    moments: ColumnMoments,
    problem: ColumnProblem,
    solution: Solution,
    options: Options,
) -> list[str]:
    """List the warnings of a run over a wide table, one sentence each; see `advise`."""
    features = len(problem.active)
    found = _on_columns(columns, counts, moments, problem.constant, options)
    coordinates = "raw" if options.preconditioning == "none" else "standardized"
    found.append(
        f"a wide table, {count(len(columns.features), 'feature')}: their co-moments would "
        f"not fit, so descent streamed the rows in {coordinates} coordinates"
        + " with Nesterov momentum" * (options.momentum != 0)
        + "; linearly dependent features were not looked for"
        + "; if several optima exist, the run tends to the one of least norm in standardized units"
        * (options.preconditioning != "none")
    )
    if moments.rows <= features and not problem.penalty:
        found.append(
            f"{count(moments.rows, 'row')} for {count(features, 'feature')}: many "
            "weights fit equally well; a --ridge penalty chooses among them"
        )
    if not solution.converged and isinstance(solution.optimality, WideOptimality):
        found.append(solution.optimality.describe() + "; give more --epochs")
    return found


def _supposition(names: list[str], exact: ExactSolution | None) -> str:
    """Explain how a threshold's verdict limits the claims about the optimum."""
    way = "; --arithmetic exact decides it from the rows" if exact is None else ""
    return (
        f"a threshold decided that {and_more(list(map(repr, names)))} "
        f"{'is' if len(names) == 1 else 'are'} linearly dependent: claims about the optimum "
        f"hold only for the other features{way}"
    )


def _where(unfinished: Optimality) -> str:
    """Describe where a run stopped, as precisely as rounding allows."""
    gap, least = unfinished.gap, unfinished.rmse_at_optimum
    if gap is None:
        return (
            "the optimum is unknown: rounding may hide more than a millionth of the loss, "
            f"{unfinished.loss:.4g}"
        )
    known = "" if least is None else f" (RMSE at the optimum {least:.4f})"
    return (
        f"stopped before the optimum: the loss is {unfinished.loss:.4g}, {gap:.4g} above its "
        f"least value{known}"
    )


def _way_on(options: Options, unfinished: Optimality) -> str:
    """Advise how a run that stopped early reaches the optimum."""
    go = unfinished.epochs_to_go
    if unfinished.gap is None and options.arithmetic == "fast":
        return "the features are too nearly dependent for fast arithmetic: use --arithmetic exact"
    further = "it can't be reached at this learning rate"
    if go is not None:
        further = f"about {count(_rounded_up(go), 'more epoch')}"
    joined = f"{further}{': use' if go is None else ', or'}"
    if options.preconditioning != "whiten":
        return f"{joined} --preconditioning whiten"
    return f"{joined} --learning-rate auto" if options.learning_rate != "auto" else further


def _rounded_up(epochs: int) -> int:
    """Round an estimate up to two significant digits."""
    unit = int(10 ** max(0, len(str(epochs)) - 2))
    return -(-epochs // unit) * unit
