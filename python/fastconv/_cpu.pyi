"""fastconv's C++ kernels for the CPU; use fastconv.ops instead."""

from collections.abc import Sequence
from typing import Any

import numpy as np

Shape = Sequence[int]
Pair = tuple[int, int]
Padding = str | tuple[Pair, Pair]
Activation = tuple[str, float, float]

version: str
compiler: str

class Spec:
    @property
    def dtype(self) -> str: ...
    def shape(self, name: str) -> tuple[int, ...]: ...
    def flops(self, kernel: str) -> float: ...

class Conv2dSpec(Spec):
    @staticmethod
    def make(
        dtype: str,
        x: Any,
        w: Any,
        stride: Pair,
        padding: Padding,
        dilation: Pair,
        groups: int,
        activation: Activation,
        /,
    ) -> Conv2dSpec: ...
    @staticmethod
    def make_transpose(
        dtype: str,
        x: Any,
        w: Any,
        stride: Pair,
        padding: Padding,
        output_padding: Pair,
        dilation: Pair,
        groups: int,
        /,
    ) -> Conv2dSpec: ...

class Pool2dSpec(Spec):
    @staticmethod
    def make(
        dtype: str,
        kind: str,
        x: Any,
        pool_size: Pair,
        stride: Pair,
        padding: Padding,
        dilation: Pair,
        ceil_mode: bool,
        count_include_pad: bool,
        /,
    ) -> Pool2dSpec: ...

class Conv2dPoolSpec(Spec):
    @staticmethod
    def make(conv: Conv2dSpec, /) -> Conv2dPoolSpec: ...

class RnnSpec(Spec):
    @staticmethod
    def make(
        dtype: str,
        kind: str,
        p: Any,
        recurrent: Any,
        activation: Activation,
        gate_activation: Activation,
        reverse: bool,
        aligned: bool,
        /,
    ) -> RnnSpec: ...

class EmbeddingSpec(Spec):
    @staticmethod
    def make(dtype: str, ids: Any, table: Any, /) -> EmbeddingSpec: ...

class GemmSpec(Spec):
    @staticmethod
    def make_dense(dtype: str, x: Any, w: Any, activation: Activation, /) -> GemmSpec: ...

class NormSpec(Spec):
    @staticmethod
    def make(
        dtype: str, op: str, x: Any, epsilon: float, momentum: float, activation: Activation, centred: bool, /
    ) -> NormSpec: ...

class GroupNormSpec(Spec):
    @staticmethod
    def make(dtype: str, x: Any, groups: int, epsilon: float, /) -> GroupNormSpec: ...

class TransposeSpec(Spec):
    @staticmethod
    def make(dtype: str, x: Any, axes: Any, /) -> TransposeSpec: ...

class DepthSpec(Spec):
    @staticmethod
    def make(
        dtype: str, op: str, x: Any, taps: int, stride: int, padding: Padding, dilation: int, groups: int, /
    ) -> DepthSpec: ...

class LossSpec(Spec):
    @staticmethod
    def make(
        dtype: str,
        kind: str,
        target: Any,
        prediction: Any,
        from_logits: bool,
        label_smoothing: float,
        delta: float,
        /,
    ) -> LossSpec: ...

class VectorSpec(Spec):
    @staticmethod
    def make(dtype: str, op: str, extents: Any, /) -> VectorSpec: ...

class ActivationSpec(Spec):
    @staticmethod
    def make(dtype: str, extents: Any, activation: Activation, /) -> ActivationSpec: ...

class DropoutSpec(Spec):
    @staticmethod
    def make(dtype: str, extents: Any, rate: float, /) -> DropoutSpec: ...

class AugmentSpec(Spec):
    @staticmethod
    def make(
        dtype: str,
        x: Any,
        size: tuple[int, int],
        flip: str,
        alternate: bool,
        rows: tuple[float, float],
        columns: tuple[float, float],
        whole: bool,
        interpolation: str,
        fill_mode: str,
        fill_value: float,
        /,
    ) -> AugmentSpec: ...

class NoiseSpec(Spec):
    @staticmethod
    def make(dtype: str, extents: Any, stddev: float, multiply: bool, /) -> NoiseSpec: ...

class ResampleSpec(Spec):
    @staticmethod
    def make(dtype: str, op: str, x: Any, size: tuple[int, int], /, *settings: Any) -> ResampleSpec: ...

class WarpSpec(Spec):
    @staticmethod
    def make(dtype: str, x: Any, /, *settings: Any) -> WarpSpec: ...

class AdjustSpec(Spec):
    @staticmethod
    def make(dtype: str, x: Any, /, *settings: Any) -> AdjustSpec: ...

class FillSpec(Spec):
    @staticmethod
    def make(dtype: str, extents: Any, value: float, /) -> FillSpec: ...

class PenaltySpec(Spec):
    @staticmethod
    def make(dtype: str, extents: Any, l1: float, l2: float, /) -> PenaltySpec: ...

class FactoredSpec(Spec):
    @staticmethod
    def make(dtype: str, extents: Any, variable: Any, /) -> FactoredSpec: ...

class NormConstraintSpec(Spec):
    @staticmethod
    def make(dtype: str, extents: Any, axes: Any, least: float, most: float, rate: float, /) -> NormConstraintSpec: ...

class CastSpec(Spec):
    @staticmethod
    def make(dtype: str, to: str, extents: Any, /) -> CastSpec: ...

class PreluSpec(Spec):
    @staticmethod
    def make(dtype: str, x: Any, alpha: Any, /) -> PreluSpec: ...

class BinarySpec(Spec):
    @staticmethod
    def make(dtype: str, kind: str, a: Any, b: Any, /) -> BinarySpec: ...

class BoxSpec(Spec):
    @staticmethod
    def make(dtype: str, op: str, x: Any, y: Any, x_start: Any, y_start: Any, extent: Any, /) -> BoxSpec: ...

class Program:
    def add(
        self, kernel: str, spec: Spec, tensors: Sequence[np.ndarray | None], room: np.ndarray | None = None
    ) -> None: ...
    def add_guard(self, scalar: np.ndarray) -> None: ...
    def run(self) -> bool: ...
    def run_timed(self) -> list[float]: ...
    def __len__(self) -> int: ...
    @property
    def steps(self) -> list[tuple[str, str]]: ...
    @property
    def costs(self) -> list[tuple[str, float, float, float]]: ...

def run(kernel: str, spec: Spec, tensors: Sequence[np.ndarray | None]) -> None: ...
def workspace_bytes(kernel: str, spec: Spec) -> int: ...
def signatures() -> dict[str, str]: ...
def missing_kernels() -> list[str]: ...
def available_isas() -> list[str]: ...
def current_isa() -> str: ...
def select_isa(isa: str) -> None: ...
def peak_flops(wide: bool, seconds: float) -> float: ...
def peak_split_flops(seconds: float) -> float: ...
def set_precision(precision: str) -> None: ...
def prefer_conv2d(algorithm: str) -> None: ...
def numerics() -> tuple[str, str]: ...
def get_num_threads() -> int: ...
def set_num_threads(n: int) -> None: ...
