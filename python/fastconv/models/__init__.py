"""Models: Sequential and functional, with Keras's compile / fit / evaluate / predict."""

from fastconv.models.functional import Model
from fastconv.models.sequential import Sequential
from fastconv.saving.model_file import load_model, model_from_config

__all__ = ["Model", "Sequential", "load_model", "model_from_config"]
