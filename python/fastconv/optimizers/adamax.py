"""Adamax: Adam with the largest gradient in place of the mean square."""

from __future__ import annotations

from fastconv.optimizers.moments import Moments

__all__ = ["Adamax"]


class Adamax(Moments):
    """Adaptive moments by the infinity norm.

    ::

        momentum += (g - momentum) * (1 - beta_1)
        norm = max(beta_2 * norm, |g|)
        w -= learning_rate * momentum / ((1 - beta_1**t) * (norm + epsilon))       t = 1, 2, …

    Args:
        learning_rate: finite and > 0, or a schedule.
        beta_1: decay of the mean, 0 <= beta_1 < 1.
        beta_2: decay of the norm, 0 <= beta_2 < 1.
        epsilon: > 0.
        weight_decay: and all that follow: see :class:`Optimizer`.

    Source: Kingma and Ba 2014, section 7.1.
    """

    kernel = "adamax_update"
    default_name = "adamax"

    def slots(self) -> dict[str, float | None]:
        return {"momentum": 0.0, "norm": 0.0}
