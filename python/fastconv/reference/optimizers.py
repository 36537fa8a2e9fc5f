"""One step of every optimizer, with Keras 3's exact rules, as pure functions of arrays; PyTorch's own where it differs.

``w`` is the weight and ``g`` its gradient; what follows is the optimizer's state, of the same shape. The new
weight and the new state are returned, in the order in which they were given. ``weight_decay`` is decoupled,
as in Keras: the weight first loses ``learning_rate · weight_decay`` of itself (Loshchilov and Hutter 2019).

What all of them do with their arguments, and where state vanishes, is in :mod:`._step`.
"""

from __future__ import annotations

import numpy as np

from . import _check
from ._step import Arrays, end, numbers, settled, start, towards

__all__ = [
    "adadelta_step",
    "adagrad_step",
    "adam_step",
    "adamw_step",
    "average_step",
    "rmsprop_step",
    "sgd_step",
    "torch_sgd_step",
]


@_check.quiet
def sgd_step(
    w: np.ndarray,
    g: np.ndarray,
    velocity: np.ndarray,
    *,
    learning_rate: float = 0.01,
    momentum: float = 0.0,
    nesterov: bool = False,
    weight_decay: float = 0.0,
) -> Arrays:
    """``v' = μv − ηg``; ``w' = w + v'``, or with Nesterov's look-ahead ``w' = w + μv' − ηg``."""
    op = "sgd_step"
    dtype, w, g, velocity = start(op, learning_rate, weight_decay, w=w, g=g, velocity=velocity)
    momentum = _check.real(op, "momentum", momentum, 0.0, 1.0)
    velocity = settled(dtype, momentum * velocity - learning_rate * g)
    look_ahead = _check.flag(op, "nesterov", nesterov)
    w = w + (momentum * velocity - learning_rate * g if look_ahead else velocity)
    return end(dtype, w, velocity)


@_check.quiet
def torch_sgd_step(
    w: np.ndarray,
    g: np.ndarray,
    velocity: np.ndarray,
    *,
    learning_rate: float = 0.01,
    momentum: float = 0.0,
    nesterov: bool = False,
    weight_decay: float = 0.0,
) -> Arrays:
    """``d = g + λw``; ``v' = μv + d``; ``w' = w − ηv'``, or with Nesterov's look-ahead ``w' = w − η(d + μv')``.

    ``torch.optim.SGD``. The weight decay λ is not decoupled: it is part of the gradient. The velocity is in units of the
    gradient: a new learning rate η also applies to what earlier steps have gathered.
    """
    op = "torch_sgd_step"
    dtype, w, g, velocity = start(op, learning_rate, 0.0, w=w, g=g, velocity=velocity)
    momentum = _check.real(op, "momentum", momentum, 0.0, 1.0)
    d = g + _check.real(op, "weight_decay", weight_decay, 0.0) * w
    velocity = settled(dtype, momentum * velocity + d)
    look_ahead = _check.flag(op, "nesterov", nesterov)
    return end(dtype, w - learning_rate * (d + momentum * velocity if look_ahead else velocity), velocity)


@_check.quiet
def average_step(w: np.ndarray, average: np.ndarray, *, momentum: float = 0.99, overwrite: bool = False) -> Arrays:
    """``a' = μa + (1−μ)w``; the weight is a' where ``overwrite``, else it stays.

    With a μ near 1 at every step it is the exponential moving average of Keras's ``use_ema``. At every k-th step, with
    ``overwrite``, it is Lookahead (Zhang et al. 2019): a are the slow weights and 1 − μ their step size.
    """
    op = "average_step"
    dtype = _check.arrays(op, w=(w, None), average=(average, None))
    _check.shape(op, "average", average, w.shape, "w")
    momentum = _check.real(op, "momentum", momentum, 0.0, 1.0)
    mean = settled(dtype, momentum * average.astype(np.float64) + (1 - momentum) * w.astype(np.float64))
    return end(dtype, mean if _check.flag(op, "overwrite", overwrite) else w.astype(np.float64), mean)


@_check.quiet
def adam_step(
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
    """``m' = β₁m + (1−β₁)g``; ``v' = β₂v + (1−β₂)g²``; ``w' = w − α m' / (sqrt(v') + ε)``.

    Kingma and Ba 2015.

    ``α = η · sqrt(1 − β₂ᵗ) / (1 − β₁ᵗ)`` for step t, counted from 1. ε is outside the bias correction, as in
    Keras and unlike in PyTorch.
    """
    op = "adam_step"
    dtype, w, g, m, v = start(op, learning_rate, weight_decay, w=w, g=g, m=m, v=v)
    t, beta_1, beta_2, epsilon = numbers(op, step, beta_1, beta_2, epsilon)
    m = towards(dtype, m, g, beta_1)
    v = towards(dtype, v, g * g, beta_2)
    alpha = learning_rate * np.sqrt(1 - beta_2**t) / (1 - beta_1**t)
    return end(dtype, w - alpha * m / (np.sqrt(v) + epsilon), m, v)


def adamw_step(
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
    weight_decay: float = 0.004,
) -> Arrays:
    """:func:`adam_step` with weight decay on by default."""
    return adam_step(
        w,
        g,
        m,
        v,
        step=step,
        learning_rate=learning_rate,
        beta_1=beta_1,
        beta_2=beta_2,
        epsilon=epsilon,
        weight_decay=weight_decay,
    )


@_check.quiet
def rmsprop_step(
    w: np.ndarray,
    g: np.ndarray,
    velocity: np.ndarray,
    momentum_buffer: np.ndarray,
    average_gradient: np.ndarray,
    *,
    learning_rate: float = 0.001,
    rho: float = 0.9,
    momentum: float = 0.0,
    epsilon: float = 1e-7,
    centered: bool = False,
    weight_decay: float = 0.0,
) -> Arrays:
    """``v' = ρv + (1−ρ)g²``; ``w' = w − η g / sqrt(v' + ε)``; that step may gather momentum.

    Tieleman and Hinton 2012.

    ``centered`` subtracts the square of the gradient's running average from v'. A buffer whose option is off
    comes back unchanged.
    """
    op = "rmsprop_step"
    dtype, w, g, velocity, buffer, average = start(
        op,
        learning_rate,
        weight_decay,
        w=w,
        g=g,
        velocity=velocity,
        momentum_buffer=momentum_buffer,
        average_gradient=average_gradient,
    )
    rho, momentum = _check.real(op, "rho", rho, 0.0, 1.0), _check.real(op, "momentum", momentum, 0.0, 1.0)
    epsilon = _check.positive(op, "epsilon", epsilon)
    velocity = settled(dtype, rho * velocity + (1 - rho) * g * g)
    spread = velocity
    if _check.flag(op, "centered", centered):
        average = settled(dtype, rho * average + (1 - rho) * g)
        spread = velocity - average * average
    increment = learning_rate * g / np.sqrt(spread + epsilon)
    if momentum > 0:
        buffer = increment = settled(dtype, momentum * buffer + increment)
    return end(dtype, w - increment, velocity, buffer, average)


@_check.quiet
def adagrad_step(
    w: np.ndarray,
    g: np.ndarray,
    accumulator: np.ndarray,
    *,
    learning_rate: float = 0.001,
    epsilon: float = 1e-7,
    weight_decay: float = 0.0,
) -> Arrays:
    """``a' = a + g²``; ``w' = w − η g / sqrt(a' + ε)`` (Duchi et al. 2011); Keras starts a at 0.1."""
    op = "adagrad_step"
    dtype, w, g, accumulator = start(op, learning_rate, weight_decay, w=w, g=g, accumulator=accumulator)
    epsilon = _check.positive(op, "epsilon", epsilon)
    accumulator = accumulator + g * g
    return end(dtype, w - learning_rate * g / np.sqrt(accumulator + epsilon), accumulator)


@_check.quiet
def adadelta_step(
    w: np.ndarray,
    g: np.ndarray,
    accumulated_gradient: np.ndarray,
    accumulated_delta: np.ndarray,
    *,
    learning_rate: float = 0.001,
    rho: float = 0.95,
    epsilon: float = 1e-7,
    weight_decay: float = 0.0,
) -> Arrays:
    """``a' = ρa + (1−ρ)g²``; ``δ = −g sqrt(d + ε) / sqrt(a' + ε)``; ``d' = ρd + (1−ρ)δ²``; ``w' = w + ηδ``.

    Zeiler 2012.
    """
    op = "adadelta_step"
    dtype, w, g, a, d = start(
        op,
        learning_rate,
        weight_decay,
        w=w,
        g=g,
        accumulated_gradient=accumulated_gradient,
        accumulated_delta=accumulated_delta,
    )
    rho, epsilon = _check.real(op, "rho", rho, 0.0, 1.0), _check.positive(op, "epsilon", epsilon)
    a = settled(dtype, rho * a + (1 - rho) * g * g)
    delta = -g * np.sqrt(d + epsilon) / np.sqrt(a + epsilon)
    return end(dtype, w + learning_rate * delta, a, settled(dtype, rho * d + (1 - rho) * delta * delta))
