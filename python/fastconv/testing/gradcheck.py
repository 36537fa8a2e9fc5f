"""Gradients against central differences, in float64, with a random cotangent."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from fastconv.utils import numeric_gradient

__all__ = ["gradcheck", "numeric_gradients"]


def gradcheck(
    f: Callable[..., Any],
    f_backward: Callable[..., Sequence[np.ndarray | None]],
    arrays: Sequence[np.ndarray],
    needs: Sequence[bool] | None = None,
    *,
    eps: float = 1e-6,
    atol: float = 1e-5,
    rtol: float = 1e-3,
    seed: int = 0,
) -> None:
    """Raise AssertionError unless ``f_backward(dy, *arrays)`` is the gradient of ``Σ dy · f(*arrays)``.

    The cotangent dy is random: with ones, a wrong permutation of gradients would go unseen. Of a tuple of
        results only
    the first is differentiated. Tolerances are those of torch.autograd.gradcheck.

    Args:
        f, f_backward: the function and its gradient; both take the arrays, keywords already bound.
        arrays: float64 inputs, away from kinks by more than ``eps``.
        needs: which gradients to check; by default every array's.
    """
    arrays = [np.array(x) for x in arrays]
    y = _first(f(*arrays))
    dy = np.asarray(np.random.default_rng(seed).uniform(-1.0, 1.0, y.shape))
    wanted = tuple(needs) if needs is not None else (True,) * len(arrays)
    analytic = f_backward(dy, *arrays)
    assert len(analytic) >= len(arrays), f"expected {len(arrays)} gradients, got {len(analytic)}"
    assert all(g is None for g in analytic[len(arrays) :]), "an optional array that was not given has a gradient"
    for i, numeric in numeric_gradients(f, dy, arrays, wanted, eps).items():
        gradient = analytic[i]
        assert gradient is not None, f"gradient {i} is missing"
        assert gradient.shape == numeric.shape, f"gradient {i}: shape {gradient.shape}, expected {numeric.shape}"
        np.testing.assert_allclose(gradient, numeric, rtol=rtol, atol=atol, err_msg=f"gradient {i}")


def numeric_gradients(
    f: Callable[..., Any],
    dy: np.ndarray,
    arrays: Sequence[np.ndarray],
    wanted: Sequence[bool],
    eps: float = 1e-6,
) -> dict[int, np.ndarray]:
    """``(f(x + eps) − f(x − eps)) / (2 eps)`` summed against dy, for every element of every wanted array."""

    def total(i: int) -> Callable[[np.ndarray], Any]:
        return lambda x: np.sum(dy * _first(f(*arrays[:i], x, *arrays[i + 1 :])))

    arrays = [np.array(x) for x in arrays]
    return {i: numeric_gradient(total(i), arrays[i], eps) for i, want in enumerate(wanted) if want}


def _first(result: Any) -> np.ndarray:
    return result[0] if isinstance(result, tuple) else result
