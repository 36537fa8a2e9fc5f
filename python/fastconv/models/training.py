"""The training API that every model has."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from fastconv import ops
from fastconv._arguments import function
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

    replay: Callable[..., Any]  # Model's: the layers one after another

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

    def input_gradients(self, x: Any, dy: Any = None, *, layer: str | None = None, logits: bool = False) -> Any:
        """Gradient of ``sum(dy * outputs)`` for the inputs, in inference mode; nothing is changed.

        Args:
            x: an array (N, ...), or a list with one per input.
            dy: what each cell of the outputs counts, of their shape: a one-hot row asks for one class. Ones by default.
            layer: the name of a layer; then the gradient is for what it gives (in its last call, where it is shared).
            logits: differentiate what goes into the last softmax or sigmoid instead of what comes out, where the model ends
                in one: scores that do not compete, as pictures of what a model looks at want them.

        Returns:
            An array of x's shape and the model's dtype, or a list; with ``layer``, of the shape of its output.

        Raises:
            ValueError: for other shapes, or a name that no layer has.

        Example:
            >>> import numpy as np
            >>> from fastconv import layers, models
            >>> model = models.Sequential([layers.Input((2,)), layers.Dense(1, kernel_initializer="ones")])
            >>> model.input_gradients(np.zeros((1, 2)))
            array([[1., 1.]], dtype=float32)
        """
        from fastconv.models.input_gradients import input_gradients

        return input_gradients(self, x, dy, layer, logits)

    def gradient_norms(self, x: Any, y: Any, sample_weight: Any = None, training: bool = False) -> dict[str, float]:
        """Euclidean length of every weight's gradient, in the order of the layers: where it vanishes, nothing is learnt.

        Arguments as for :meth:`gradients`.

        Returns:
            ``{"layer/weight": norm}``.
        """
        _, found = self.gradients(x, y, sample_weight, training)
        return {path: float(np.linalg.norm(gradient.astype(np.float64))) for path, gradient in found.items()}

    def sparsity(self, x: Any) -> dict[str, float]:
        """The share of each layer's outputs that are exactly 0 for a batch, such as units that relu keeps silent."""
        return {
            name: float(np.mean([np.mean(np.asarray(part) == 0) for part in as_list(output)]))
            for name, output in self.activations(x).items()
        }

    def activations(self, x: Any) -> dict[str, Any]:
        """Every layer's output for a batch, by the layer's name, in inference mode."""
        from fastconv.graph import Value, tracing
        from fastconv.plan import Plan

        with self._lock:
            arrays = self._prepare_inputs("activations", x)
            record: dict[str, Any] = {}
            with tracing():
                inputs = [Value(a.shape, self.dtype) for a in arrays]
                self.replay(inputs if len(inputs) > 1 else inputs[0], False, record)
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

    def summary(
        self,
        line_length: int | None = None,
        positions: Any = None,
        print_fn: Any = None,
        expand_nested: bool = False,
        show_trainable: bool = False,
        layer_range: Any = None,
        batch_size: int = 32,
    ) -> None:
        """Prints layers, output shapes, parameter counts, operations of a sample, and the memory that a batch needs.

        Args:
            line_length: characters per line at most; the cells of wide columns are broken. By default as many as they need.
            positions: Keras's ends of columns; None, since columns are as wide as what stands in them.
            print_fn: called once with the whole text, instead of ``print``.
            expand_nested: also the layers of models inside.
            show_trainable: also whether the weights of each layer take part in training.
            layer_range: two names (or regular expressions): the layers from one to the other.
            batch_size: of the batch whose memory is told.

        Raises:
            ValueError: for positions, or a range that names no layers.
        """
        from fastconv.models.summary import summary_text

        if positions is not None:
            raise ValueError(
                f"[summary] columns are as wide as their cells: expected positions=None, got {positions!r}. Use line_length."
            )
        batch = _numbers.as_count("summary", "batch_size", batch_size)
        length = None if line_length is None else _numbers.as_count("summary", "line_length", line_length)
        text = summary_text(self, batch, length, expand_nested, show_trainable, layer_range)
        show = function("summary", "print_fn", print if print_fn is None else print_fn, "one that takes a text")
        show(text)

    def _repr_html_(self) -> str:
        """The summary and the graph of layers, for notebooks."""
        from fastconv.models.summary import summary_html

        return summary_html(self)

    def plot(self, path: Any, *, rankdir: str = "TB", expand_nested: bool = False) -> None:
        """Writes the graph of the layers, with names, shapes and parameters, as SVG (``*.svg``).

        :func:`fastconv.utils.plot_model` is Keras's function for it, with a switch for each of these.

        Args:
            path: of the file.
            rankdir: "TB", inputs at the top, or "LR", at the left.
            expand_nested: draw what is inside of models inside.

        Raises:
            ValueError: for another file ending, or a model with a call of its own. OSError: if the file cannot be written.
        """
        from fastconv.utils import plot_model

        shown = {"show_shapes": True, "show_layer_names": True, "show_params": True}
        plot_model(self, path, rankdir=rankdir, expand_nested=expand_nested, **shown)

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
