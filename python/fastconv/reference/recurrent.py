"""Recurrent layers, one step after another, and their gradients by backpropagation through time."""

from __future__ import annotations

from typing import Any

import numpy as np

from . import _check
from .by_name import activate, activate_backward, check_name

__all__ = ["gru", "gru_backward", "lstm", "lstm_backward", "simple_rnn", "simple_rnn_backward"]


class _Steps:
    """A sequence that is walked in the order of the steps: ``x[s]`` is what step s reads, float64."""

    def __init__(self, op: str, x: Any, settings: dict[str, Any], **arrays: Any) -> None:
        axes = {
            "kernel": ("features", "gates"),
            "recurrent_kernel": ("units", "gates"),
            "bias": None,
            "h0": ("batch", "units"),
            "c0": ("batch", "units"),
        }
        needed = ("kernel", "recurrent_kernel")
        given = {name: (array, axes[name]) for name, array in arrays.items() if array is not None or name in needed}
        self.dtype = _check.arrays(op, x=(x, ("batch", "steps", "features")), **given)
        for name in ("activation", "recurrent_activation"):
            check_name(op, settings.get(name))
        flags = ("return_sequences", "return_state", "go_backwards", "aligned")
        self.sequences, self.state, self.backwards, self.aligned = (
            _check.flag(op, name, settings.get(name, False)) for name in flags
        )
        self.units = arrays["recurrent_kernel"].shape[0]
        after, gates = _check.flag(op, "reset_after", settings.get("reset_after", False)), arrays["kernel"].shape[1:]
        if arrays["bias"] is not None:
            _check.shape(op, "bias", arrays["bias"], (2, *gates) if after else gates, "the gates")
        for name in ("h0", "c0"):
            if arrays.get(name) is not None:
                _check.shape(op, name, arrays[name], (len(x), self.units), "the batch and the units")
        self.arrays: dict[str, Any] = {name: None if a is None else a.astype(np.float64) for name, a in arrays.items()}
        self.x = self.turned(x.astype(np.float64))

    def turned(self, sequence: np.ndarray) -> np.ndarray:
        """Between the order of the steps and that of time; axis 0 becomes the one of steps."""
        moved = np.moveaxis(sequence, 1, 0)
        return moved[::-1] if self.backwards else moved

    def initial(self, name: str) -> np.ndarray:
        state = self.arrays.get(name)
        return np.zeros((self.x.shape[1], self.units)) if state is None else state

    def results(self, h: list[np.ndarray], *states: np.ndarray) -> Any:
        """What the op returns of the states after every step."""
        ordered = h[::-1] if self.backwards and self.aligned else h
        y = _check.cast(np.stack(ordered, axis=1) if self.sequences else h[-1], self.dtype)
        return (y, *(_check.cast(state, self.dtype) for state in states)) if self.state else y

    def cotangents(self, op: str, dy: Any) -> tuple[np.ndarray, list[np.ndarray]]:
        """dh of every step, and the gradients of the last states."""
        given = list(dy) if isinstance(dy, tuple) else [dy]
        results = 1 if not self.state else 3 if "c0" in self.arrays else 2
        if not 1 <= len(given) <= results or all(d is None for d in given):
            got = f"{len(given)} in {type(dy).__name__}"
            _check.fail(ValueError, op, "dy must be of the results", f"1 to {results} arrays", got, "None is zeros.")
        like = {f"dy[{i}]": (d, None) for i, d in enumerate(given) if d is not None}
        _check.arrays(op, result=(np.empty((1,), self.dtype), None), **like)
        n, units = self.x.shape[1], self.units
        dh = np.zeros((len(self.x), n, units))
        if given[0] is not None and self.sequences:
            _check.shape(op, "dy", given[0], (n, len(self.x), units), "the result")
            moved = np.moveaxis(given[0], 1, 0)
            dh += moved[::-1] if self.backwards and self.aligned else moved
        elif given[0] is not None:
            _check.shape(op, "dy", given[0], (n, units), "the result")
            dh[-1] += given[0]
        for d in given[1:]:
            if d is not None:
                _check.shape(op, "dy", d, (n, units), "the last state")
        last = [np.zeros((n, units)) if d is None else d.astype(np.float64) for d in given[1:]]
        if last:
            dh[-1] += last[0]
        return dh, last

    def gradients(self, need: Any, dx: np.ndarray, **found: Any) -> tuple[np.ndarray | None, ...]:
        """In the order of the arrays, of their dtype, where wanted."""
        ordered = [np.moveaxis(dx[::-1] if self.backwards else dx, 0, 1), *(found[name] for name in self.arrays)]
        return tuple(_check.cast(g, self.dtype) if n else None for g, n in zip(ordered, need, strict=True))

    def needs(self, op: str, needs: Any) -> tuple[bool, ...]:
        return _check.needs(op, needs, (True, *(a is not None for a in self.arrays.values())))


def _plus(a: np.ndarray, bias: np.ndarray | None) -> np.ndarray:
    return a if bias is None else a + bias


@_check.quiet
def simple_rnn(
    x: np.ndarray,
    kernel: np.ndarray,
    recurrent_kernel: np.ndarray,
    bias: np.ndarray | None = None,
    h0: np.ndarray | None = None,
    *,
    activation: str | None = "tanh",
    **flags: bool,
) -> Any:
    """``h[t] = act(x[t] @ kernel + h[t-1] @ recurrent_kernel + bias)``; flags as in ``fastconv.ops``."""
    arrays = {"kernel": kernel, "recurrent_kernel": recurrent_kernel, "bias": bias, "h0": h0}
    s = _Steps("simple_rnn", x, {"activation": activation, **flags}, **arrays)
    hs, _ = _simple_forward(s, activation)
    return s.results(hs[1:], hs[-1])


def _simple_forward(s: _Steps, activation: str | None) -> tuple[list[np.ndarray], list[np.ndarray]]:
    w, r, b, _ = s.arrays.values()
    hs, sums = [s.initial("h0")], []
    for x in s.x:
        sums.append(_plus(x @ w + hs[-1] @ r, b))
        hs.append(activate(sums[-1], activation))
    return hs, sums


@_check.quiet
def simple_rnn_backward(
    dy: Any,
    x: np.ndarray,
    kernel: np.ndarray,
    recurrent_kernel: np.ndarray,
    bias: np.ndarray | None = None,
    h0: np.ndarray | None = None,
    *,
    activation: str | None = "tanh",
    needs: Any = None,
    **flags: bool,
) -> tuple[np.ndarray | None, ...]:
    """Gradients of :func:`simple_rnn`: ``(dx, dkernel, drecurrent_kernel, dbias, dh0)``."""
    arrays = {"kernel": kernel, "recurrent_kernel": recurrent_kernel, "bias": bias, "h0": h0}
    s = _Steps("simple_rnn_backward", x, {"activation": activation, **flags}, **arrays)
    need = s.needs("simple_rnn_backward", needs)
    dhs, _ = s.cotangents("simple_rnn_backward", dy)
    hs, sums = _simple_forward(s, activation)
    w, r, _, _ = s.arrays.values()
    dx, dw, dr, db = np.zeros(s.x.shape), np.zeros(w.shape), np.zeros(r.shape), np.zeros(w.shape[1])
    dh = np.zeros(hs[0].shape)
    for t in reversed(range(len(s.x))):
        da = activate_backward(dh + dhs[t], sums[t], activation)
        dx[t], dh = da @ w.T, da @ r.T
        dw, dr, db = dw + s.x[t].T @ da, dr + hs[t].T @ da, db + da.sum(axis=0)
    return s.gradients(need, dx, kernel=dw, recurrent_kernel=dr, bias=db, h0=dh)


@_check.quiet
def lstm(
    x: np.ndarray,
    kernel: np.ndarray,
    recurrent_kernel: np.ndarray,
    bias: np.ndarray | None = None,
    h0: np.ndarray | None = None,
    c0: np.ndarray | None = None,
    *,
    activation: str | None = "tanh",
    recurrent_activation: str | None = "sigmoid",
    **flags: bool,
) -> Any:
    """``c = σ(f) c + σ(i) φ(g)``, ``h = σ(o) φ(c)``, where ``[i f g o] = x @ kernel + h @ recurrent_kernel + bias``."""
    arrays = {"kernel": kernel, "recurrent_kernel": recurrent_kernel, "bias": bias, "h0": h0, "c0": c0}
    settings = {"activation": activation, "recurrent_activation": recurrent_activation, **flags}
    s = _Steps("lstm", x, settings, **arrays)
    hs, cs, _ = _lstm_forward(s, activation, recurrent_activation)
    return s.results(hs[1:], hs[-1], cs[-1])


def _lstm_forward(s: _Steps, phi: str | None, sigma: str | None) -> tuple[list, list, list]:
    w, r, b, _, _ = s.arrays.values()
    hs, cs, sums = [s.initial("h0")], [s.initial("c0")], []
    for x in s.x:
        i, f, g, o = np.split(_plus(x @ w + hs[-1] @ r, b), 4, axis=-1)
        sums.append((i, f, g, o))
        cs.append(activate(f, sigma) * cs[-1] + activate(i, sigma) * activate(g, phi))
        hs.append(activate(o, sigma) * activate(cs[-1], phi))
    return hs, cs, sums


@_check.quiet
def lstm_backward(
    dy: Any,
    x: np.ndarray,
    kernel: np.ndarray,
    recurrent_kernel: np.ndarray,
    bias: np.ndarray | None = None,
    h0: np.ndarray | None = None,
    c0: np.ndarray | None = None,
    *,
    activation: str | None = "tanh",
    recurrent_activation: str | None = "sigmoid",
    needs: Any = None,
    **flags: bool,
) -> tuple[np.ndarray | None, ...]:
    """Gradients of :func:`lstm`: ``(dx, dkernel, drecurrent_kernel, dbias, dh0, dc0)``."""
    arrays = {"kernel": kernel, "recurrent_kernel": recurrent_kernel, "bias": bias, "h0": h0, "c0": c0}
    phi, sigma = activation, recurrent_activation
    s = _Steps("lstm_backward", x, {"activation": phi, "recurrent_activation": sigma, **flags}, **arrays)
    need = s.needs("lstm_backward", needs)
    dhs, last = s.cotangents("lstm_backward", dy)
    hs, cs, sums = _lstm_forward(s, phi, sigma)
    w, r, _, _, _ = s.arrays.values()
    dx, dw, dr, db = np.zeros(s.x.shape), np.zeros(w.shape), np.zeros(r.shape), np.zeros(w.shape[1])
    dh, dc = np.zeros(hs[0].shape), np.zeros(hs[0].shape)
    if len(last) > 1:
        dc += last[1]
    for t in reversed(range(len(s.x))):
        i, f, g, o = sums[t]
        dh = dh + dhs[t]
        dc = dc + activate_backward(dh * activate(o, sigma), cs[t + 1], phi)
        parts = (
            activate_backward(dc * activate(g, phi), i, sigma),
            activate_backward(dc * cs[t], f, sigma),
            activate_backward(dc * activate(i, sigma), g, phi),
            activate_backward(dh * activate(cs[t + 1], phi), o, sigma),
        )
        da, dc = np.concatenate(parts, axis=-1), dc * activate(f, sigma)
        dx[t], dh = da @ w.T, da @ r.T
        dw, dr, db = dw + s.x[t].T @ da, dr + hs[t].T @ da, db + da.sum(axis=0)
    return s.gradients(need, dx, kernel=dw, recurrent_kernel=dr, bias=db, h0=dh, c0=dc)


@_check.quiet
def gru(
    x: np.ndarray,
    kernel: np.ndarray,
    recurrent_kernel: np.ndarray,
    bias: np.ndarray | None = None,
    h0: np.ndarray | None = None,
    *,
    activation: str | None = "tanh",
    recurrent_activation: str | None = "sigmoid",
    reset_after: bool = True,
    **flags: bool,
) -> Any:
    """``h = z h + (1 - z) g``; with ``reset_after`` ``g = φ(x @ W + r (h @ R + b))``, else ``φ(x @ W + (r h) @ R + b)``."""
    arrays = {"kernel": kernel, "recurrent_kernel": recurrent_kernel, "bias": bias, "h0": h0}
    settings = {"activation": activation, "recurrent_activation": recurrent_activation, "reset_after": reset_after}
    s = _Steps("gru", x, {**settings, **flags}, **arrays)
    hs, _ = _gru_forward(s, activation, recurrent_activation, reset_after)
    return s.results(hs[1:], hs[-1])


def _gru_biases(s: _Steps, after: bool) -> tuple[Any, Any]:
    bias = s.arrays["bias"]
    return (bias[0], bias[1]) if after and bias is not None else (bias, None)


def _gru_forward(s: _Steps, phi: str | None, sigma: str | None, after: bool) -> tuple[list, list]:
    w, r, _, _ = s.arrays.values()
    b, rb = _gru_biases(s, after)
    u = s.units
    hs, kept = [s.initial("h0")], []
    for x in s.x:
        h = hs[-1]
        p = _plus(x @ w, b)
        q = _plus(h @ r[:, : 2 * u], None if rb is None else rb[: 2 * u])
        a = p[:, : 2 * u] + q
        z, reset = activate(a[:, :u], sigma), activate(a[:, u:], sigma)
        m = _plus(h @ r[:, 2 * u :], None if rb is None else rb[2 * u :]) if after else reset * h
        inner = p[:, 2 * u :] + (reset * m if after else m @ r[:, 2 * u :])
        kept.append((a, inner, z, reset, m))
        hs.append(z * h + (1 - z) * activate(inner, phi))
    return hs, kept


@_check.quiet
def gru_backward(
    dy: Any,
    x: np.ndarray,
    kernel: np.ndarray,
    recurrent_kernel: np.ndarray,
    bias: np.ndarray | None = None,
    h0: np.ndarray | None = None,
    *,
    activation: str | None = "tanh",
    recurrent_activation: str | None = "sigmoid",
    reset_after: bool = True,
    needs: Any = None,
    **flags: bool,
) -> tuple[np.ndarray | None, ...]:
    """Gradients of :func:`gru`: ``(dx, dkernel, drecurrent_kernel, dbias, dh0)``."""
    arrays = {"kernel": kernel, "recurrent_kernel": recurrent_kernel, "bias": bias, "h0": h0}
    phi, sigma = activation, recurrent_activation
    settings = {"activation": phi, "recurrent_activation": sigma, "reset_after": reset_after, **flags}
    s = _Steps("gru_backward", x, settings, **arrays)
    need = s.needs("gru_backward", needs)
    dhs, _ = s.cotangents("gru_backward", dy)
    hs, kept = _gru_forward(s, phi, sigma, reset_after)
    w, r, _, _ = s.arrays.values()
    u = s.units
    dx, dw, dr = np.zeros(s.x.shape), np.zeros(w.shape), np.zeros(r.shape)
    db, drb = np.zeros(3 * u), np.zeros(3 * u)
    dh = np.zeros(hs[0].shape)
    for t in reversed(range(len(s.x))):
        h, (a, inner, z, reset, m) = hs[t], kept[t]
        dh = dh + dhs[t]
        dinner = activate_backward(dh * (1 - z), inner, phi)
        dz = activate_backward(dh * (h - activate(inner, phi)), a[:, :u], sigma)
        dm = dinner * reset if reset_after else dinner @ r[:, 2 * u :].T
        dreset = activate_backward((dinner * m) if reset_after else (dm * h), a[:, u:], sigma)
        da, dq = np.concatenate([dz, dreset, dinner], axis=-1), np.concatenate([dz, dreset], axis=-1)
        direct = dm @ r[:, 2 * u :].T if reset_after else dm * reset
        dr[:, 2 * u :] += h.T @ dm if reset_after else m.T @ dinner
        dr[:, : 2 * u] += h.T @ dq
        drb += np.concatenate([dq, dm], axis=-1).sum(axis=0)
        dh = dh * z + dq @ r[:, : 2 * u].T + direct
        dx[t] = da @ w.T
        dw, db = dw + s.x[t].T @ da, db + da.sum(axis=0)
    return s.gradients(need, dx, kernel=dw, recurrent_kernel=dr, bias=np.stack([db, drb]) if reset_after else db, h0=dh)
