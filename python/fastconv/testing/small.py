"""Small data, small models, and their gradients against differences: what tests of whole models begin with."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from fastconv.models import Model, Sequential
from fastconv.utils import numeric_gradient

__all__ = ["assert_gradients", "assert_slope", "compiled", "normal"]


def normal(*shape: int, seed: int = 0) -> np.ndarray:
    """Normal numbers, float64, the same for the same shape and seed."""
    return np.random.default_rng(seed).normal(size=shape)


def compiled(*layers: Any, loss: Any = "mse", optimizer: Any = "sgd", **keywords: Any) -> Sequential:
    """A compiled Sequential."""
    model = Sequential(list(layers))
    model.compile(optimizer, loss, **keywords)
    return model


def assert_gradients(model: Model, x: Any, y: Any, rtol: float = 1e-6, atol: float = 1e-9) -> None:
    """Every gradient that the compiled model gives equals central differences of its loss; the weights stay."""
    _, found = model.gradients(x, y)
    kept = model.get_weights()
    for i, (name, gradient) in enumerate(found.items()):

        def cost(w: np.ndarray, i: int = i) -> Any:
            model.set_weights([*kept[:i], w, *kept[i + 1 :]])
            return model.evaluate(x, y, verbose=0)

        np.testing.assert_allclose(gradient, numeric_gradient(cost, kept[i]), rtol=rtol, atol=atol, err_msg=name)
    model.set_weights(kept)


def assert_slope(f: Callable[..., Any], f_backward: Callable[..., Any], x: np.ndarray, atol: float = 1e-7) -> None:
    """``f_backward(1, x)`` is the derivative of a function of each cell, away from kinks."""
    numeric = numeric_gradient(lambda v: f(v).sum(), x)
    np.testing.assert_allclose(f_backward(np.ones_like(x), x)[0], numeric, atol=atol)
