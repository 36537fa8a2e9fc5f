"""A training that goes on where it was interrupted."""

from __future__ import annotations

import os
from typing import Any

from fastconv import _arguments, random
from fastconv.callbacks.base import Callback, Logs, announce
from fastconv.errors import CheckpointError
from fastconv.models.position import ResumePoint

__all__ = ["BackupAndRestore"]


class BackupAndRestore(Callback):
    """Keep a backup of the training, and go on from it when ``fit`` is called again after a crash: same bits as without
    the interruption.

    The backup is one file that is replaced atomically, with a checksum: weights, the optimizer's state and learning rate, random
    numbers, epoch and batch, the sums behind the logs, the history, what callbacks such as ``EarlyStopping`` remember
    (:meth:`Callback.get_state`), and the place in a ``Dataset``. Build, compile and call ``fit`` as before, on any number of
    threads: ``initial_epoch`` is then the backup's, and the history is that of the whole training. (Keras's begins anew, as do
    its callbacks.)

    Of other iterables, batches that were taken from a pass which was not over are asked for again and passed over: an endless
    generator goes on where it was if it gives the same batches each time. One with ``get_state()`` and ``set_state(state)``
    says itself where it is.

    The hooks are called after those of all other callbacks. While ``fit`` runs, a lock in the folder keeps others out.

    Args:
        backup_dir: folder of the backup, for this training alone; made if missing.
        save_freq: "epoch", or a number of batches.
        double_checkpoint: whether the last backup but one is kept too, for a file system that damages the last.
        delete_checkpoint: whether the backup is deleted when training ends as it should.

    Raises:
        CheckpointError: when training begins, for a backup of another model, or one that is damaged (and no other is kept).
        RuntimeError: if another training uses the folder. OSError: if the backup cannot be written; the last one is intact.
    """

    runs_last = True  # what the others have done is in it

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
        self._every = (
            None
            if isinstance(save_freq, str) and save_freq == "epoch"
            else _arguments.integer(op, "save_freq", save_freq, least=1)
        )
        self.async_safe = self._every is None  # then it looks at the model between epochs only
        self.double_checkpoint = _arguments.boolean(op, "double_checkpoint", double_checkpoint)
        self.delete_checkpoint = _arguments.boolean(op, "delete_checkpoint", delete_checkpoint)
        self._path = os.path.join(self.backup_dir, "latest.safetensors")
        self._previous = self._path + ".bkp"
        self._epoch = 0
        self._batches = 0
        self._epoch_random: tuple[int, int] | None = None
        self._lock: Any = None

    def on_train_begin(self, logs: Logs = None) -> None:
        from fastconv.saving.lock import FolderLock  # not at the top: saving imports models, which import this package

        os.makedirs(self.backup_dir, exist_ok=True)
        self._lock = FolderLock(self.backup_dir)
        self._batches = 0
        self._epoch_random = None
        archive = self._archive()
        if archive is not None:
            self._go_on(archive)

    def _go_on(self, archive: Any) -> None:
        from fastconv.saving.training_state import going_on, restore

        _checked(archive.progress or {}, self._path)
        restore(self.model, archive)
        with going_on(archive) as progress:
            epoch, batch = progress["at"]
            position = progress["position"]
            self.model.position.set_state(position)
            if position["stopped"] and not batch:
                epoch = max(epoch, self.params["epochs"])  # nothing is left to do
            point = ResumePoint(epoch, batch, random.get_state(), position["meters"])
            if point.batch:
                self._epoch_random = tuple(progress["epoch_random"])
                random.set_state(self._epoch_random)  # the samples of that epoch are drawn again
        self.model.resume_from = point

    def _archive(self) -> Any:
        from fastconv.saving import load_archive

        kept = [path for path in (self._path, self._previous) if os.path.exists(path)]
        if not kept:
            return None
        if not self.model.built:
            raise RuntimeError(
                "[BackupAndRestore] the model must have its weights: expected a built model, got no input shape. Add "
                "layers.Input."
            )
        try:
            return load_archive(kept[0])
        except CheckpointError:
            if len(kept) == 1:
                raise
            archive = load_archive(kept[1])
            announce(f"{kept[0]} is damaged: going on from {kept[1]}")
            os.remove(kept[0])  # or it would take the other's place
            return archive

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

        if self.double_checkpoint and os.path.exists(self._path):
            os.replace(self._path, self._previous)
        assert self._epoch_random is not None
        position = self.model.position.get_state(within_epoch=batch > 0)
        at = {"at": [epoch, batch], "epoch_random": list(self._epoch_random), "position": position}
        save_archive(self._path, snapshot(self.model, **at))

    def on_train_end(self, logs: Logs = None) -> None:
        if self.delete_checkpoint:
            for path in (self._path, self._previous):
                if os.path.exists(path):
                    os.remove(path)

    def release(self) -> None:
        if self._lock is not None:
            self._lock.release()
            self._lock = None
        if os.path.isdir(self.backup_dir) and not os.listdir(self.backup_dir):
            os.rmdir(self.backup_dir)  # what else is there was not put there by this callback


def _checked(progress: dict[str, Any], path: str) -> None:
    """CheckpointError unless the place in the training is what ``_save`` wrote."""
    for name, holds in (("at", "epoch and batch"), ("epoch_random", "a state of the random numbers")):
        pair = progress.get(name)
        if not (isinstance(pair, list) and len(pair) == 2 and all(type(n) is int and n >= 0 for n in pair)):
            raise CheckpointError(
                f"[BackupAndRestore] a backup must say where the training was: expected {name}=[int, int], {holds}, got "
                f"{str(pair)[:80]} (path={path!r}). Delete the backup."
            )
