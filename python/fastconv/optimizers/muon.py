"""Muon: steps of matrices in which every direction counts alike."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from typing import Any, ClassVar

import numpy as np

from fastconv import _cpu
from fastconv.graph import Update, Value
from fastconv.optimizers.arguments import (
    boolean,
    count,
    decay,
    finite,
    negative,
    not_negative,
    optional,
    patterns,
    positive,
    share,
)
from fastconv.optimizers.base import Optimizer
from fastconv.optimizers.newton_schulz import newton_schulz
from fastconv.optimizers.rule import Rule
from fastconv.schedules import LearningRateSchedule

__all__ = ["Muon"]


class Muon(Optimizer):
    """Momentum whose matrices are made orthogonal, and AdamW for all that is no matrix.

    ::

        momentum = m * momentum + g                                        m is the argument ``momentum``
        x = g + m * momentum                                               momentum, if not nesterov
        x /= norm(x) + 1e-7
        x = a * x + (b * s + c * s @ s) @ x,   s = x @ x.T                 ns_steps times
        w -= learning_rate * sqrt(max(rows, columns)) * rms_rate * x       without these factors, if rms_rate is None

    A variable is a matrix if it has two axes, as kernels of Dense layers have, and is not excluded by its path, e.g.
    "dense/kernel". Exclude the layer with the output. For the others, see :class:`Adam`, with ``weight_decay`` first.

    In a training step a matrix has a handful of products of its own, on memory that all matrices use in turn; the rest of
    a step is what it is for any optimizer.

    Args:
        learning_rate: finite and > 0, or a schedule.
        adam_beta_1, adam_beta_2, epsilon: AdamW's numbers.
        adam_weight_decay: AdamW's weight decay, >= 0; None for none.
        weight_decay: of matrices. See :class:`Optimizer` for it and for those behind it, up to name.
        exclude_layers: regular expressions; a variable whose path has one of them inside is left to AdamW.
        exclude_embeddings: whether variables with "embedding" in their paths are, too.
        muon_a, muon_b, muon_c: of the quintic that makes a matrix orthogonal; muon_b < 0.
        adam_lr_ratio: AdamW's learning rate, as a multiple of the other, > 0.
        momentum: 0 to 1.
        ns_steps: of the iteration, >= 0.
        nesterov: whether to look ahead along the momentum.
        rms_rate: root mean square of a step of a large matrix, in learning rates: with 0.2, those of AdamW suit Muon.

    Numerics: the products are those of Dense layers, in the precision that ``set_precision`` says. What rounding does to a small
        singular value grows with it, up to muon_a**ns_steps times: 500 times.

    Source: Jordan et al. 2024, Muon: an optimizer for hidden layers in neural networks; Liu et al. 2025, Muon is scalable for
    LLM training, for rms_rate.

    Example:
        >>> Muon(exclude_layers=["output"]).rule_for("dense/kernel", (784, 10)).slots()
        {'momentum': 0.0}
        >>> Muon(exclude_layers=["output"]).rule_for("output/kernel", (784, 10)).slots()
        {'momentum': 0.0, 'velocity': 0.0}
    """

    default_name = "muon"
    whole_variables = True  # neighbours may have different rules
    own: ClassVar = {
        "adam_beta_1": decay,
        "adam_beta_2": decay,
        "adam_weight_decay": optional(not_negative),
        "epsilon": positive,
        "exclude_layers": patterns,
        "exclude_embeddings": boolean,
        "muon_a": finite,
        "muon_b": negative,
        "muon_c": finite,
        "adam_lr_ratio": positive,
        "momentum": share,
        "ns_steps": count,
        "nesterov": boolean,
        "rms_rate": optional(positive),
    }
    adam_beta_1: float
    adam_beta_2: float
    adam_weight_decay: float | None
    epsilon: float
    exclude_layers: list[str]
    exclude_embeddings: bool
    muon_a: float
    muon_b: float
    muon_c: float
    adam_lr_ratio: float
    momentum: float
    ns_steps: int
    nesterov: bool
    rms_rate: float | None

    def __init__(
        self,
        learning_rate: float | LearningRateSchedule = 0.001,
        adam_beta_1: float = 0.9,
        adam_beta_2: float = 0.999,
        adam_weight_decay: float | None = 0.004,
        epsilon: float = 1e-7,
        weight_decay: float | None = 0.004,
        clipnorm: float | None = None,
        clipvalue: float | None = None,
        global_clipnorm: float | None = None,
        use_ema: bool = False,
        ema_momentum: float = 0.99,
        ema_overwrite_frequency: int | None = None,
        loss_scale_factor: float | None = None,
        gradient_accumulation_steps: int | None = None,
        name: str | None = None,
        exclude_layers: Sequence[str] | None = None,
        exclude_embeddings: bool = True,
        muon_a: float = 3.4445,
        muon_b: float = -4.7750,
        muon_c: float = 2.0315,
        adam_lr_ratio: float = 1,
        momentum: float = 0.95,
        ns_steps: int = 5,
        nesterov: bool = True,
        rms_rate: float | None = 0.2,
        **other: Any,
    ):
        self._take(locals())
        self._adamw = _AdamW(self)
        self._momentum = _Momentum(self)
        self._matrices: dict[float, Rule] = {}  # by the length of their steps

    def rule_for(self, path: str, shape: tuple[int, ...]) -> Rule:
        excluded = self.exclude_embeddings and "embedding" in path.lower()
        if len(shape) != 2 or excluded or any(re.search(one, path) for one in self.exclude_layers):
            return self._adamw
        length = 1.0 if self.rms_rate is None else math.sqrt(max(shape)) * self.rms_rate
        return self._matrices.setdefault(length, _Matrix(self, self._momentum, length))

    def slots(self) -> dict[str, float | None]:
        """What AdamW keeps; a matrix has no velocity."""
        return self._adamw.slots()


class _OfMuon(Rule):
    """A rule with the rates and steps of its optimizer."""

    def __init__(self, owner: Muon):
        self._owner = owner

    def hyper(self, step: int) -> np.ndarray:
        return self._owner._numbers(step, self._hyper)

    def _hyper(self, rate: float, step: int) -> Sequence[float]:
        raise NotImplementedError(f"[{type(self).__name__}] a rule of Muon must define _hyper(rate, step).")


class _AdamW(_OfMuon):
    """For what is no matrix."""

    kernel = "adam_update"
    in_kernel: ClassVar = {"momentum": "m", "velocity": "v"}

    def slots(self) -> dict[str, float | None]:
        return {"momentum": 0.0, "velocity": 0.0}

    def _hyper(self, rate: float, step: int) -> Sequence[float]:
        own = self._owner
        decay = (own.adam_weight_decay or 0.0) / own.adam_lr_ratio  # the kernel multiplies it by this rule's rate
        return [rate * own.adam_lr_ratio, own.adam_beta_1, own.adam_beta_2, own.epsilon, decay, step]


class _Momentum(_OfMuon):
    """A step of gradient descent at rate -1, from 0, with PyTorch's momentum: where that leads is the direction."""

    kernel = "torch_sgd_update"

    def _hyper(self, rate: float, step: int) -> Sequence[float]:
        return [-1.0, self._owner.momentum, self._owner.nesterov]


class _Matrix(_OfMuon):
    """For a matrix: gradient descent, the gradient being the orthogonal direction."""

    kernel = "sgd_update"

    def __init__(self, owner: Muon, momentum: _Momentum, length: float):
        super().__init__(owner)
        self._momentum = momentum
        self._length = length

    def slots(self) -> dict[str, float | None]:
        return {"momentum": 0.0}

    def _hyper(self, rate: float, step: int) -> Sequence[float]:
        return [rate * self._length, 0.0, 0.0, (self._owner.weight_decay or 0.0) / self._length]

    def updates(
        self,
        gradient: Value,
        weight: Value,
        slots: Sequence[Value | None],
        shape: tuple[int, ...],
        numbers: Callable[[Any], np.ndarray],
    ) -> list[Update]:
        """Kernels on the whole gradient of a matrix, not a kernel of its own: they are those of any device, and exact for any
        number of threads. In steps that only gather gradients the direction stays 0, and weight and momentum as they are."""
        own, x = self._owner, Value(shape, gradient.dtype, name="direction")
        return [
            Update("fill", _cpu.FillSpec.make(x.dtype, shape, 0.0), [x]),
            self._momentum._call(gradient, x, {"velocity": slots[0]}, shape, numbers),
            *newton_schulz(x, own.ns_steps, own.muon_a, own.muon_b, own.muon_c),
            self._call(x, weight, {}, shape, numbers),
        ]
