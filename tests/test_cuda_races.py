"""Elementwise, softmax, loss and optimizer kernels on a GPU: the same bits in any order of the CUDA threads and the numbers of
the CPU's kernels; dropout's mask and the optimizers' steps are the CPU's bit by bit; a refused step writes nothing."""

from dataclasses import dataclass, field
from typing import Any

import ml_dtypes
import numpy as np
import pytest

from fastconv import _cpu, _gpu
from fastconv.testing.emulation import emulated_gpu

DTYPES = {"float32": np.float32, "float16": np.float16, "bfloat16": ml_dtypes.bfloat16}
NAMED = {"u64": np.uint64, "i64": np.int64, "f64": np.float64}
LOSSES = ("mean_squared_error", "mean_absolute_error", "huber", "hinge", "binary_crossentropy", "kl_divergence")
INFINITY = float("inf")


@dataclass
class Problem:
    """A kernel, its spec, and those of its tensors that are not drawn at random; None leaves an optional one out."""

    kernel: str
    make: Any  # of the dtype's name
    given: dict = field(default_factory=dict)

    def __str__(self):
        return f"{self.kernel}-{self.make('float32')}" + "".join(f"-no_{n}" for n, v in self.given.items() if v is None)

    def tensors(self, dtype):
        """[(array, role)] in the order of the signature; role is "in", "state" (read and written) or "out"."""
        spec, rng = self.make("float32"), np.random.default_rng(list(str(self).encode()))
        inputs, outputs = _cpu.signatures()[self.kernel].split("->")
        tensors = []
        for word in (*inputs.split(), *(f"{w}>" for w in outputs.split())):
            name, _, named = word.rstrip(">?!").partition(":")
            name = name.rstrip(">?!")
            role = "in" if not word.endswith(">") else "state" if "!" in word else "out"
            if name in self.given:
                array = self.given[name]
            else:
                drawn = rng.uniform(0.05, 0.95, spec.shape(name)) + (name == "velocity")  # above average_gradient²
                array = np.asarray(drawn, _type(named, dtype))
            tensors.append((array, role))
        return tensors

    def run(self, gpu, dtype, shifted=False):
        """Outputs and states on the host."""
        module, spec = _gpu.load("[tests]")[1], self.make(dtype)
        put = _shifted if shifted else lambda gpu, array: gpu.asarray(array)
        arrays = [(None if a is None else put(gpu, a), role) for a, role in self.tensors(dtype)]
        size = module.workspace_bytes(self.kernel, spec)
        workspace = gpu.empty((size,), np.uint8)
        module.run(self.kernel, spec, [a for a, _ in arrays], workspace.data.ptr if size else 0, 0)
        return [a.get() for a, role in arrays if role != "in" and a is not None]

    def on_cpu(self, dtype):
        """What the CPU's kernel makes of the same numbers in float32, rounded to dtype."""
        tensors = self.tensors(dtype)
        arrays = [a if a is None or a.dtype in NAMED.values() else a.astype(np.float32) for a, _ in tensors]
        _cpu.run(self.kernel, self.make("float32"), arrays)
        given = zip(arrays, tensors, strict=True)
        return [a.astype(like.dtype) for a, (like, role) in given if role != "in" and a is not None]


def _type(named, dtype):
    """The element type of a tensor that kernels.inc gives the name `named`."""
    if named == "wide":
        return np.float32
    return NAMED[named] if named else DTYPES[dtype]


def _shifted(gpu, array):
    """The array one element behind a 16-byte boundary."""
    view = gpu.empty((array.size + 1,), array.dtype)[1:].reshape(array.shape)
    view.set(array)
    return view


def _vector(kernel, n, **given):
    return Problem(kernel, lambda d: _cpu.VectorSpec.make(d, kernel, (n,)), given)


def _hyper(*values):
    return np.array([*values, *[0.0] * (8 - len(values))])


def _seed(value):
    return np.array([value], np.uint64)


def _loss(direction, kind, shape, **settings):
    target = shape[:-1] if kind.startswith("sparse") else shape
    args = (settings.get("from_logits", False), settings.get("label_smoothing", 0.0), 0.5)
    kernel = f"{'sparse_' if kind.startswith('sparse') else ''}loss_{direction}"
    given = {"labels": np.arange(int(np.prod(target))).reshape(target) % shape[-1]} if target != shape else {}
    return Problem(kernel, lambda d: _cpu.LossSpec.make(d, kind, target, shape, *args), given)


def _losses():
    shapes = ((70, 5), (9, 64), (3, 1001), (2, 1200), (1, 8224))
    for direction in ("forward", "backward"):
        for kind in LOSSES:
            yield from (_loss(direction, kind, shape) for shape in ((70, 5), (9, 64), (2, 2056)))
        yield _loss(direction, "binary_crossentropy", (9, 64), from_logits=True, label_smoothing=0.1)
        for kind in ("categorical_crossentropy", "sparse_categorical_crossentropy"):
            for logits in (False, True):
                yield from (_loss(direction, kind, shape, from_logits=logits) for shape in shapes)
    for shape in shapes:
        for logits in (False, True):
            yield _loss("with_gradient", "sparse_categorical_crossentropy", shape, from_logits=logits)


def _rows():
    for kernel in ("softmax_forward", "softmax_backward", "log_softmax_forward", "log_softmax_backward"):
        for shape in ((70, 5), (9, 64), (5, 63), (3, 1000), (2, 1001), (2, 1200), (1, 8200), (1, 8201)):
            yield Problem(
                kernel, lambda d, s=shape: _cpu.NormSpec.make(d, "softmax", s, 1e-3, 0.0, ("linear", 1.0, 0.0), True)
            )


def _elementwise():
    pairs = (((700,), ()), ((300, 64), (64,)), ((5, 4, 3), (4, 1)), ((2, 3, 4, 8), (2, 1, 4, 1)), ((3, 3000), (3, 1)))
    for a, b in (*pairs, ((20000,), (1,)), ((5, 1), (1, 7)), ((0, 3), (3,))):
        for kind in ("add", "subtract", "multiply"):
            for kernel in ("binary_forward", "binary_backward"):
                yield Problem(kernel, lambda d, k=kind, a=a, b=b: _cpu.BinarySpec.make(d, k, a, b))
    for x, alpha in (((300, 64), (64,)), ((500, 3), (3,)), ((3000,), ()), ((5, 400), (400,))):
        for kernel in ("prelu_forward", "prelu_backward"):
            yield Problem(kernel, lambda d, x=x, a=alpha: _cpu.PreluSpec.make(d, x, a))
    for n in (1, 1023, 5000):
        yield Problem("fill", lambda d, n=n: _cpu.FillSpec.make(d, (n,), 2.5))


def _sums():
    for n in (1, 1023, 20003):
        yield _vector("dot", n)


def _gradients():
    """What happens to gradients of weights, which are float32."""
    for n in (1, 1023, 20003):
        yield _vector("unscale", n, factor=np.array([2.0**-7]))
    for n, limits in ((1023, (0.5, INFINITY)), (20003, (0.5, 1.0)), (64, (INFINITY, 1.0))):
        yield _vector("gradient_clip", n, limits=np.array(limits))


def _moves():
    boxes = (((4, 64), (4, 96), (0, 0), (0, 32), (4, 64)), ((40, 6), (40, 9), (1, 2), (3, 4), (30, 1)))
    for x, y, x_start, y_start, extent in boxes:
        yield Problem("box_copy", lambda d, args=(x, y, x_start, y_start, extent): _cpu.BoxSpec.make(d, "pad", *args))


def _dropouts():
    for n, rate, seed in ((1, 0.5, 1), (4099, 0.3, 2**64 - 3), (4096, 0.9, 2**32), (100, 0.0, 0), (100, 1.0, 7)):
        yield Problem("dropout", lambda d, n=n, r=rate: _cpu.DropoutSpec.make(d, (n,), r), {"seed": _seed(seed)})


def _updates():
    for n in (3, 2048, 5001):
        yield _vector("sgd_update", n, hyper=_hyper(0.1, 0.0, 0, 0.01), velocity=None)
        for nesterov in (0, 1):
            yield _vector("sgd_update", n, hyper=_hyper(0.1, 0.9, nesterov, 0.01))
            yield _vector("torch_sgd_update", n, hyper=_hyper(0.1, 0.9, nesterov, 0.01))
        yield _vector("average_update", n, hyper=_hyper(0.9, n == 2048))
        yield _vector("adam_update", n, hyper=_hyper(0.01, 0.9, 0.999, 1e-7, 0.01, 7), v_hat=None)
        yield _vector("adam_update", n, hyper=_hyper(0.01, 0.9, 0.999, 1e-7, 0.01, 7))
        yield _vector("adagrad_update", n, hyper=_hyper(0.1, 1e-7, 0.01))
        for momentum in (0.0, 0.5):
            for centered in (0, 1):
                unused = ({} if momentum else {"momentum": None}) | ({} if centered else {"average_gradient": None})
                yield _vector("rmsprop_update", n, hyper=_hyper(0.01, 0.9, momentum, 1e-7, centered, 0.01), **unused)


def _adaptive():
    """Rules that have kernels for float32 alone, the type of weights, and what happens to their gradients before."""
    for n in (3, 5001):
        yield _vector("adadelta_update", n, hyper=_hyper(0.5, 0.9, 1e-6, 0.01))
        yield _vector("adamax_update", n, hyper=_hyper(0.01, 0.9, 0.99, 1e-7, 0.01, 4))
        yield _vector("nadam_update", n, hyper=_hyper(0.01, 0.9, 0.999, 1e-7, 0.01, 4, 0.2))
        yield _vector("lion_update", n, hyper=_hyper(0.01, 0.9, 0.99, 0.01))
        yield _vector("schedule_free_update", n, hyper=_hyper(0.01, 0.9, 0.999, 1e-7, 0.01, 4))
        yield _vector("ftrl_update", n, hyper=_hyper(0.05, 0.5, 0.01, 0.02, 0.03, 0.01))
        for gathers in (0, 1):
            yield _vector("gradient_accumulate", n, hyper=_hyper(3, gathers))
        yield _vector("gradient_shrink", n, limit=np.array([0.1]))
        yield _vector("non_negative", n, w=_signed(n))


def _idle():
    """What changes nothing: a step that only gathers gradients, and a norm within its limit."""
    for n in (3, 5001):
        yield _vector("adam_update", n, hyper=_hyper(0.01, 0.9, 0.999, 1e-7, 0.01, 7, 0, 1))
        yield _vector("lamb_update", n, hyper=_hyper(0.01, 0.9, 0.999, 1e-7, 0.01, 7, 0, 1))
        yield _vector("gradient_shrink", n, limit=np.array([1e9]))


def _summing():
    """The same with sums in an order of their own."""
    for n in (3, 20003):
        yield _vector("lamb_update", n, hyper=_hyper(0.01, 0.9, 0.999, 1e-7, 0.01, 4))
    for shape in ((7,), (5, 9), (3, 3, 20, 8), (2500, 4)):
        hyper = _hyper(0.01, 0.4, 1e-30, 1e-3, 0.7, 0.01)
        yield Problem("adafactor_update", lambda d, s=shape: _cpu.FactoredSpec.make(d, s, s), {"hyper": hyper})
    for shape, axes in (((70, 9), [0]), ((9, 70), [1]), ((3, 3, 20, 8), [0, 1, 2]), ((5, 6, 7), [1]), ((2500, 4), [0])):
        yield Problem(
            "norm_constraint", lambda d, s=shape, a=axes: _cpu.NormConstraintSpec.make(d, s, a, 0.1, 1.5, 0.7)
        )


def _penalties():
    for n in (1, 20003):
        yield Problem("penalty_forward", lambda d, n=n: _cpu.PenaltySpec.make(d, (n,), 0.5, 0.25))
    for addend in ({}, {"addend": None}):
        yield Problem("penalty_backward", lambda d: _cpu.PenaltySpec.make(d, (1001,), 0.5, 0.25), addend)


def _signed(n):
    return np.linspace(-1, 1, n, dtype=np.float32)


ALL = [p for group in (_elementwise, _rows, _losses, _sums, _moves, _dropouts, _penalties) for p in group()]


def _same_bits(first, second):
    return [a.tobytes() for a in first] == [b.tobytes() for b in second]


def _typed(problems, of_weights):
    """Problems in every type, and those that float32 alone has kernels for."""
    pairs = [(p, dtype) for p in problems for dtype in DTYPES] + [(p, "float32") for p in of_weights]
    return {"argvalues": pairs, "ids": [f"{i}-{p}-{dtype}" for i, (p, dtype) in enumerate(pairs)]}


@pytest.mark.parametrize(
    ("problem", "dtype"), **_typed(ALL, [*_updates(), *_adaptive(), *_idle(), *_gradients(), *_summing()])
)
def test_the_order_of_threads_does_not_show(problem, dtype, emulated_module):
    results = {}
    for order in ("forward", "reversed", "shuffled"):
        with emulated_gpu(emulated_module, order) as gpu:
            for shifted in (False, True):
                results[order, shifted] = problem.run(gpu, dtype, shifted)
    for shifted in (False, True):
        assert _same_bits(results["forward", shifted], results["reversed", shifted])
        assert _same_bits(results["forward", shifted], results["shuffled", shifted])
    unit = float(ml_dtypes.finfo(DTYPES[dtype]).eps)
    wanted = problem.on_cpu(dtype)
    for actual in (results["forward", False], results["forward", True]):
        for a, w in zip(actual, wanted, strict=True):
            a, w = a.astype(np.float64), w.astype(np.float64)
            largest = np.abs(w).max(initial=0.0)
            np.testing.assert_allclose(a, w, rtol=2 * unit + 2e-5, atol=(2e-5 + unit * (dtype != "float32")) * largest)


@pytest.mark.parametrize(
    ("problem", "dtype"), **_typed([*_dropouts(), *_moves()], [*_updates(), *_adaptive(), *_idle()])
)
def test_the_numbers_are_the_cpus(problem, dtype, gpu):
    for actual, wanted in zip(problem.run(gpu, dtype), problem.on_cpu(dtype), strict=True):
        np.testing.assert_array_equal(actual, wanted)


@pytest.mark.parametrize(
    ("problem", "dtype"), **_typed([*_moves()], [*_updates(), *_gradients(), *_adaptive(), *_summing()])
)
def test_a_refused_step_writes_nothing(problem, dtype, gpu):
    module = _gpu.load("[tests]")[1]
    for scalar in (1.0, np.nan, np.inf, -np.inf):
        tensors = problem.tensors(dtype)
        arrays = [None if a is None else gpu.asarray(a) for a, _ in tensors]
        before = [a.get() for a, (_, role) in zip(arrays, tensors, strict=True) if role == "state" and a is not None]
        program = module.Program()
        program.add_guard(gpu.asarray(np.array([scalar], np.float32)))
        program.add(problem.kernel, problem.make(dtype), arrays)
        workspace = gpu.empty((max(1, program.workspace_bytes),), np.uint8)
        state = gpu.asarray(np.array([1, 0], np.int32))  # proceed; runs that passed
        program.run(workspace.data.ptr, state.data.ptr, 0)
        after = [a.get() for a, (_, role) in zip(arrays, tensors, strict=True) if role == "state" and a is not None]
        assert _same_bits(before, after) == (scalar != 1.0)
        np.testing.assert_array_equal(state.get(), [1, 1] if scalar == 1.0 else [0, 0])


@pytest.mark.parametrize("from_logits", (False, True))
@pytest.mark.parametrize("width", (5, 64, 1000, 1200, 9001))
@pytest.mark.parametrize("dtype", DTYPES)
def test_a_label_that_is_no_class_makes_its_row_nan(from_logits, width, dtype, gpu):
    labels = np.array([-1, 1, width, -(2**63), 2**63 - 1, 0, 2**32])
    bad = (labels < 0) | (labels >= width)
    for direction in ("forward", "backward"):
        problem = _loss(direction, "sparse_categorical_crossentropy", (len(labels), width), from_logits=from_logits)
        problem.given["labels"] = labels
        (result,) = problem.run(gpu, dtype)
        nan = np.isnan(result.astype(np.float32)).reshape(len(labels), -1)
        assert nan[bad].all() and not nan[~bad].any()
