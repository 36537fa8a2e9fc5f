"""Keras's home of the schedules: ``from fastconv.optimizers.schedules import CosineDecay``."""

from fastconv.schedules import *  # noqa: F403
from fastconv.schedules import __all__  # noqa: F401
