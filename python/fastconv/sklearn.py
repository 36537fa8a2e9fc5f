"""Estimators for scikit-learn, by the names one looks for: see :mod:`fastconv.wrappers`."""

from fastconv.wrappers import FastconvClassifier, FastconvRegressor

__all__ = ["FastconvClassifier", "FastconvRegressor"]
