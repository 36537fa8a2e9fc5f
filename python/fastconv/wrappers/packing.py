"""Models as plain data, so that estimators can be copied and sent to other processes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from fastconv import losses, optimizers, random
from fastconv.saving import Archive
from fastconv.saving.model_file import layer_config, model_from_config
from fastconv.saving.training_state import restore, snapshot

__all__ = ["Packed", "fresh_copy"]


@dataclass(frozen=True)
class Packed:
    """A compiled model: how it is built and trained, and what its training has changed (None before it is built)."""

    config: dict[str, Any]
    training: dict[str, Any]
    state: Archive | None

    @classmethod
    def of(cls, model: Any) -> Packed:
        """What a model is.

        Raises:
            ValueError, TypeError: for a loss, metric or optimizer of the caller's own.
        """
        training = {
            "optimizer": optimizers.serialize(model.optimizer),
            "loss": [None if loss is None else losses.serialize(loss) for loss in model._losses],
            "metrics": model._meters.plain.config(),
            "weighted_metrics": model._meters.weighted.config(),
            "loss_weights": list(model._loss_weights),
            "auto_scale_loss": False,  # the optimizer is what it was
        }
        return cls(layer_config(model), training, snapshot(model) if model.built else None)

    def model(self, fresh: bool = False) -> Any:
        """The model; ``fresh``: with new weights."""
        before = random.get_state()
        made = model_from_config(self.config)
        optimizer = optimizers.get(self.training["optimizer"])
        made.compile(**{**self.training, "optimizer": optimizer})
        if self.state is not None and not fresh:
            restore(made, self.state)
            random.set_state(before)  # a copy does not change what is drawn next
        return made


def fresh_copy(model: Any) -> Any:
    """A model built and compiled like another, with new weights."""
    return Packed.of(model).model(fresh=True)
