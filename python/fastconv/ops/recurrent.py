"""Recurrent layers' steps: simple_rnn, lstm and gru.

The projection of all inputs is one dense product; a kernel of its own then takes the steps, and its gradient goes back through
them. What the weights get is a product over all samples and steps again.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from fastconv.ops import _numbers
from fastconv.ops.borders import crop, pad
from fastconv.ops.dense import FORWARD as DENSE
from fastconv.ops.dense import dense
from fastconv.ops.elementwise import add
from fastconv.ops.registry import all_needs, apply, as_arrays, backward, expect_rank, expect_shape
from fastconv.ops.shaping import concatenate, reshape
from fastconv.ops.steps import RNN, check_activation

__all__ = ["gru", "gru_backward", "lstm", "lstm_backward", "simple_rnn", "simple_rnn_backward"]


_NAMES = ("x", "kernel", "recurrent_kernel", "bias", "h0", "c0")
_OPTIONAL = ("bias", "h0", "c0", "dy")


@dataclass(frozen=True)
class _Recurrence:
    """A recurrent op with its settings; ``arrays`` are (x, kernel, recurrent_kernel, bias, h0[, c0])."""

    op: str
    kind: str
    activation: Any
    recurrent_activation: Any
    return_sequences: Any
    return_state: Any
    go_backwards: Any
    aligned: Any

    @property
    def attrs(self) -> dict[str, Any]:
        return {
            "kind": self.kind,
            "activation": check_activation(self.op, "activation", self.activation),
            "gate_activation": check_activation(self.op, "recurrent_activation", self.recurrent_activation),
            "reverse": _numbers.as_bool(self.op, "go_backwards", self.go_backwards),
            "aligned": _numbers.as_bool(self.op, "aligned", self.aligned),
        }

    def flags(self) -> tuple[bool, bool]:
        return (
            _numbers.as_bool(self.op, "return_sequences", self.return_sequences),
            _numbers.as_bool(self.op, "return_state", self.return_state),
        )

    def check(self, x: Any, kernel: Any, recurrent_kernel: Any, bias: Any) -> None:
        for name, array, axes in (
            ("x", x, "(N, T, D)"),
            ("kernel", kernel, "(D, gates)"),
            ("recurrent_kernel", recurrent_kernel, "(U, gates)"),
        ):
            if hasattr(array, "shape"):
                expect_rank(self.op, name, array.shape, axes.count(",") + 1, axes)
        if hasattr(x, "shape") and x.shape[1] == 0:
            raise ValueError(
                f"[{self.op}] x must have at least 1 step: expected T >= 1, got x.shape={tuple(x.shape)}. Only the batch may be "
                "empty."
            )
        if bias is not None and hasattr(kernel, "shape") and hasattr(bias, "shape"):
            gates = tuple(kernel.shape[1:])
            expect_shape(self.op, "bias", bias.shape, (2, *gates) if self.kind == "gru" else gates)

    def biases(self, bias: Any) -> tuple[Any, Any]:
        """Of the inputs, and of the recurrent product where that has its own."""
        if bias is None or self.kind != "gru":
            return bias, None
        count = bias.shape[1]
        return tuple(reshape(crop(bias, ((i, 1 - i), (0, 0))), (count,)) for i in range(2))  # type: ignore[return-value]

    def last(self, sequence: Any) -> Any:
        """The result of the last step."""
        n, steps, units = sequence.shape
        return reshape(crop(sequence, ((0, 0), self._around_last(steps), (0, 0))), (n, units))

    def _around_last(self, steps: int) -> tuple[int, int]:
        return (0, steps - 1) if self.go_backwards and self.aligned else (steps - 1, 0)

    def _from_last(self, dy: Any, steps: int) -> Any:
        n, units = dy.shape
        return pad(reshape(dy, (n, 1, units)), ((0, 0), self._around_last(steps), (0, 0)))

    def forward(self, arrays: tuple[Any, ...]) -> Any:
        arrays = as_arrays(self.op, _NAMES[: len(arrays)], arrays, _OPTIONAL)
        x, kernel, recurrent_kernel, bias, *states = arrays
        attrs = self.attrs
        return_sequences, return_state = self.flags()
        self.check(x, kernel, recurrent_kernel, bias)
        of_inputs, of_state = self.biases(bias)
        p = dense(x, kernel, of_inputs)
        c0 = states[1] if len(states) > 1 else None
        results = apply(RNN, p, recurrent_kernel, of_state, states[0], c0, **attrs)
        y, *saved = results if isinstance(results, tuple) else (results,)
        last = None if return_sequences and not return_state else self.last(y)
        result = y if return_sequences else last
        if not return_state:
            return result
        return (result, last, self.last(saved[0])) if self.kind == "lstm" else (result, last)

    def backward(self, dy: Any, arrays: tuple[Any, ...], needs: Any) -> tuple[Any, ...]:
        given = dy if isinstance(dy, tuple) else (dy,)
        names = (*_NAMES[: len(arrays)], *("dy" for _ in given))
        ready = as_arrays(self.op, names, (*arrays, *given), _OPTIONAL)
        arrays, dy = ready[: len(arrays)], ready[len(arrays) :]
        x, kernel, recurrent_kernel, bias, *states = arrays
        attrs = self.attrs
        wanted = all_needs(self.op, needs, _NAMES[: len(arrays)], tuple(a is not None for a in arrays))
        self.check(x, kernel, recurrent_kernel, bias)
        of_inputs, of_state = self.biases(bias)
        p = dense(x, kernel, of_inputs)
        c0 = states[1] if len(states) > 1 else None
        dys = self._cotangents(dy, p, recurrent_kernel.shape[0])
        inputs = (p, recurrent_kernel, of_state, states[0], c0)
        inner = (True, wanted[2], of_state is not None and wanted[3], wanted[4], len(states) > 1 and wanted[5])
        dp, drecurrent, dbias, dh0, dc0 = backward(RNN, dys, inputs, attrs, inner)
        dx, dkernel, dbias_inputs = backward(
            DENSE, dp, (x, kernel, of_inputs), {}, (*wanted[:2], of_inputs is not None and wanted[3])
        )
        if of_state is not None and wanted[3]:
            dbias_inputs = reshape(concatenate([dbias_inputs, dbias]), bias.shape)
        return (dx, dkernel, drecurrent, dbias_inputs, dh0, dc0)[: len(arrays)]

    def _cotangents(self, given: tuple[Any, ...], p: Any, units: int) -> tuple[Any, ...]:
        """Of the kernel's results, from those of the op's; None where nothing arrives."""
        return_sequences, return_state = self.flags()
        expected = 1 if not return_state else 3 if self.kind == "lstm" else 2
        if len(given) > expected:
            raise ValueError(
                f"[{self.op}] dy must have a cotangent for each result: expected at most {expected}, got {len(given)}. "
                "Pass None for those that nothing depends on."
            )
        n, steps, _ = p.shape
        of_step = (n, units)
        for i, dy in enumerate(given):
            if dy is None:
                continue
            expect_shape(self.op, "dy", dy.shape, (n, steps, units) if i == 0 and return_sequences else of_step)
            if dy.dtype != p.dtype:
                raise TypeError(
                    f"[{self.op}] all arrays must have one dtype: expected {p.dtype} as the result, got dy.dtype={dy.dtype}. "
                    "Convert it with .astype."
                )
        dresult, dlast, dcell = (*given, None, None, None)[:3]
        parts = [dresult if return_sequences or dresult is None else self._from_last(dresult, steps)]
        parts += [] if dlast is None else [self._from_last(dlast, steps)]
        present = [part for part in parts if part is not None]
        dsequence = present[0] if present else None
        for part in present[1:]:
            dsequence = add(dsequence, part)
        dstate = None if dcell is None else self._from_last(dcell, steps)
        return {"simple_rnn": (dsequence,), "lstm": (dsequence, dstate, None)}.get(self.kind, (dsequence, None))


def simple_rnn(
    x: Any,
    kernel: Any,
    recurrent_kernel: Any,
    bias: Any = None,
    h0: Any = None,
    *,
    activation: str | None = "tanh",
    return_sequences: bool = False,
    return_state: bool = False,
    go_backwards: bool = False,
    aligned: bool = False,
) -> Any:
    """``h[t] = act(x[t] · kernel + h[t-1] · recurrent_kernel + bias)``, Elman's network.

    Args:
        x: (N, T, D), float32 or float64; on CUDA float32, float16 or bfloat16.
        kernel: (D, U). recurrent_kernel: (U, U). bias: (U,) or None; float32 where x has 16 bits.
        h0: (N, U), the state before the first step, or None for zeros.
        activation: whose slope its result tells: tanh, sigmoid, relu, hard_sigmoid, elu, selu, softplus, or None.
        return_sequences: the results of all steps, not of the last.
        return_state: the state after the last step, too.
        go_backwards: the steps begin at the end of x.
        aligned: results going backwards are at the time of their inputs, not in the order of the steps.

    Returns:
        y (N, U), or (N, T, U) of all steps; with ``return_state`` the tuple ``(y, h)``.

    Raises:
        TypeError: for kinds and dtypes. ValueError: for shapes and activations without that property.

    Numerics: a sum begins with the inputs' share, then one chain ascending in the units: same bits for any batch size and
        number of threads.

    Example:
        >>> import numpy as np, fastconv
        >>> x = np.float32([[[1], [2]]])
        >>> fastconv.ops.simple_rnn(x, np.float32([[1]]), np.float32([[10]]), activation="relu")
        array([[12.]], dtype=float32)
    """
    flags = (return_sequences, return_state, go_backwards, aligned)
    return _Recurrence("simple_rnn", "simple_rnn", activation, None, *flags).forward(
        (x, kernel, recurrent_kernel, bias, h0)
    )


def simple_rnn_backward(
    dy: Any,
    x: Any,
    kernel: Any,
    recurrent_kernel: Any,
    bias: Any = None,
    h0: Any = None,
    *,
    activation: str | None = "tanh",
    return_sequences: bool = False,
    return_state: bool = False,
    go_backwards: bool = False,
    aligned: bool = False,
    needs: Any = None,
) -> tuple:
    """Gradients of :func:`simple_rnn`: ``(dx, dkernel, drecurrent_kernel, dbias, dh0)``, None where not needed.

    ``dy`` is of the result's shape; with ``return_state`` a tuple, in which None stands for zeros.
    """
    flags = (return_sequences, return_state, go_backwards, aligned)
    return _Recurrence("simple_rnn", "simple_rnn", activation, None, *flags).backward(
        dy, (x, kernel, recurrent_kernel, bias, h0), needs
    )


def lstm(
    x: Any,
    kernel: Any,
    recurrent_kernel: Any,
    bias: Any = None,
    h0: Any = None,
    c0: Any = None,
    *,
    activation: str | None = "tanh",
    recurrent_activation: str | None = "sigmoid",
    return_sequences: bool = False,
    return_state: bool = False,
    go_backwards: bool = False,
    aligned: bool = False,
) -> Any:
    """Long short-term memory (Hochreiter and Schmidhuber 1997), gates in Keras's order i, f, c, o.

    ``[i f g o] = x[t] · kernel + h[t-1] · recurrent_kernel + bias``; with σ the recurrent activation and φ the other,
    ``c[t] = σ(f) c[t-1] + σ(i) φ(g)`` and ``h[t] = σ(o) φ(c[t])``.

    Args:
        x: (N, T, D), as :func:`simple_rnn`.
        kernel: (D, 4U). recurrent_kernel: (U, 4U). bias: (4U,) or None.
        h0, c0: (N, U), the states before the first step, or None for zeros.
        activation, recurrent_activation, return_sequences, return_state, go_backwards, aligned: as there.

    Returns:
        y (N, U), or (N, T, U) of all steps; with ``return_state`` the tuple ``(y, h, c)``.

    Raises: as :func:`simple_rnn`.
    """
    flags = (return_sequences, return_state, go_backwards, aligned)
    return _Recurrence("lstm", "lstm", activation, recurrent_activation, *flags).forward(
        (x, kernel, recurrent_kernel, bias, h0, c0)
    )


def lstm_backward(
    dy: Any,
    x: Any,
    kernel: Any,
    recurrent_kernel: Any,
    bias: Any = None,
    h0: Any = None,
    c0: Any = None,
    *,
    activation: str | None = "tanh",
    recurrent_activation: str | None = "sigmoid",
    return_sequences: bool = False,
    return_state: bool = False,
    go_backwards: bool = False,
    aligned: bool = False,
    needs: Any = None,
) -> tuple:
    """Gradients of :func:`lstm`: ``(dx, dkernel, drecurrent_kernel, dbias, dh0, dc0)``, None where not needed."""
    flags = (return_sequences, return_state, go_backwards, aligned)
    return _Recurrence("lstm", "lstm", activation, recurrent_activation, *flags).backward(
        dy, (x, kernel, recurrent_kernel, bias, h0, c0), needs
    )


def _gru_kind(reset_after: Any) -> str:
    return "gru" if _numbers.as_bool("gru", "reset_after", reset_after) else "gru_before"


def gru(
    x: Any,
    kernel: Any,
    recurrent_kernel: Any,
    bias: Any = None,
    h0: Any = None,
    *,
    activation: str | None = "tanh",
    recurrent_activation: str | None = "sigmoid",
    reset_after: bool = True,
    return_sequences: bool = False,
    return_state: bool = False,
    go_backwards: bool = False,
    aligned: bool = False,
) -> Any:
    """Gated recurrent unit (Cho et al. 2014), gates in Keras's order z, r, h.

    ``h[t] = z h[t-1] + (1 - z) g`` with z and r by the recurrent activation, and the candidate
    ``g = φ(x[t] · W + r (h[t-1] · R + b))`` or, with ``reset_after=False``, ``φ(x[t] · W + (r h[t-1]) · R)``.

    Args:
        x: (N, T, D), as :func:`simple_rnn`.
        kernel: (D, 3U). recurrent_kernel: (U, 3U).
        bias: (2, 3U), of the inputs and of the recurrent product; with ``reset_after=False`` (3U,); or None.
        h0: (N, U), the state before the first step, or None for zeros.
        reset_after: whether the reset gate scales the recurrent product, or the state that goes into it.
        activation, recurrent_activation, return_sequences, return_state, go_backwards, aligned: as there.

    Returns:
        y (N, U), or (N, T, U) of all steps; with ``return_state`` the tuple ``(y, h)``.

    Raises: as :func:`simple_rnn`.
    """
    flags = (return_sequences, return_state, go_backwards, aligned)
    return _Recurrence("gru", _gru_kind(reset_after), activation, recurrent_activation, *flags).forward(
        (x, kernel, recurrent_kernel, bias, h0)
    )


def gru_backward(
    dy: Any,
    x: Any,
    kernel: Any,
    recurrent_kernel: Any,
    bias: Any = None,
    h0: Any = None,
    *,
    activation: str | None = "tanh",
    recurrent_activation: str | None = "sigmoid",
    reset_after: bool = True,
    return_sequences: bool = False,
    return_state: bool = False,
    go_backwards: bool = False,
    aligned: bool = False,
    needs: Any = None,
) -> tuple:
    """Gradients of :func:`gru`: ``(dx, dkernel, drecurrent_kernel, dbias, dh0)``, None where not needed."""
    flags = (return_sequences, return_state, go_backwards, aligned)
    return _Recurrence("gru", _gru_kind(reset_after), activation, recurrent_activation, *flags).backward(
        dy, (x, kernel, recurrent_kernel, bias, h0), needs
    )
