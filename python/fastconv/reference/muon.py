"""One step of Muon for a matrix, with Keras 3's exact rule; see :mod:`.optimizers`."""

from __future__ import annotations

import numpy as np

from . import _check
from ._step import Arrays, end, settled, start

__all__ = ["muon_step", "newton_schulz"]

QUINTIC = (3.4445, -4.7750, 2.0315)


@_check.quiet
def muon_step(
    w: np.ndarray,
    g: np.ndarray,
    velocity: np.ndarray,
    *,
    learning_rate: float = 0.001,
    momentum: float = 0.95,
    nesterov: bool = True,
    ns_steps: int = 5,
    quintic: tuple[float, float, float] = QUINTIC,
    rms_rate: float | None = 0.2,
    weight_decay: float = 0.0,
) -> Arrays:
    """``v' = μv + g``; ``w' = w − η √max(rows, columns) ρ N(g + μv')``, or N(v') without Nesterov's look-ahead.

    N is :func:`newton_schulz`, ρ the ``rms_rate``: without one the two factors are 1. Jordan et al. 2024; Liu et al. 2025.
    """
    op = "muon_step"
    dtype, w, g, velocity = start(op, learning_rate, weight_decay, w=w, g=g, velocity=velocity)
    momentum = _check.real(op, "momentum", momentum, 0.0, 1.0)
    velocity = settled(dtype, momentum * velocity + g)
    direction = g + momentum * velocity if _check.flag(op, "nesterov", nesterov) else velocity
    length = 1.0 if rms_rate is None else np.sqrt(max(w.shape)) * _check.positive(op, "rms_rate", rms_rate)
    step = newton_schulz(direction, _check.integer(op, "ns_steps", ns_steps), quintic)
    return end(dtype, w - learning_rate * length * step, velocity)


def newton_schulz(x: np.ndarray, steps: int = 5, quintic: tuple[float, float, float] = QUINTIC) -> np.ndarray:
    """A matrix whose singular values have become p(p(…p(s / ‖x‖))), ``p(s) = a s + b s³ + c s⁵``: with these numbers, about 1.

    By the decomposition that the iteration is there to avoid.
    """
    a, b, c = quintic
    left, s, right = np.linalg.svd(x, full_matrices=False)
    s = s / (np.sqrt((s * s).sum()) + 1e-7)
    for _ in range(steps):
        s = a * s + b * s**3 + c * s**5
    return (left * s) @ right
