"""Lamb: Adam whose steps are in proportion to the weights."""

from __future__ import annotations

from fastconv.optimizers.moments import Moments

__all__ = ["Lamb"]


class Lamb(Moments):
    """Adaptive moments, layer by layer: a variable's step has the length of the variable, times the learning rate.

    ::

        momentum += (g - momentum) * (1 - beta_1)
        velocity += (g * g - velocity) * (1 - beta_2)
        update = momentum / (1 - beta_1**t) / (sqrt(velocity / (1 - beta_2**t)) + epsilon)       t = 1, 2, …
        w -= learning_rate * norm(w) / norm(update) * update                                     1 for the ratio if a norm is 0

    Args:
        learning_rate: finite and > 0, or a schedule.
        beta_1: decay of the mean, 0 <= beta_1 < 1.
        beta_2: decay of the mean square, 0 <= beta_2 < 1.
        epsilon: > 0.
        weight_decay: and all that follow: see :class:`Optimizer`.

    Source: You et al. 2019, Large batch optimization for deep learning.
    """

    kernel = "lamb_update"
    default_name = "lamb"
    whole_variables = True
