"""The training API that every model has."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from fastconv import ops
from fastconv.layers.base import Layer
from fastconv.models import plans
from fastconv.models.fitting import Fitting
from fastconv.models.plans import as_list
from fastconv.ops import _numbers
from fastconv.ops.registry import wide

if TYPE_CHECKING:
    from fastconv.models.gradient_check import GradientReport

__all__ = ["Trainable"]


class Trainable(Fitting):
    """compile, fit, evaluate, predict, and looking inside; :class:`~fastconv.models.Model` adds the graph of layers."""

    # Looking inside.

    def gradients(self, x: Any, y: Any, sample_weight: Any = None, training: bool = False) -> tuple[float, dict]:
        """Loss and its gradient for every trainable weight; nothing is changed.

        Returns:
            ``(loss, {"layer/weight": array})``.
        """
        with self._lock:
            data = self._array_batches("gradients", x, y, sample_weight, None, None)
            losses = self._need_compile("gradients")
            plan = plans.gradient_plan(self, losses, self._sample_shapes(), data.samples, training)
            self._load(plan, data.x, data.y, data.weights)
            plan.run()
            assert plan.total is not None
            paths = {variable: path for path, variable in self.weights_by_path().items()}
            return float(plan.total[0]), {paths[v]: g.copy() for v, g in plan.gradients.items()}

    def gradient_norms(self, x: Any, y: Any, sample_weight: Any = None, training: bool = False) -> dict[str, float]:
        """Euclidean norm of the loss's gradient for every trainable weight, by its path: what vanishes or explodes from
        layer to layer shows there. Arguments as :meth:`gradients`.

        Example:
            >>> import numpy as np
            >>> from fastconv import layers, models
            >>> model = models.Sequential([layers.Input((2,)), layers.Dense(1, kernel_initializer="ones", name="out")])
            >>> model.compile("sgd", "mse")
            >>> model.gradient_norms(np.array([[3.0, 4.0]]), np.array([[6.0]]))
            {'out/kernel': 10.0, 'out/bias': 2.0}
        """
        _, found = self.gradients(x, y, sample_weight, training)
        return {path: float(np.linalg.norm(g.astype(np.float64))) for path, g in found.items()}

    def gradcheck(
        self,
        x: Any,
        y: Any,
        sample_weight: Any = None,
        training: bool = False,
        samples: int = 50,
        eps: float = 1e-6,
        atol: float = 1e-5,
        rtol: float = 1e-3,
        seed: int = 0,
    ) -> GradientReport:
        """Compares the gradients of the loss with central differences, weight by weight; nothing is changed.

        The differences are taken in a copy of the model in float64. On a GPU, and for layers or models of your own that have no
        config, they are taken in the model itself, with tolerances as coarse as float32. An element at a kink (a ReLU at 0,
        a tie of a maximum), where the loss has no derivative, is counted apart.

        Args:
            x, y, sample_weight: a small batch.
            training: whether layers are in training mode; dropout keeps one mask for all differences.
            samples: elements of each weight that are compared, drawn by ``seed``.
            eps: the step. atol, rtol: ``|gradient - quotient| <= atol + rtol |quotient|``, as torch.autograd.gradcheck.

        Returns:
            A :class:`~fastconv.models.gradient_check.GradientReport`: ``report.passed``, and a table when printed.

        Example:
            >>> import numpy as np
            >>> from fastconv import layers, models
            >>> model = models.Sequential([layers.Input((3,)), layers.Dense(4, activation="tanh"), layers.Dense(1)])
            >>> model.compile("sgd", "mse")
            >>> model.gradcheck(np.eye(3), np.ones((3, 1))).passed
            True
        """
        from fastconv import _arguments
        from fastconv.models.gradient_check import check_gradients

        op = "gradcheck"
        numbers: dict[str, Any] = {
            "eps": _arguments.real(op, "eps", eps, above=0),
            "atol": _arguments.real(op, "atol", atol, least=0),
            "rtol": _arguments.real(op, "rtol", rtol, least=0),
            "samples": _arguments.integer(op, "samples", samples, least=1),
            "seed": _arguments.integer(op, "seed", seed, least=0),
        }
        with self._lock:
            self._need_compile(op)
            data = self._array_batches("gradients", x, y, sample_weight, None, None)
            return check_gradients(self, data, _arguments.boolean(op, "training", training), **numbers)

    def activations(self, x: Any) -> dict[str, Any]:
        """Every layer's output for a batch, by the layer's name, in inference mode."""
        from fastconv.graph import Value, tracing
        from fastconv.plan import Plan

        with self._lock:
            arrays = self._prepare_inputs("activations", x)
            record: dict[str, Any] = {}
            with tracing():
                inputs = [Value(a.shape, self.dtype) for a in arrays]
                self.replay(inputs if len(inputs) > 1 else inputs[0], False, record)  # type: ignore[attr-defined]  # Model has it
                record = {
                    name: [_float32(v) for v in entry] if isinstance(entry, list) else _float32(entry)
                    for name, entry in record.items()
                }
            values = [v for entry in record.values() for v in as_list(entry)]
            plan = Plan(inputs, values, fuse=False)
            for value, array in zip(inputs, arrays, strict=True):
                plan.array(value)[...] = array
            plan.run()
            return {
                name: [plan.array(v).copy() for v in entry] if isinstance(entry, list) else plan.array(entry).copy()
                for name, entry in record.items()
            }

    def get_layer(self, name: str | None = None, index: int | None = None) -> Layer:
        """The layer called ``name``, or at ``index``."""
        layers = self.sublayers()
        if index is not None:
            number = _numbers.as_int("get_layer", "index", index)
            if not -len(layers) <= number < len(layers):
                raise ValueError(
                    f"[get_layer] index must be that of a layer: expected index < {len(layers)}, got index={number}. Count from 0."
                )
            return layers[number]
        for layer in layers:
            if layer.name == name:
                return layer
        raise ValueError(
            f"[get_layer] no layer has this name: expected one of {[la.name for la in layers]}, got {name!r}. "
            "See summary()."
        )

    def summary(self, print_fn: Any = print, batch_size: int = 32) -> None:
        """Prints layers, output shapes, parameter counts, and the memory that a batch needs."""
        from fastconv.models.summary import summary_text

        print_fn(summary_text(self, _numbers.as_count("summary", "batch_size", batch_size)))

    # Files.

    def save(self, path: Any, include_optimizer: bool = True) -> None:
        """Writes config, weights and, if compiled, the optimizer's state to one file, atomically."""
        from fastconv.saving.model_file import save_model

        save_model(self, path, include_optimizer)

    def save_weights(self, path: Any) -> None:
        """Writes the weights alone."""
        from fastconv.saving.model_file import save_weights

        save_weights(self, path)

    def load_weights(self, path: Any) -> None:
        """Reads weights that :meth:`save` or :meth:`save_weights` wrote; all of them fit, or none is changed.

        Weights are found by path. Where the layers of the file and of the model have other numbers behind their names
        ("dense" and "dense_1", as the same code built twice in one process gives), they are found by position.

        Raises:
            CheckpointError: for a file that is malformed, or that holds the weights of another architecture.
            OSError: if it cannot be read.
        """
        from fastconv.saving.model_file import load_weights

        load_weights(self, path)

    def export(self, path: Any, format: str = "onnx", **keywords: Any) -> None:
        """Writes the model's inference for other programs; the keywords are those of :func:`fastconv.onnx.export`.

        Args:
            path: of the file, which is replaced atomically.
            format: "onnx".
        """
        from fastconv import onnx
        from fastconv._arguments import choice

        choice("export", "format", format, ("onnx",))
        onnx.export(self, path, **keywords)


def _float32(value: Any) -> Any:
    """What has 16 bits on the device, for NumPy."""
    return ops.cast(value, wide(value.dtype))
