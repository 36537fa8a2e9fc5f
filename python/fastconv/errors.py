"""Exceptions that fastconv raises beside the built-in ones.

Numbers and shapes that break a rule are ``ValueError``, wrong kinds and dtypes ``TypeError``, sizes that cannot be
held ``MemoryError``, files the system refuses ``OSError``, calls in the wrong order ``RuntimeError``. Every message
follows one template: ``[op] rule in words: expected relation, got name=value. How to fix.``
"""

from __future__ import annotations

__all__ = ["CheckpointError", "DatasetError", "DeviceError", "NonFiniteLossError"]


class CheckpointError(ValueError):
    """A model or checkpoint file is not what it claims to be: malformed, truncated, altered or too new."""


class DatasetError(ValueError):
    """A data-set file is missing, malformed, or differs from its published checksum."""


class DeviceError(RuntimeError):
    """A device, its driver, or the module that serves it is missing or failed."""


class NonFiniteLossError(FloatingPointError):
    """The training loss became NaN or infinite; names the epoch and the batch (both counted from 1)."""
