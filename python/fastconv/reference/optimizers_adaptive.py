"""One step of further optimizers, with Keras 3's exact rules; see :mod:`.optimizers`."""

from __future__ import annotations

import numpy as np

from . import _check
from ._step import Arrays, betas, end, numbers, settled, start, towards

__all__ = ["adafactor_step", "adamax_step", "ftrl_step", "lamb_step", "lion_step", "nadam_step", "schedule_free_step"]


@_check.quiet
def adamax_step(
    w: np.ndarray,
    g: np.ndarray,
    m: np.ndarray,
    u: np.ndarray,
    *,
    step: int,
    learning_rate: float = 0.001,
    beta_1: float = 0.9,
    beta_2: float = 0.999,
    epsilon: float = 1e-7,
    weight_decay: float = 0.0,
) -> Arrays:
    """``m' = β₁m + (1−β₁)g``; ``u' = max(β₂u, |g|)``; ``w' = w − η m' / ((1 − β₁ᵗ)(u' + ε))``.

    Kingma and Ba 2015, section 7.1.
    """
    op = "adamax_step"
    dtype, w, g, m, u = start(op, learning_rate, weight_decay, w=w, g=g, m=m, u=u)
    t, beta_1, beta_2, epsilon = numbers(op, step, beta_1, beta_2, epsilon)
    m = towards(dtype, m, g, beta_1)
    u = np.maximum(settled(dtype, beta_2 * u), abs(g))
    return end(dtype, w - learning_rate * m / ((1 - beta_1**t) * (u + epsilon)), m, u)


@_check.quiet
def nadam_step(
    w: np.ndarray,
    g: np.ndarray,
    m: np.ndarray,
    v: np.ndarray,
    *,
    step: int,
    learning_rate: float = 0.001,
    beta_1: float = 0.9,
    beta_2: float = 0.999,
    epsilon: float = 1e-7,
    weight_decay: float = 0.0,
) -> Arrays:
    """Adam's m' and v'; ``w' = w − η m̂ / (sqrt(v' / (1 − β₂ᵗ)) + ε)`` with Nesterov's look-ahead in m̂. Dozat 2016.

    ``μ(t) = β₁ (1 − 0.96ᵗ / 2)``, ``P = μ(1) … μ(t)``, ``m̂ = μ(t+1) m' / (1 − P μ(t+1)) + (1 − μ(t)) g / (1 − P)``.
    """
    op = "nadam_step"
    dtype, w, g, m, v = start(op, learning_rate, weight_decay, w=w, g=g, m=m, v=v)
    t, beta_1, beta_2, epsilon = numbers(op, step, beta_1, beta_2, epsilon)
    mu = beta_1 * (1 - 0.5 * 0.96 ** np.arange(1, t + 2))
    product = mu[:t].prod()
    m = towards(dtype, m, g, beta_1)
    v = towards(dtype, v, g * g, beta_2)
    ahead = mu[t] * m / (1 - product * mu[t]) + (1 - mu[t - 1]) * g / (1 - product)
    return end(dtype, w - learning_rate * ahead / (np.sqrt(v / (1 - beta_2**t)) + epsilon), m, v)


@_check.quiet
def lion_step(
    w: np.ndarray,
    g: np.ndarray,
    m: np.ndarray,
    *,
    learning_rate: float = 0.001,
    beta_1: float = 0.9,
    beta_2: float = 0.99,
    weight_decay: float = 0.0,
) -> Arrays:
    """``w' = w − η sign(β₁m + (1−β₁)g)``; ``m' = β₂m + (1−β₂)g`` (Chen et al. 2023)."""
    op = "lion_step"
    dtype, w, g, m = start(op, learning_rate, weight_decay, w=w, g=g, m=m)
    beta_1, beta_2 = betas(op, beta_1, beta_2)
    w = w - learning_rate * np.sign(beta_1 * m + (1 - beta_1) * g)
    return end(dtype, w, settled(dtype, beta_2 * m + (1 - beta_2) * g))


@_check.quiet
def ftrl_step(
    w: np.ndarray,
    g: np.ndarray,
    accumulator: np.ndarray,
    linear: np.ndarray,
    *,
    learning_rate: float = 0.001,
    learning_rate_power: float = -0.5,
    l1_regularization_strength: float = 0.0,
    l2_regularization_strength: float = 0.0,
    l2_shrinkage_regularization_strength: float = 0.0,
    beta: float = 0.0,
    weight_decay: float = 0.0,
) -> Arrays:
    """``a' = a + g²``; ``z' = z + g + 2λw − (a'ᵖ − aᵖ) w / η``; ``w' = (clip(z', ±l1) − z') / (a'ᵖ / η + 2 l2 + β / η)``.

    p is −learning_rate_power and λ the shrinkage; McMahan et al. 2013. Keras starts a at 0.1.
    """
    op = "ftrl_step"
    dtype, w, g, a, z = start(op, learning_rate, weight_decay, w=w, g=g, accumulator=accumulator, linear=linear)
    power = -_check.real(op, "learning_rate_power", learning_rate_power, high=0.0)
    l1 = _check.real(op, "l1_regularization_strength", l1_regularization_strength, 0.0)
    l2 = _check.real(op, "l2_regularization_strength", l2_regularization_strength, 0.0) + beta / (2 * learning_rate)
    total = a + g * g
    z = z + g + 2 * l2_shrinkage_regularization_strength * w - (total**power - a**power) / learning_rate * w
    return end(dtype, (np.clip(z, -l1, l1) - z) / (total**power / learning_rate + 2 * l2), total, z)


@_check.quiet
def lamb_step(
    w: np.ndarray,
    g: np.ndarray,
    m: np.ndarray,
    v: np.ndarray,
    *,
    step: int,
    learning_rate: float = 0.001,
    beta_1: float = 0.9,
    beta_2: float = 0.999,
    epsilon: float = 1e-7,
    weight_decay: float = 0.0,
) -> Arrays:
    """Adam's m' and v'; ``u = m' / (1 − β₁ᵗ) / (sqrt(v' / (1 − β₂ᵗ)) + ε)``; ``w' = w − η ‖w‖/‖u‖ u`` (You et al. 2020).

    The ratio is 1 where a norm is 0; norms are those of the whole variable.
    """
    op = "lamb_step"
    dtype, w, g, m, v = start(op, learning_rate, weight_decay, w=w, g=g, m=m, v=v)
    t, beta_1, beta_2, epsilon = numbers(op, step, beta_1, beta_2, epsilon)
    m = towards(dtype, m, g, beta_1)
    v = towards(dtype, v, g * g, beta_2)
    u = m / (1 - beta_1**t) / (np.sqrt(v / (1 - beta_2**t)) + epsilon)
    of_w, of_u = np.sqrt((w * w).sum()), np.sqrt((u * u).sum())
    ratio = of_w / of_u if of_w > 0 and of_u > 0 else 1.0
    return end(dtype, w - ratio * learning_rate * u, m, v)


@_check.quiet
def schedule_free_step(
    w: np.ndarray,
    g: np.ndarray,
    z: np.ndarray,
    v: np.ndarray,
    *,
    step: int,
    learning_rate: float = 0.0025,
    beta_1: float = 0.9,
    beta_2: float = 0.999,
    epsilon: float = 1e-8,
    warmup_steps: int = 0,
    weight_decay: float = 0.0,
) -> Arrays:
    """Adam's v'; ``z' = z − η g / (sqrt(v' / (1 − β₂ᵗ)) + ε)``; ``x' = x + (z' − x) / t``; ``w' = (1−β₁) z' + β₁ x'``.

    x is where w lies between it and z: ``w = (1−β₁) z + β₁ x``. z begins as w. Defazio et al. 2024.
    """
    op = "schedule_free_step"
    dtype, w, g, z, v = start(op, learning_rate, weight_decay, w=w, g=g, z=z, v=v)
    t, beta_1, beta_2, epsilon = numbers(op, step, beta_1, beta_2, epsilon)
    rate = learning_rate * min(t / warmup_steps, 1.0) if warmup_steps else learning_rate
    x = (w - (1 - beta_1) * z) / beta_1
    v = towards(dtype, v, g * g, beta_2)
    z = z - rate * g / (np.sqrt(v / (1 - beta_2**t)) + epsilon)
    x = x + (z - x) / t
    return end(dtype, (1 - beta_1) * z + beta_1 * x, z, v)


@_check.quiet
def adafactor_step(
    w: np.ndarray,
    g: np.ndarray,
    row: np.ndarray,
    column: np.ndarray,
    velocity: np.ndarray,
    *,
    step: int,
    learning_rate: float = 0.001,
    beta_2_decay: float = -0.8,
    epsilon_1: float = 1e-30,
    epsilon_2: float = 1e-3,
    clip_threshold: float = 1.0,
    weight_decay: float = 0.0,
) -> Arrays:
    """``v' = r' / mean(r') · c'`` of the mean squares r' and c' of rows and columns; ``u = g / sqrt(v')``, held to an rms of
    ``clip_threshold``; ``w' = w − max(ε₂, rms(w)) min(η, 1/√t) u``. Shazeer and Stern 2018.

    Of fewer than two axes v' is the running mean square itself, and row and column come back unchanged.
    """
    op = "adafactor_step"
    dtype, w, g, v = start(op, learning_rate, weight_decay, w=w, g=g, velocity=velocity)
    t = _check.integer(op, "step", step, 1)
    beta, squares = 1 - t**beta_2_decay, g * g + epsilon_1
    r, c = row.astype(np.float64), column.astype(np.float64)
    if w.ndim >= 2:
        r = beta * r + (1 - beta) * squares.mean(axis=-1)
        c = beta * c + (1 - beta) * squares.mean(axis=-2)
        v = (r / r.mean(axis=-1, keepdims=True))[..., None] * c[..., None, :]
    else:
        v = beta * v + (1 - beta) * squares
    u = g / np.sqrt(v)
    u = u / max(1.0, np.sqrt((u * u).mean()) / clip_threshold)
    alpha = max(epsilon_2, np.sqrt((w * w).mean())) * min(learning_rate, t**-0.5)
    return end(dtype, w - alpha * u, r, c, v)
