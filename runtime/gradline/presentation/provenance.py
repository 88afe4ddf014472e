"""Describe how a package was made and what proves it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gradline.columns.targets import learned_names, load_functions
from gradline.formatting import chosen_ridge, count, float32_error, in_doubt, label, number, reached
from gradline.terminal.layout import Element, Facts, Heading

MOST = 8  # targets with an interval
#: What a package lacks if the model was learned elsewhere.
UNKNOWN = "metrics, statistics, training ranges and certificates: gradline did not train this model"


def descent(manifest: Mapping[str, Any]) -> list[Element]:
    """List the epochs, the loss from first to last, its optimum and the learning rate."""
    training = manifest["training"]
    options = training["options"]
    most, how = options["epochs"], f"{options['preconditioning']}, {training['gradient']}"
    rate, largest = number(training["learning_rate"]), number(training["largest_stable_rate"])
    pairs = [
        ("epochs", f"{count(training['epochs'], 'epoch')} of at most {most:,} ({how})"),
        ("loss", f"{number(training['first_loss'])} → {number(training['last_loss'])}"),
        ("optimum", _optimum(manifest["certificates"]["optimality"])),
        ("rate", f"{rate}, the largest stable rate is {largest}"),
    ]
    if path := training.get("ridge_path"):
        pairs.append(("ridge", chosen_ridge(path)))
    return [Heading("Loss"), Facts(pairs), ""]


OPTIMUM = {"reached the optimum": "reached", "stopped before the optimum": "not reached"}


def _optimum(found: Mapping[str, Any]) -> str:
    said = OPTIMUM.get(reached(found), "unknown, since rounding hides it")
    said += in_doubt(found.get("supposed_dependent"))
    if found.get("rmse_at_optimum") is not None:
        said += f", RMSE {number(found['rmse_at_optimum'])}"
    if not found["converged"] and found.get("gap") is not None:
        said += f"; the loss is {number(found['gap'])} above its least value"
    if found.get("weights_error") is not None:
        said += f"; W in float64 within {number(found['weights_error'])} of it"
    return said


def proofs(manifest: Mapping[str, Any]) -> list[Element]:
    """List what parity and the certificates prove."""
    certificates = manifest["certificates"]
    verdict = certificates["float32"]
    error = float32_error(*(verdict[name] for name in ("error", "target", "limit", "column")))
    pairs = [_parity(manifest), ("float32", f"{verdict['verdict']}: {error}")]
    if exact := certificates.get("exact"):
        doubt = in_doubt(certificates["optimality"].get("supposed_dependent"))
        certified = f"{exact['certified']} of {exact['coefficients']} coefficients"
        optimum = f", the optimum{doubt}" if doubt else ""
        pairs.append(("exact", f"{certified} correctly rounded{optimum}"))
    if found := manifest.get("intervals"):
        pairs.append(("intervals", _intervals(found, manifest["schema"])))
    if leverage := manifest.get("leverage"):
        rule = leverage["rule"]
        said = "the largest of a training row" if rule == "largest" else rule
        pairs.append(("leverage", f"up to {number(leverage['limit'])}, {said}"))
    return [Heading("Proofs"), Facts(pairs), ""]


def _parity(manifest: Mapping[str, Any]) -> tuple[str, str]:
    parity = manifest["parity"]
    hosts = ", ".join(parity["within"])
    return "parity", f"{hosts} within the rounding bound on {parity['rows']} rows"


def elsewhere(manifest: Mapping[str, Any]) -> list[Element]:
    """List what is known of a model that another library learned."""
    found = manifest["origin"]
    versions = ", ".join(f"{name} {number}" for name, number in found["versions"].items())
    pairs = [
        *_made_by(found.get("with")),
        ("weights", found["weights"]),
        ("unknown", UNKNOWN),
        ("versions", versions),
        *(("note", f"{label(key)}: {value}") for key, value in found["notes"].items()),
    ]
    return [Heading("Proofs"), Facts([_parity(manifest)]), "", Heading("Origin"), Facts(pairs), ""]


def _made_by(found: Mapping[str, Any] | None) -> list[tuple[str, str]]:
    if found is None:
        return [("learned", "elsewhere; the coefficients alone were given")]
    given = ", ".join(f"{label(name)}={value!r}" for name, value in found["parameters"].items())
    learned = f"elsewhere, by {found['class']} of {found['library']} {found['version']}"
    return [("learned", learned), *([("parameters", given)] if given else [])]


def _intervals(found: Mapping[str, Any], schema: Mapping[str, Any]) -> str:
    quantile, targets = found["quantiles"]["0.95"], schema["targets"]
    functions = load_functions(schema.get("target_functions"), len(targets))
    learned = dict(zip(targets, learned_names(targets, functions), strict=True))
    deviations = found["residual_deviation"].items()
    half = [f"{label(learned[name])} ± {number(value * quantile)}" for name, value in deviations]
    shown = "; ".join(half[:MOST]) + "; …" * (len(half) > MOST)
    return f"at 95 % at least {shown} ({found['degrees_of_freedom']:,} degrees of freedom)"


def origin(manifest: Mapping[str, Any]) -> list[Element]:
    """List how the model was made, its warnings last."""
    training = manifest["training"]
    rows = training["rows"]
    counts = f"{rows['read']:,} read, {rows['dropped']:,} dropped, {rows['held_out']:,} held out"
    files = ", ".join(label(file["name"]) for file in training["files"])
    if moments := training.get("moments"):
        files = f"none but the saved moments {label(moments['name'])}"
    versions = ", ".join(f"{name} {number}" for name, number in training["versions"].items())
    pairs = [
        ("rows", counts),
        ("files", files or "none, a table in memory"),
        ("weights", f"{training['arithmetic']} arithmetic: {training['arithmetic_reason']}"),
        ("versions", versions),
        *(("note", f"{label(key)}: {value}") for key, value in training["notes"].items()),
        *(("warning", str(warning)) for warning in training["warnings"]),
    ]
    return [Heading("Origin"), Facts(pairs), ""]
