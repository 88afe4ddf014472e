"""The fixed PyTorch and NumPy state of a fit or an export, independent of the caller's."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import torch

from gradline.columns.numpy_state import numpy_defaults
from gradline_trainer.rows.threads import one_thread_each


@contextmanager
def known_state() -> Iterator[None]:
    """Set gradients, devices, precision and floating-point errors to the libraries' defaults.

    The default dtype is not reset: it belongs to all threads of the process, so code names its
    dtypes instead. Lowered precision is reset only if the caller has set it.
    """
    with ExitStack() as stack:
        stack.enter_context(numpy_defaults())
        stack.enter_context(one_thread_each())  # a forked child would wait for lost threads
        stack.enter_context(torch.inference_mode(False))
        stack.enter_context(torch.enable_grad())
        stack.enter_context(torch.device("cpu"))
        for kind in ("cpu", "cuda"):
            if torch.is_autocast_enabled(kind):
                stack.enter_context(torch.autocast(kind, enabled=False))
        if torch.is_anomaly_enabled():  # it raises before we can say why a run diverges
            stack.enter_context(torch.autograd.set_detect_anomaly(False))
        precision = torch.get_float32_matmul_precision()
        if precision != "highest":
            torch.set_float32_matmul_precision("highest")
            stack.callback(torch.set_float32_matmul_precision, precision)
        if _flushes():
            torch.set_flush_denormal(False)
            stack.callback(torch.set_flush_denormal, True)
        yield


def _flushes() -> bool:
    """Check whether this thread treats subnormal numbers as zeros."""
    smallest_normal = torch.finfo(torch.float64).tiny
    return smallest_normal / 2 == 0
