"""Recurrent layers' steps: simple_rnn, lstm and gru.

The projection of all inputs is one dense product; a kernel of its own then takes the steps, and its gradient goes back through
them. What the weights get is a product over all samples and steps again.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from fastconv import _cpu
from fastconv.ops import _numbers, activation
from fastconv.ops.borders import crop, pad
from fastconv.ops.dense import BACKWARD_WEIGHT as DENSE_BACKWARD_WEIGHT
from fastconv.ops.dense import FORWARD as DENSE
from fastconv.ops.dense import dense
from fastconv.ops.elementwise import add
from fastconv.ops.registry import (
    Call,
    Gradient,
    Lowered,
    OpDef,
    Shape,
    all_needs,
    apply,
    backward,
    expect_rank,
    expect_shape,
    register,
)
from fastconv.ops.shaping import concatenate, reshape

__all__ = ["gru", "gru_backward", "lstm", "lstm_backward", "simple_rnn", "simple_rnn_backward"]

_GATES = {"simple_rnn": 1, "lstm": 4, "gru": 3, "gru_before": 3}


def _spec(dtype: str, p: Shape | None, recurrent: Shape | None, kind: str, *settings: Any) -> Any:
    return _cpu.RnnSpec.make(dtype, kind, p, recurrent, *settings)


def _lower(dtype: str, shapes: tuple[Shape | None, ...], **attrs: Any) -> Lowered:
    p, recurrent, bias, h0, c0 = shapes
    kind = attrs["kind"]
    spec = _spec(dtype, p, recurrent, *attrs.values())
    for name, shape in (("bias", bias), ("h0", h0), ("c0", c0)):
        expect_shape(kind, name, shape, spec.shape(name))
    results = {"simple_rnn": ("y",), "lstm": ("y", "state", "gates")}.get(kind, ("y", "gates"))
    places = {name: 5 + i for i, name in enumerate(results)}
    given = tuple(None if shapes[i] is None else i for i in range(5))
    tensors = (*given, *(places.get(name) for name in ("y", "gates", "state")))
    return Lowered(tuple((spec.shape(name), dtype) for name in results), (Call("rnn_forward", spec, tensors),))


def _lower_backward(
    dtype: str, shapes: tuple[Shape | None, ...], *, p_shape: Shape, wanted: tuple[str, ...], **attrs: Any
) -> Lowered:
    dy, dstate, _, _, _, recurrent, _, _ = shapes
    kind = attrs["kind"]
    spec = _spec(dtype, p_shape, recurrent, *attrs.values())
    expect_shape(kind, "dy", dy, spec.shape("y"))
    expect_shape(kind, "dstate", dstate, spec.shape("y"))
    places = {name: 8 + i for i, name in enumerate(wanted)}
    given = tuple(None if shape is None else i for i, shape in enumerate(shapes))
    tensors = (*given, *(places.get(name) for name in ("dp", "dr", "before", "dh0", "dc0")))
    return Lowered(tuple((spec.shape(name), dtype) for name in wanted), (Call("rnn_backward", spec, tensors),))


def _gradient(g: Gradient) -> tuple[Any, ...]:
    p, recurrent, bias, h0, c0 = g.inputs
    kind = g.attrs["kind"]
    y, *saved = g.outputs()
    state = saved[0] if kind == "lstm" else None
    gates = saved[-1] if saved else None
    dstate = g.dys[1] if kind == "lstm" else None
    weights = g.needs[1] or g.needs[2]
    wanted = ["dp", *(["dr"] if kind == "gru" else []), *(["before"] if weights else [])]
    wanted += [
        name for name, array, need in (("dh0", h0, g.needs[3]), ("dc0", c0, g.needs[4])) if need and array is not None
    ]
    inputs = (g.dys[0], dstate, y, gates, state, recurrent, h0, c0)
    results = apply(BACKWARD, *inputs, p_shape=tuple(p.shape), wanted=tuple(wanted), **g.attrs)
    found = dict(zip(wanted, results if isinstance(results, tuple) else (results,), strict=True))
    drecurrent = dbias = None
    if weights:
        dr = found.get("dr", found["dp"])
        drecurrent, dbias = _weight_gradients(kind, found["before"], dr, recurrent, bias is not None)
    return found["dp"], drecurrent, dbias, found.get("dh0"), found.get("dc0")


def _weight_gradients(kind: str, before: Any, dr: Any, recurrent: Any, with_bias: bool) -> tuple[Any, Any]:
    """Of the recurrent weights and bias: of what was multiplied with them, over all samples and steps."""
    if kind != "gru_before":
        return _product(before, dr, tuple(recurrent.shape), with_bias)
    units = recurrent.shape[0]
    state, reset = _columns(before, 0, units), _columns(before, units, 2 * units)
    dw, dbias = _product(state, _columns(dr, 0, 2 * units), (units, 2 * units), with_bias)
    dw_candidate, dbias_candidate = _product(reset, _columns(dr, 2 * units, 3 * units), (units, units), with_bias)
    return concatenate([dw, dw_candidate]), concatenate([dbias, dbias_candidate]) if with_bias else None


def _product(x: Any, dy: Any, w_shape: Shape, with_bias: bool) -> tuple[Any, Any]:
    result = apply(DENSE_BACKWARD_WEIGHT, x, dy, w_shape=w_shape, with_bias=with_bias)
    return result if with_bias else (result, None)


def _columns(x: Any, begin: int, end: int) -> Any:
    return crop(x, ((0, 0),) * (x.ndim - 1) + ((begin, x.shape[-1] - end),))


RNN = register(
    OpDef("rnn", ("p", "recurrent", "bias?", "h0?", "c0?"), _lower, _gradient, wide=("bias",), title="{kind}")
)
BACKWARD = register(
    OpDef(
        "rnn_backward",
        ("dy?", "dstate?", "y", "gates?", "state?", "recurrent", "h0?", "c0?"),
        _lower_backward,
        title="{kind}",
    )
)


def check_activation(op: str, name: str, value: Any) -> activation.ActivationTuple:
    """The activation's tuple; ValueError for one whose slope is not known from its result."""
    kind = activation.parse_activation(op, value)
    if not activation.has_gradient_from_output(kind):
        raise ValueError(
            f"[{op}] {name} must tell its slope by its result, since only that is kept of every step: expected one of linear, "
            f"relu, tanh, sigmoid, hard_sigmoid, elu, selu, softplus, got {name}={value!r}. Use one of these."
        )
    return kind


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
        x, kernel, recurrent_kernel, bias, *states = arrays
        attrs = self.attrs
        names = ("x", "kernel", "recurrent_kernel", "bias", "h0", "c0")[: len(arrays)]
        wanted = all_needs(self.op, needs, names, tuple(a is not None for a in arrays))
        self.check(x, kernel, recurrent_kernel, bias)
        of_inputs, of_state = self.biases(bias)
        p = dense(x, kernel, of_inputs)
        c0 = states[1] if len(states) > 1 else None
        dys = self._cotangents(dy, p.shape[1])
        inputs = (p, recurrent_kernel, of_state, states[0], c0)
        inner = (True, wanted[2], of_state is not None and wanted[3], wanted[4], len(states) > 1 and wanted[5])
        dp, drecurrent, dbias, dh0, dc0 = backward(RNN, dys, inputs, attrs, inner)
        dx, dkernel, dbias_inputs = backward(
            DENSE, dp, (x, kernel, of_inputs), {}, (*wanted[:2], of_inputs is not None and wanted[3])
        )
        if of_state is not None and wanted[3]:
            dbias_inputs = reshape(concatenate([dbias_inputs, dbias]), bias.shape)
        return (dx, dkernel, drecurrent, dbias_inputs, dh0, dc0)[: len(arrays)]

    def _cotangents(self, dy: Any, steps: int) -> tuple[Any, ...]:
        """Of the kernel's results, from those of the op's; None where nothing arrives."""
        return_sequences, return_state = self.flags()
        given = dy if isinstance(dy, tuple) else (dy,)
        expected = 1 if not return_state else 3 if self.kind == "lstm" else 2
        if len(given) > expected:
            raise ValueError(
                f"[{self.op}] dy must have a cotangent for each result: expected at most {expected}, got {len(given)}. "
                "Pass None for those that nothing depends on."
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
