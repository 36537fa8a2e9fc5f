"""Layers that add or remove cells at the borders of sequences, images and volumes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

from fastconv import ops
from fastconv.layers import _geometry
from fastconv.layers.base import Layer
from fastconv.ops import _numbers

__all__ = ["Cropping1D", "Cropping2D", "Cropping3D", "ZeroPadding1D", "ZeroPadding2D", "ZeroPadding3D"]


class _Borders2D(Layer):
    """Widths at the four borders of images.

    Args:
        an int, (height, width) or ((top, bottom), (left, right)).
    """

    _argument: ClassVar[str]
    _op: ClassVar[Callable[..., Any]]

    def _as_widths(self, value: Any) -> tuple[tuple[int, int], tuple[int, int]]:
        if isinstance(value, str):
            raise TypeError(
                f"[{self.name}] {self._argument} must be numbers: expected int or pairs, got {self._argument}={value!r}. Pass "
                "ints."
            )
        widths = _numbers.as_layer_padding(self.name, value)
        assert not isinstance(widths, str)
        return widths

    def __init__(self, widths: Any, data_format: str | None, keywords: dict[str, Any]) -> None:
        super().__init__(**keywords)
        _geometry.check_data_format(self.name, data_format)
        self.widths = self._as_widths(widths)

    def build(self, input_shape: Any) -> None:
        _geometry.check_images(self.name, input_shape)

    def call(self, inputs: Any) -> Any:
        return type(self)._op(inputs, ((0, 0), *self.widths, (0, 0)))

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), self._argument: [list(side) for side in self.widths]}


class ZeroPadding2D(_Borders2D):
    """Rows and columns of zeros around images.

    Args:
        padding: int, (height, width) or ((top, bottom), (left, right)).
    """

    _argument, _op = "padding", staticmethod(ops.pad)

    def __init__(self, padding: Any = (1, 1), data_format: str | None = None, **keywords: Any) -> None:
        super().__init__(padding, data_format, keywords)


class Cropping2D(_Borders2D):
    """Images without their outer rows and columns.

    Args:
        cropping: int, (height, width) or ((top, bottom), (left, right)).
    """

    _argument, _op = "cropping", staticmethod(ops.crop)

    def __init__(self, cropping: Any = ((0, 0), (0, 0)), data_format: str | None = None, **keywords: Any) -> None:
        super().__init__(cropping, data_format, keywords)


class _Borders1D(Layer):
    """Widths at both ends of sequences."""

    _argument: ClassVar[str]
    _op: ClassVar[Callable[..., Any]]

    def __init__(self, widths: Any, data_format: str | None, keywords: dict[str, Any]) -> None:
        super().__init__(**keywords)
        _geometry.check_data_format(self.name, data_format)
        self.widths = _numbers.as_counts(self.name, self._argument, widths, least=0)

    def build(self, input_shape: Any) -> None:
        _geometry.check_sequences(self.name, input_shape)

    def call(self, inputs: Any) -> Any:
        return type(self)._op(inputs, ((0, 0), self.widths, (0, 0)))

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), self._argument: list(self.widths)}


class ZeroPadding1D(_Borders1D):
    """Steps of zeros before and after sequences (N, T, C).

    Args:
        padding: int or (before, after).
    """

    _argument, _op = "padding", staticmethod(ops.pad)

    def __init__(self, padding: Any = 1, data_format: str | None = None, **keywords: Any) -> None:
        super().__init__(padding, data_format, keywords)


class Cropping1D(_Borders1D):
    """Sequences (N, T, C) without their first and last steps.

    Args:
        cropping: int or (before, after).
    """

    _argument, _op = "cropping", staticmethod(ops.crop)

    def __init__(self, cropping: Any = (1, 1), data_format: str | None = None, **keywords: Any) -> None:
        super().__init__(cropping, data_format, keywords)


class _Borders3D(Layer):
    """Widths at the six faces of volumes."""

    _argument: ClassVar[str]
    _op: ClassVar[Callable[..., Any]]

    def __init__(self, widths: Any, data_format: str | None, keywords: dict[str, Any]) -> None:
        super().__init__(**keywords)
        _geometry.check_data_format(self.name, data_format)
        self.widths = _geometry.three_pads(self.name, widths)

    def build(self, input_shape: Any) -> None:
        _geometry.check_volumes(self.name, input_shape)

    def call(self, inputs: Any) -> Any:
        return type(self)._op(inputs, ((0, 0), *self.widths, (0, 0)))

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), self._argument: [list(side) for side in self.widths]}


class ZeroPadding3D(_Borders3D):
    """Cells of zeros around volumes (N, D, H, W, C).

    Args:
        padding: int, (depth, height, width) or three pairs (before, after).
    """

    _argument, _op = "padding", staticmethod(ops.pad)

    def __init__(
        self, padding: Any = ((1, 1), (1, 1), (1, 1)), data_format: str | None = None, **keywords: Any
    ) -> None:
        super().__init__(padding, data_format, keywords)


class Cropping3D(_Borders3D):
    """Volumes (N, D, H, W, C) without their outer cells.

    Args:
        cropping: int, (depth, height, width) or three pairs (before, after).
    """

    _argument, _op = "cropping", staticmethod(ops.crop)

    def __init__(
        self, cropping: Any = ((1, 1), (1, 1), (1, 1)), data_format: str | None = None, **keywords: Any
    ) -> None:
        super().__init__(cropping, data_format, keywords)
