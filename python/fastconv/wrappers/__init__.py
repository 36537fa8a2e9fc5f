"""Models as scikit-learn's estimators: Keras's names, and two that bring a network along. Needs the extra ``sklearn``."""

try:
    import sklearn as _sklearn  # noqa: F401  # whether it is there
except ImportError as error:
    raise ImportError(
        "[wrappers] estimators need scikit-learn: expected it to be installed. Run pip install 'fastconv[sklearn]'."
    ) from error

from fastconv.wrappers.estimators import SKLearnClassifier, SKLearnRegressor
from fastconv.wrappers.networks import FastconvClassifier, FastconvRegressor

__all__ = ["FastconvClassifier", "FastconvRegressor", "SKLearnClassifier", "SKLearnRegressor"]
