"""Nadam: Adam that looks ahead as Nesterov's momentum does."""

from __future__ import annotations

import functools

from fastconv.optimizers.moments import Moments

__all__ = ["Nadam"]


class Nadam(Moments):
    """Adaptive moments with Nesterov's momentum.

    ::

        mu(t) = beta_1 * (1 - 0.5 * 0.96**t)        u_product = mu(1) * … * mu(t)        t = 1, 2, …
        momentum += (g - momentum) * (1 - beta_1)
        velocity += (g * g - velocity) * (1 - beta_2)
        m_hat = mu(t + 1) * momentum / (1 - u_product * mu(t + 1)) + (1 - mu(t)) * g / (1 - u_product)
        w -= learning_rate * m_hat / (sqrt(velocity / (1 - beta_2**t)) + epsilon)

    Args:
        learning_rate: finite and > 0, or a schedule.
        beta_1: decay of the mean, 0 <= beta_1 < 1.
        beta_2: decay of the mean square, 0 <= beta_2 < 1.
        epsilon: > 0.
        weight_decay: and all that follow: see :class:`Optimizer`.

    Source: Dozat 2016, Incorporating Nesterov momentum into Adam.
    """

    kernel = "nadam_update"
    default_name = "nadam"

    @functools.cached_property
    def _products(self) -> list[float]:
        return [1.0]

    def _hyper(self, rate: float, step: int) -> list[float]:
        return [*super()._hyper(rate, step), self.u_product(step)]

    def u_product(self, step: int) -> float:
        """``mu(1) * … * mu(step)``; 1 before the first update."""
        while len(self._products) <= step:
            mu = self.beta_1 * (1 - 0.5 * 0.96 ** len(self._products))
            self._products.append(self._products[-1] * mu)
        return self._products[step]
