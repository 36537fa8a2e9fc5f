"""Memory on the host with a copy on a GPU; whichever side was written last has the truth.

The copy is made when a plan on a GPU first asks for it. Python code sees the host's side: asking for it brings the latest
contents back, and counts as a change, since what is done with the array then cannot be seen. Kernels that are to write the
copy may still be queued: asking waits for them.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from fastconv import _gpu

__all__ = ["Mirror"]


class Mirror:
    """One flat array with two places.

    Args:
        host: contiguous memory, kept for good.
    """

    def __init__(self, host: np.ndarray) -> None:
        self._host = host
        self._copies: dict[int, Any] = {}  # by device
        self._latest: tuple[int, Any] | None = None  # the device that was written last, on which stream; None: the host

    def host(self) -> np.ndarray:
        """The host's side, with the latest contents; copies on GPUs are out of date from now on."""
        if self._latest is not None:
            _gpu.load("[variable] its latest contents are on a GPU")
            device, stream = self._latest
            self._copies[device].get(stream=stream, out=self._host)
            stream.synchronize()  # CuPy before 13 does not wait in get
            self._latest = None
        return self._host

    def on(self, cupy: Any, device: int) -> Any:
        """The array on a GPU, at an address that stays the same. Current only after :meth:`upload`."""
        if device not in self._copies:
            where, way_out = "[variable] the model's weights and optimizer state", "Use a smaller model."
            self._copies[device] = _gpu.empty(cupy, where, self._host.shape, self._host.dtype, way_out)
        return self._copies[device]

    def upload(self, device: int, stream: Any) -> None:
        """Brings a GPU's copy up to date, in the stream's turn."""
        if self._latest is None or self._latest[0] != device:
            self._copies[device].set(self.host(), stream=stream)

    def written(self, device: int, stream: Any) -> None:
        """Says that kernels on a stream change, or may change, what the GPU holds."""
        self._latest = device, stream
