"""Keras's home of the schedules: ``from fastconv.optimizers.schedules import CosineDecay``."""

from fastconv.schedules import *  # noqa: F403  # the same names in a second place
from fastconv.schedules import __all__  # noqa: F401  # a re-export
