"""One operation, defined once, used three ways: on arrays now, on symbolic values later, and in tests and benches.

An :class:`OpDef` says how shapes and settings become kernel calls (``lower``) and how a gradient is made of other ops
(``gradient``). :func:`apply` runs it: NumPy arrays through the kernels at once, :class:`~fastconv.graph.Value` by adding
a node to a graph. Both take the very same kernel calls, so a plan cannot differ from the eager result.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from fastconv import _cpu
from fastconv.graph import Node, Value, is_symbolic
from fastconv.ops import _devices, _numbers

Shape = tuple[int, ...]


@dataclass(frozen=True)
class Call:
    """One kernel call. ``tensors`` index the node's registers: inputs, then outputs, then scratch; None is a null."""

    kernel: str
    spec: Any
    tensors: tuple[int | None, ...]


@dataclass(frozen=True)
class Lowered:
    """An op on known shapes: what it yields and the kernel calls that compute it.

    ``view_of`` is the input whose memory output 0 shares (reshape); then there are no calls.
    """

    outputs: tuple[tuple[Shape, str], ...]
    calls: tuple[Call, ...] = ()
    scratch: tuple[tuple[Shape, str], ...] = ()
    view_of: int | None = None


@dataclass(frozen=True)
class Gradient:
    """What a gradient rule sees: the forward's inputs, outputs and settings, the cotangents, and which inputs need one."""

    inputs: tuple[Any, ...]
    outputs: Callable[[], tuple[Any, ...]]
    attrs: dict[str, Any]
    dys: tuple[Any, ...]
    needs: tuple[bool, ...]


@dataclass(frozen=True)
class OpDef:
    """An operation. ``inputs`` are the array arguments in order ("bias?" may be None, "*arrays" is any number of them).

    ``title`` is what a user calls it where one op serves several functions: a format of the settings. ``check`` refuses
    values of eager arrays that no shape shows (the data of a plan are checked when they are given to fit).
    """

    name: str
    inputs: tuple[str, ...]
    lower: Callable[..., Lowered]  # (dtype, shapes, **attrs)
    gradient: Callable[[Gradient], tuple[Any, ...]] | None = None
    dtypes: dict[str, tuple[str, ...]] = field(default_factory=dict)  # of inputs that are not of the op's float type
    wide: tuple[str, ...] = ()  # inputs that are float32 where the op's float type has 16 bits, see :func:`wide`
    title: str = ""
    takes_empty: bool = False  # any axis may be empty, as in NumPy's arithmetic; of other ops only the batch
    check: Callable[[Sequence[Any], dict[str, Any]], None] | None = None  # (arrays, settings)

    @functools.cached_property
    def optional(self) -> frozenset[str]:
        """Inputs that may be None."""
        return frozenset(name[:-1] for name in self.inputs if name.endswith("?"))

    @functools.cached_property
    def _names(self) -> tuple[str, ...]:
        return tuple(name.rstrip("?") for name in self.inputs)

    def input_names(self, count: int) -> Sequence[str]:
        """The argument name of each of ``count`` inputs."""
        if self.inputs and self.inputs[0].startswith("*"):
            return [f"{self.inputs[0][1:]}[{i}]" for i in range(count)]
        return self._names

    def has_own_type(self, name: str) -> bool:
        """Whether the input's element type may differ from the op's float type."""
        return name in self.dtypes or name in self.wide

    def where(self, attrs: dict[str, Any]) -> str:
        """The name that messages begin with."""
        return self.title.format(**attrs) if self.title else self.name

    def lowered(self, dtype: str, shapes: Sequence[Shape | None], attrs: dict[str, Any]) -> Lowered:
        """``lower``, remembered: the same problem is validated and planned once."""
        return _lowered(self, dtype, tuple(shapes), tuple(attrs.items()), _cpu.numerics())

    def __hash__(self) -> int:
        return hash(self.name)

    def __eq__(self, other: object) -> bool:
        return self is other


REGISTRY: dict[str, OpDef] = {}

_HALVES = ("float16", "bfloat16")


def wide(dtype: str) -> str:
    """float32 beside a type of 16 bits, else the type itself: of parameters per channel, of statistics, of losses, and
    of the gradients of weights. ``":wide"`` in kernels.inc."""
    return "float32" if dtype in _HALVES else dtype


def register(op: OpDef) -> OpDef:
    """Adds ``op`` to the table that dispatch, tests and benches walk."""
    if op.name in REGISTRY:
        raise AssertionError(f"two ops are named {op.name}")
    REGISTRY[op.name] = op
    return op


@functools.lru_cache(maxsize=4096)
def _lowered(
    op: OpDef,
    dtype: str,
    shapes: tuple[Shape | None, ...],
    attrs: tuple[tuple[str, Any], ...],
    numerics: tuple[str, str],
) -> Lowered:
    """``numerics`` is what specs made now remember: another setting, another lowering."""
    return op.lower(dtype, shapes, **dict(attrs))


def expect_shape(op: str, name: str, got: Shape | None, wanted: Shape) -> None:
    """ValueError unless an array has the shape that the spec infers for it."""
    if got is not None and tuple(got) != tuple(wanted):
        raise ValueError(
            f"[{op}] {name} has the wrong shape: expected {name} of shape {tuple(wanted)}, got {name}.shape={tuple(got)}. "
            "It follows from the other arrays and the settings."
        )


def expect_rank(op: str, name: str, got: Shape, rank: int, axes: str) -> None:
    """ValueError unless an array has ``rank`` axes."""
    if len(got) != rank:
        raise ValueError(
            f"[{op}] {name} must have {rank} dimensions {axes}: expected {rank}, got {len(got)} ({name}.shape={tuple(got)}). "
            f"Reshape {name}."
        )


def all_needs(op: str, needs: Any, names: Sequence[str], default: Sequence[bool]) -> tuple[bool, ...]:
    """``needs`` as one bool per forward array, or the default."""
    if needs is None:
        return tuple(default)
    if not isinstance(needs, (tuple, list)) or len(needs) != len(names):
        raise (ValueError if isinstance(needs, (tuple, list)) else TypeError)(
            f"[{op}] needs must say for each of ({', '.join(names)}) whether its gradient is wanted: expected {len(names)} "
            f"bools, got needs={needs!r}. Pass a tuple."
        )
    return tuple(_numbers.as_bool(op, "needs", n) and d for n, d in zip(needs, default, strict=True))


def apply(op: OpDef, *inputs: Any, out: Any = None, **attrs: Any) -> Any:
    """Runs or records ``op``; returns its output, or a tuple when it has several."""
    if any(is_symbolic(x) for x in inputs):
        return _record(op, inputs, attrs)
    return _run(op, inputs, attrs, out)


def _unpack(outputs: Sequence[Any]) -> Any:
    return outputs[0] if len(outputs) == 1 else tuple(outputs)


def _record(op: OpDef, inputs: Sequence[Any], attrs: dict[str, Any]) -> Any:
    values: list[Value | None] = []
    names = op.input_names(len(inputs))
    for name, x in zip(names, inputs, strict=True):
        if not isinstance(x, Value) and not (x is None and name in op.optional):
            raise TypeError(
                f"[{op.where(attrs)}] {name} must be symbolic like the other inputs: expected a Value or a Variable, got "
                f"{type(x).__name__}. Hold constants in a layer's weights."
            )
        values.append(x)
    values = _autocast(op, names, values)
    found = [(name, x.dtype) for name, x in zip(names, values, strict=True) if x is not None]
    dtype = _common_dtype(op, op.where(attrs), found, "Give every layer the same dtype, or cast with ops.cast.")
    lowered = op.lowered(dtype, [None if v is None else v.shape for v in values], attrs)
    node = Node(op, values, attrs, lowered)
    if op.name != "cast" and all(v is None or v.autocast for v in values):
        for output in node.outputs:  # a weight in another shape is a weight
            output.autocast = True
    return _unpack(node.outputs)


def _autocast(op: OpDef, names: Sequence[str], values: list[Value | None]) -> list[Value | None]:
    """Weights, and what is made of weights alone, in the 16 bits of what they meet; those of wide inputs stay float32."""
    own = [v for name, v in zip(names, values, strict=True) if v is not None and not op.has_own_type(name)]
    dtype = next((v.dtype for v in own if not v.autocast), "")
    if dtype not in _HALVES:
        return values
    return [apply(REGISTRY["cast"], v, to=dtype) if v in own and v.autocast else v for v in values]


def _run(op: OpDef, inputs: Sequence[Any], attrs: dict[str, Any], out: Any) -> Any:
    names = op.input_names(len(inputs))
    where = op.where(attrs)
    device = _devices.of(where, names, inputs)
    arrays = _checked(device, op, where, inputs)
    found = [(name, device.dtype_name(a)) for name, a in zip(names, arrays, strict=True) if a is not None]
    dtype = _common_dtype(op, where, found, "Convert one of them with .astype.")
    lowered = op.lowered(dtype, [None if a is None else a.shape for a in arrays], attrs)
    _expect_cells(op, where, names, arrays)
    if lowered.view_of is not None:
        return _reshaped(device, where, arrays[lowered.view_of], lowered.outputs[0][0], out)
    # Results first: what cannot be held is refused before anything is copied.
    results = _outputs(device, where, lowered, out, arrays)
    ready = [None if a is None else device.contiguous(where, name, a) for name, a in zip(names, arrays, strict=True)]
    if op.check is not None and device.checks_targets:
        op.check(ready, attrs)
    registers = ready + results
    registers += [device.empty(where, "scratch", shape, kind) for shape, kind in lowered.scratch]
    for call in lowered.calls:
        device.run(call.kernel, call.spec, [None if i is None else registers[i] for i in call.tensors])
    return _unpack(registers[len(ready) : len(ready) + len(lowered.outputs)])


def _checked(device: Any, op: OpDef, where: str, inputs: Sequence[Any]) -> list[Any]:
    """The inputs as arrays of an accepted kind and dtype; None stays None where the op allows it."""
    names = op.input_names(len(inputs))
    return [
        None if x is None and name in op.optional else _check(device, op, where, name, x)
        for name, x in zip(names, inputs, strict=True)
    ]


def _expect_cells(op: OpDef, where: str, names: Sequence[str], arrays: Sequence[Any]) -> None:
    """ValueError for an empty axis that a spec had no words for."""
    if op.takes_empty:
        return
    for name, array in zip(names, arrays, strict=True):
        if array is not None and 0 in array.shape[1:] and not op.has_own_type(name):
            raise ValueError(
                f"[{where}] {name} must have cells: expected extents >= 1 behind the first, got {name}.shape="
                f"{tuple(array.shape)}. Only the batch may be empty."
            )


def _check(device: Any, op: OpDef, where: str, name: str, value: Any) -> Any:
    array = device.as_array(where, name, getattr(value, "array", value) if isinstance(value, Value) else value)
    device.check_dtype(where, name, array, op.dtypes.get(name, device.floats))
    return array


def _common_dtype(op: OpDef, where: str, found: Sequence[tuple[str, str]], way_out: str) -> str:
    """The one float type of the inputs that have no type of their own, given as (name, dtype); TypeError if there are more."""
    first, dtype = next((n, d) for n, d in found if not op.has_own_type(n))
    for name, got in found:
        if name in op.dtypes or got == (wide(dtype) if name in op.wide else dtype):
            continue
        if name in op.wide and wide(dtype) != dtype:
            raise TypeError(
                f"[{where}] {name} must be float32 where {first} has 16 bits, because it is one number for many: expected "
                f"{name}.dtype=float32 beside {first}.dtype={dtype}, got {name}.dtype={got}. Convert it with "
                "ops.cast(..., 'float32')."
            )
        raise TypeError(
            f"[{where}] all arrays must have one dtype: expected {dtype} as {first}, got {name}.dtype={got}. {way_out}"
        )
    return dtype


def _outputs(device: Any, where: str, lowered: Lowered, out: Any, inputs: list[Any]) -> list[Any]:
    if out is None:
        return [device.empty(where, "y", shape, dtype) for shape, dtype in lowered.outputs]
    given = (out,) if len(lowered.outputs) == 1 else out
    if not isinstance(given, tuple) or len(given) != len(lowered.outputs):
        raise TypeError(
            f"[{where}] out must hold every result: expected a tuple of {len(lowered.outputs)} arrays, got {type(out).__name__}. "
            "Pass one array per result."
        )
    return [
        device.check_out(where, o, shape, dtype, inputs)
        for o, (shape, dtype) in zip(given, lowered.outputs, strict=True)
    ]


def _reshaped(device: Any, where: str, array: Any, shape: Shape, out: Any) -> Any:
    """A result that never aliases its input: eager callers may write into it."""
    result = _outputs(device, where, Lowered(((shape, device.dtype_name(array)),)), out, [array])[0]
    result[...] = array.reshape(shape)
    return result


def _check_cotangents(
    device: Any, op: OpDef, where: str, dys: Sequence[Any], inputs: Sequence[Any], attrs: dict[str, Any]
) -> None:
    """ValueError or TypeError unless every dy is like its result: a rule that only moves numbers would not notice."""
    names = op.input_names(len(inputs))
    found = [(name, device.dtype_name(a)) for name, a in zip(names, inputs, strict=True) if a is not None]
    dtype = _common_dtype(op, where, found, "Convert one of them with .astype.")
    outputs = op.lowered(dtype, [None if a is None else a.shape for a in inputs], attrs).outputs
    for dy, (shape, kind) in zip(dys, outputs, strict=False):  # statistics beside a result have no cotangent
        if dy is None:
            continue
        expect_shape(where, "dy", dy.shape, shape)
        if device.dtype_name(dy) != kind:
            raise TypeError(
                f"[{where}] all arrays must have one dtype: expected {kind} as the result, got dy.dtype={dy.dtype}. Convert it "
                "with .astype."
            )


def shape_of(op: str, name: str, x: Any) -> Shape:
    """The extents of an array or of a symbolic value, for settings that follow from them."""
    if is_symbolic(x):
        return tuple(x.shape)
    device = _devices.of(op, (name,), (x,))
    return tuple(device.as_array(op, name, getattr(x, "array", x) if isinstance(x, Value) else x).shape)


def as_arrays(op: str, names: Sequence[str], values: Sequence[Any], optional: Sequence[str]) -> tuple[Any, ...]:
    """The values as arrays of their device, or as they are if some are symbolic; for ops made of others, which look at
    shapes first. None stays None where it is ``optional``."""
    if any(is_symbolic(x) for x in values):
        return tuple(values)
    device = _devices.of(op, names, values)
    arrays = tuple(
        None
        if x is None and name in optional
        else device.as_array(op, name, getattr(x, "array", x) if isinstance(x, Value) else x)
        for name, x in zip(names, values, strict=True)
    )
    for name, array in zip(names, arrays, strict=True):
        if array is not None:
            device.check_dtype(op, name, array, device.floats)
    return arrays


def backward(
    op: OpDef,
    dys: Any,
    inputs: Sequence[Any],
    attrs: dict[str, Any],
    needs: Sequence[bool],
    outputs: tuple[Any, ...] | None = None,
) -> tuple:
    """The gradients of ``op`` for the inputs that need one, None for the others.

    Works on arrays and on values. ``outputs`` are the forward's where the caller has them; otherwise they are computed
    again, and only if the rule asks for them.
    """
    if op.gradient is None:
        raise TypeError(
            f"[{op.where(attrs)}] there is no gradient: expected a differentiable op on the way to the weights, got "
            f"{op.name}. Use another op."
        )
    dys = dys if isinstance(dys, tuple) else (dys,)
    if not dys:
        raise TypeError(
            f"[{op.where(attrs)}] dy must be the gradient of the result: expected an array, got an empty tuple. Pass the array."
        )
    if not any(is_symbolic(x) for x in (*inputs, *dys)):  # a rule looks at shapes before any kernel does
        where = op.where(attrs)
        names = op.input_names(len(inputs))
        device = _devices.of(where, [*("dy" for _ in dys), *names], (*dys, *inputs))
        dys = tuple(None if dy is None and i > 0 else _check(device, op, where, "dy", dy) for i, dy in enumerate(dys))
        inputs = _checked(device, op, where, inputs)
        _expect_cells(op, where, names, inputs)
        _check_cotangents(device, op, where, dys, inputs, attrs)

    def forward_outputs() -> tuple[Any, ...]:
        nonlocal outputs
        if outputs is None:
            result = apply(op, *inputs, **attrs)
            outputs = result if isinstance(result, tuple) else (result,)
        return outputs

    gradients = op.gradient(Gradient(tuple(inputs), forward_outputs, attrs, dys, tuple(needs)))
    return tuple(g if need else None for g, need in zip(gradients, needs, strict=True))
