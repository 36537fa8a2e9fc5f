"""A training that goes on where it was interrupted."""

from __future__ import annotations

import os
import shutil
from typing import Any

from fastconv import _arguments, random
from fastconv.callbacks.base import Callback, Logs, announce
from fastconv.errors import CheckpointError
from fastconv.models.fitting import ResumePoint

__all__ = ["BackupAndRestore"]


class BackupAndRestore(Callback):
    """Keep a backup of the training, and go on from it when ``fit`` is called again after a crash: same bits as without
    the interruption.

    The backup is one file that is replaced atomically: weights, the optimizer's state and learning rate, random numbers,
    epoch and batch. Build, compile and call ``fit`` as before; ``initial_epoch`` is then the backup's. Within an epoch
    (``save_freq`` an int) its remaining batches follow, and its logs are means over those. A callback that counts
    epochs, such as ``EarlyStopping``, begins anew, as in Keras; so does an iterable of batches that gives other batches each time.

    Args:
        backup_dir: folder of the backup, for this training alone; made if missing.
        save_freq: "epoch", or a number of batches.
        double_checkpoint: whether the last backup but one is kept too, for a file system that damages the last.
        delete_checkpoint: whether the backup is deleted when training ends as it should.

    Raises:
        CheckpointError: when training begins, for a backup of another model, or one that is damaged (and no other is kept).
        OSError: if the backup cannot be written.
    """

    def __init__(
        self,
        backup_dir: str | os.PathLike[str],
        save_freq: str | int = "epoch",
        double_checkpoint: bool = False,
        delete_checkpoint: bool = True,
    ):
        super().__init__()
        op = "BackupAndRestore"
        self.backup_dir = _arguments.path(op, "backup_dir", backup_dir)
        self.save_freq = save_freq
        self._every = None if save_freq == "epoch" else _arguments.integer(op, "save_freq", save_freq, least=1)
        self.async_safe = self._every is None  # then it looks at the model between epochs only
        self.double_checkpoint = _arguments.boolean(op, "double_checkpoint", double_checkpoint)
        self.delete_checkpoint = _arguments.boolean(op, "delete_checkpoint", delete_checkpoint)
        self._path = os.path.join(self.backup_dir, "latest.safetensors")
        self._previous = self._path + ".bkp"
        self._epoch = 0
        self._batches = 0
        self._epoch_random: tuple[int, int] | None = None

    def on_train_begin(self, logs: Logs = None) -> None:
        self._batches = 0
        self._epoch_random = None
        progress = self._restored()
        if progress is None:
            return
        epoch, batch = progress["at"]
        point = ResumePoint(epoch, batch, random.get_state())
        if point.batch:
            self._epoch_random = tuple(progress["epoch_random"])
            random.set_state(self._epoch_random)  # the samples of that epoch are drawn again
        self.model.resume_from = point

    def _restored(self) -> dict[str, Any] | None:
        from fastconv.saving import load_archive  # not at the top: saving imports models, which import this package
        from fastconv.saving.training_state import restore

        kept = [path for path in (self._path, self._previous) if os.path.exists(path)]
        if not kept:
            return None
        if not self.model.built:
            raise RuntimeError(
                "[BackupAndRestore] the model must have its weights: expected a built model, got no input shape. Add "
                "layers.Input."
            )
        try:
            archive = load_archive(kept[0])
        except CheckpointError:
            if len(kept) == 1:
                raise
            announce(f"{kept[0]} is damaged: going on from {kept[1]}")
            archive = load_archive(kept[1])
        restore(self.model, archive)
        return archive.progress

    def on_epoch_begin(self, epoch: int, logs: Logs = None) -> None:
        self._epoch = epoch
        resuming = self.model.resume_from
        if resuming is None or not resuming.batch:
            self._epoch_random = random.get_state()

    def on_train_batch_end(self, batch: int, logs: Logs = None) -> None:
        self._batches += 1
        if self._every is not None and self._batches % self._every == 0:
            self._save(self._epoch, batch + 1)

    def on_epoch_end(self, epoch: int, logs: Logs = None) -> None:
        if self._every is None:
            self._save(epoch + 1, 0)

    def _save(self, epoch: int, batch: int) -> None:
        from fastconv.saving import save_archive
        from fastconv.saving.training_state import snapshot

        os.makedirs(self.backup_dir, exist_ok=True)
        if self.double_checkpoint and os.path.exists(self._path):
            shutil.copyfile(self._path, self._previous)
        assert self._epoch_random is not None
        save_archive(self._path, snapshot(self.model, at=[epoch, batch], epoch_random=list(self._epoch_random)))

    def on_train_end(self, logs: Logs = None) -> None:
        if not self.delete_checkpoint:
            return
        for path in (self._path, self._previous):
            if os.path.exists(path):
                os.remove(path)
        if os.path.isdir(self.backup_dir) and not os.listdir(self.backup_dir):
            os.rmdir(self.backup_dir)  # what else is there was not put there by this callback
