"""How a package was made and what proves it: the second half of what `gradline inspect` says."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gradline.formatting import (
    chosen_ridge,
    count,
    float32_error,
    in_doubt,
    label,
    number,
    reached,
)
from gradline.terminal.layout import Facts, Heading, Part

__all__ = ["descent", "origin", "proofs"]

MOST = 8  # targets with an interval


def descent(manifest: Mapping[str, Any]) -> list[Part]:
    """Return the loss from its first epoch to its last, beside its least, and the step taken."""
    training = manifest["training"]
    found = manifest["certificates"]["optimality"]
    gradient = f"{training['options']['preconditioning']}, {training['gradient']}"
    pairs = [
        (
            "epochs",
            f"{count(training['epochs'], 'epoch')} of at most "
            f"{training['options']['epochs']:,} ({gradient})",
        ),
        ("loss", f"{number(training['first_loss'])} → {number(training['last_loss'])}"),
        ("optimum", _optimum(found)),
        (
            "rate",
            f"{number(training['learning_rate'])}, the largest stable rate is "
            f"{number(training['largest_stable_rate'])}",
        ),
    ]
    if path := training.get("ridge_path"):
        pairs.append(("ridge", chosen_ridge(path)))
    return [Heading("Loss"), Facts(pairs), ""]


def _optimum(found: Mapping[str, Any]) -> str:
    ended = reached(found)
    said = {
        "reached the optimum": "reached",
        "stopped before the optimum": "not reached",
    }.get(ended, "unknown, since rounding hides it")
    said += in_doubt(found.get("supposed_dependent"))
    if found.get("rmse_at_optimum") is not None:
        said += f", RMSE {number(found['rmse_at_optimum'])}"
    if not found["converged"] and found.get("gap") is not None:
        said += f"; the loss is {number(found['gap'])} above its least value"
    if found.get("weights_error") is not None:
        said += f"; W in float64 within {number(found['weights_error'])} of it"
    return said


def proofs(manifest: Mapping[str, Any]) -> list[Part]:
    """Return the lines on parity and on the certificates."""
    parity, certificates = manifest["parity"], manifest["certificates"]
    certificate = certificates["float32"]
    told = {name: certificate[name] for name in ("error", "target", "limit", "column")}
    pairs = [
        (
            "parity",
            f"{', '.join(parity['within'])} within the rounding bound on {parity['rows']} rows",
        ),
        ("float32", f"{certificate['verdict']}: {float32_error(**told)}"),
    ]
    doubt = in_doubt(certificates["optimality"].get("supposed_dependent"))
    if exact := certificates.get("exact"):
        pairs.append(
            (
                "exact",
                f"{exact['certified']} of {exact['coefficients']} coefficients correctly rounded"
                + (f", the optimum{doubt}" if doubt else ""),
            )
        )
    if found := manifest.get("intervals"):
        pairs.append(("intervals", _intervals(found)))
    if leverage := manifest.get("leverage"):
        pairs.append(("leverage", _leverage(leverage)))
    return [Heading("Proofs"), Facts(pairs), ""]


def _leverage(found: Mapping[str, Any]) -> str:
    """Return up to which leverage a prediction is no hidden extrapolation."""
    said = "the largest of a training row" if found["rule"] == "largest" else found["rule"]
    return f"up to {number(found['limit'])}, {said}"


def _intervals(found: Mapping[str, Any]) -> str:
    quantile = found["quantiles"]["0.95"]
    half = [
        f"{label(name)} ± {number(value * quantile)}"
        for name, value in found["residual_deviation"].items()
    ]
    shown = "; ".join(half[:MOST]) + "; …" * (len(half) > MOST)
    return f"at 95 % at least {shown} ({found['degrees_of_freedom']:,} degrees of freedom)"


def origin(manifest: Mapping[str, Any]) -> list[Part]:
    """Return the lines on how the model was made, its warnings last."""
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
        *(("warning", f"{warning}") for warning in training["warnings"]),
    ]
    return [Heading("Origin"), Facts(pairs), ""]
