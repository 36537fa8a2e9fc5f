"""Callbacks: Keras's hooks, names and arguments."""

from fastconv.callbacks.backup import BackupAndRestore
from fastconv.callbacks.base import Callback, CallbackList, LambdaCallback
from fastconv.callbacks.csv_logger import CSVLogger
from fastconv.callbacks.early_stopping import EarlyStopping
from fastconv.callbacks.history import History
from fastconv.callbacks.learning_rate import LearningRateScheduler, ReduceLROnPlateau
from fastconv.callbacks.model_checkpoint import ModelCheckpoint
from fastconv.callbacks.monitor import MonitorCallback
from fastconv.callbacks.nan import TerminateOnNaN
from fastconv.callbacks.progress import ProgressCallback
from fastconv.callbacks.steps import Freeze, MaxSteps
from fastconv.callbacks.swap_ema import SwapEMAWeights
from fastconv.callbacks.tensorboard import TensorBoard

__all__ = [
    "BackupAndRestore",
    "CSVLogger",
    "Callback",
    "CallbackList",
    "EarlyStopping",
    "Freeze",
    "History",
    "LambdaCallback",
    "LearningRateScheduler",
    "MaxSteps",
    "ModelCheckpoint",
    "MonitorCallback",
    "ProgressCallback",
    "ReduceLROnPlateau",
    "SwapEMAWeights",
    "TensorBoard",
    "TerminateOnNaN",
]
