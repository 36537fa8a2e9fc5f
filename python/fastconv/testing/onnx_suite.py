"""The onnx package's own backend tests, and which of them ``fastconv.onnx.backend`` is there for.

Whether a test is in scope is read from its model, never from how a run ends: what is in scope passes or has failed.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from fastconv.onnx import backend
from fastconv.onnx.run_node import KERNELS, PLUMBING

__all__ = ["GROUPS", "LIGHT", "TIERS", "Case", "by_operator", "cases", "light_models", "run", "with_random_weights"]

KINDS = ("node", "simple", "pytorch-converted", "pytorch-operator")

# What the project has set itself, by the operator of a test's one node.
TIERS = {
    "convolution": ("Conv", "ConvTranspose"),
    "pooling": (
        *("MaxPool", "AveragePool", "LpPool", "GlobalMaxPool", "GlobalAveragePool", "MaxUnpool"),
    ),
    "resizing": ("Resize", "Upsample"),
    "products": ("Gemm", "MatMul"),
    "normalisation": (
        *("BatchNormalization", "LRN", "InstanceNormalization", "GroupNormalization", "LayerNormalization"),
    ),
    "activations": (
        *("Relu", "LeakyRelu", "PRelu", "Elu", "Celu", "Selu", "Gelu", "Sigmoid", "HardSigmoid", "HardSwish", "Tanh"),
        *("Softplus", "Softsign", "Softmax", "LogSoftmax", "Hardmax", "ThresholdedRelu", "Mish", "Swish", "Clip", "Shrink"),
    ),
    "losses": ("SoftmaxCrossEntropyLoss", "NegativeLogLikelihoodLoss"),
    "optimizers": tuple(f"ai.onnx.preview.training.{name}" for name in ("Adam", "Momentum", "Adagrad")),
}  # fmt: skip

# The groups that the project has promised to pass, with the number of tests it has promised. The numbers of later versions of
# the package are larger, where they differ: those of activations count some of the tests of functions written out.
GROUPS = {
    "Conv": (6, ("Conv",)),
    "ConvTranspose": (11, ("ConvTranspose",)),
    "MaxPool": (19, ("MaxPool",)),
    "AveragePool": (20, ("AveragePool",)),
    "LpPool": (8, ("LpPool",)),
    "GlobalMaxPool, GlobalAveragePool": (4, ("GlobalMaxPool", "GlobalAveragePool")),
    "MaxUnpool": (2, ("MaxUnpool",)),
    "Gemm": (11, ("Gemm",)),
    "MatMul": (7, ("MatMul",)),
    "BatchNormalization": (4, ("BatchNormalization",)),
    "LRN": (2, ("LRN",)),
    "Instance-, Group-, LayerNormalization": (23, TIERS["normalisation"][2:]),
    "activations": (88, TIERS["activations"]),
    "losses and optimizers": (59, (*TIERS["losses"], *TIERS["optimizers"])),
}

# In scope by their operators, and yet not for this backend: a pattern of the test's name, and why.
_EXCLUDED = {
    r"training_dropout(_default)?(_mask)?$": "random masks differ from library to library",
    r"attention_4d_causal_fp16_expanded$": "a sum in float16 whose order is not specified; differs by one unit",
}
_EXPANDED = re.compile(r"_expanded(_ver\d+)?$")  # how names of tests of a function written out end
_DTYPES = {0, 1, 2, 3, 4, 5, 6, 7, 9, 10, 11, 12, 13, 16}  # TensorProto's numbers of NumPy's own types, and bfloat16

LIGHT = ("bvlc_alexnet", "densenet121", "inception_v1", "inception_v2", "resnet50", "shufflenet", "squeezenet", "vgg19", "zfnet512")  # fmt: skip


@dataclass(eq=False)
class Case:
    """One test: a model, and inputs with expected outputs."""

    kind: str
    name: str
    model: Any
    data: list[tuple[list[Any], list[Any]]]
    rtol: float
    atol: float

    @functools.cached_property
    def operators(self) -> list[str]:
        """Each operator of the model once, with its domain where that is not ONNX's."""
        names = [n.op_type if n.domain in ("", "ai.onnx") else f"{n.domain}.{n.op_type}" for n in self.model.graph.node]
        return list(dict.fromkeys(names))

    @functools.cached_property
    def excluded(self) -> str | None:
        """Why the test is out of scope; None if it is in."""
        unknown = [op for op in self.operators if op not in KERNELS and op not in PLUMBING]
        if unknown:
            return f"operator {unknown[0]}"
        endpoints = [*self.model.graph.input, *self.model.graph.output]
        if any(not info.type.HasField("tensor_type") for info in endpoints):
            return "sequences and optional values"
        types = {info.type.tensor_type.elem_type for info in endpoints}
        types |= {a.i for n in self.model.graph.node for a in n.attribute if n.op_type == "Cast" and a.name == "to"}
        types |= {a.t.data_type for n in self.model.graph.node for a in n.attribute if a.HasField("t")}
        if not types <= _DTYPES:
            return "dtypes of fewer bits: float8, 4 and 2 bits; text"
        return next((why for part, why in _EXCLUDED.items() if re.search(part, self.name)), None)


def cases(kind: str) -> Iterator[Case]:
    """The tests of one of :data:`KINDS`."""
    from onnx.backend.test.loader import load_model_tests

    for test in load_model_tests(kind=kind):
        model, sets = (test.model, test.data_sets) if test.model is not None else _read(Path(str(test.model_dir)))
        data = [([_array(x) for x in inputs], [_array(y) for y in outputs]) for inputs, outputs in sets or ()]
        yield Case(kind, test.name, model, data, test.rtol, test.atol)


def by_operator(found: Iterable[Case]) -> dict[str, tuple[list[Case], list[Case]]]:
    """Of tests of the kind "node", for each operator: those of its node alone, and those of its function written out."""
    cases = list(found)
    alone = {case.name: case.operators[0] for case in cases if not _EXPANDED.search(case.name)}
    sorted_out: dict[str, tuple[list[Case], list[Case]]] = {op: ([], []) for op in alone.values()}
    for case in cases:
        op = alone.get(_EXPANDED.sub("", case.name))
        if op is not None:
            sorted_out[op][case.name not in alone].append(case)
    return sorted_out


def _read(folder: Path) -> tuple[Any, list[tuple[list[Any], list[Any]]]]:
    import onnx

    def tensors(data: Path, stem: str) -> list[Any]:
        count = len(list(data.glob(f"{stem}_*.pb")))
        return [onnx.TensorProto.FromString((data / f"{stem}_{i}.pb").read_bytes()) for i in range(count)]

    sets = sorted(folder.glob("test_data_set*"))
    try:
        data = [(tensors(folder, "input"), tensors(folder, "output")) for folder in sets]
    except Exception:  # a sequence or an optional value instead of a tensor: out of scope by its model
        data = []
    return onnx.load(folder / "model.onnx"), data


def _array(value: Any) -> Any:
    import onnx

    return onnx.numpy_helper.to_array(value) if isinstance(value, onnx.TensorProto) else value


def run(case: Case) -> None:
    """Raises where the backend's outputs are not the expected ones, by the onnx package's own comparison."""
    from onnx.backend.test.runner import Runner

    prepared = backend.prepare(case.model)
    for inputs, outputs in case.data:
        Runner.assert_similar_outputs(outputs, prepared.run(inputs), case.rtol, case.atol)


def light_models() -> Iterator[tuple[str, Any, Any, Any]]:
    """``(name, model, input, expected output)`` of the image networks that ship without weights (all are constants)."""
    import onnx

    folder = Path(onnx.__file__).parent / "backend/test/data/light"
    for name in LIGHT:
        model = onnx.load(folder / f"light_{name}.onnx")
        weights = {tensor.name for tensor in model.graph.initializer}
        (info,) = [info for info in model.graph.input if info.name not in weights]
        shape = [d.dim_value for d in info.type.tensor_type.shape.dim]
        x = (np.arange(np.prod(shape)).reshape(shape) / np.prod(shape)).astype(np.float32)
        tensor = onnx.TensorProto.FromString((folder / f"light_{name}_output_0.pb").read_bytes())
        yield name, model, x, onnx.numpy_helper.to_array(tensor)


def with_random_weights(model: Any, rng: Any) -> Any:
    """The network with weights that keep its numbers in range, instead of its constants."""
    import onnx

    model.ir_version = 8
    graph = model.graph
    shapes = {t.name: tuple(onnx.numpy_helper.to_array(t)) for t in graph.initializer if t.data_type == 7}
    positive = {n.input[i] for n in graph.node if n.op_type == "BatchNormalization" for i in (1, 4)}
    for node in [n for n in graph.node if n.op_type == "ConstantOfShape"]:
        shape, name = shapes[node.input[0]], node.output[0]
        spread = (1 / max(np.prod(shape[1:]), 1)) ** 0.5 if len(shape) > 1 else 0.1
        array = rng.uniform(0.5, 1.5, shape) if name in positive else rng.normal(size=shape) * spread
        graph.initializer.append(onnx.numpy_helper.from_array(array.astype(np.float32), name))
        graph.node.remove(node)
    return model
