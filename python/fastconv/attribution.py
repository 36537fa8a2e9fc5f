"""Which pixels a classifier looks at: saliency and Grad-CAM, as arrays. :mod:`fastconv.plots` draws them."""

from __future__ import annotations

from typing import Any

import numpy as np

from fastconv import _arguments

__all__ = ["grad_cam", "saliency"]


def saliency(model: Any, x: Any, classes: Any = None) -> np.ndarray:
    """How much each pixel moves the score of a class: ``max_c |d score / d x[n,h,w,c]|``.

    Args:
        model: a classifier of images with one input (H, W, C) or (H, W), and outputs (N, classes) or (N, 1).
        x: images (N, H, W, C) or (N, H, W).
        classes: the class whose score is asked about, for each image or for all; the predicted one by default.

    Returns:
        (N, H, W), >= 0, in the model's dtype.

    Raises:
        ValueError: for another kind of model, shapes, or classes it does not have.

    Numerics:
        Scores are those before a last softmax or sigmoid: probabilities have next to no gradient where the model is sure.

    Source:
        Simonyan, Vedaldi, Zisserman 2014, arXiv:1312.6034, section 3.
    """
    _check_model("saliency", model)
    x = _images("saliency", x)
    dx = model.input_gradients(x, _one_hot("saliency", model, x, classes), logits=True)
    return np.abs(dx).max(axis=-1) if dx.ndim == 4 else np.abs(dx)


def grad_cam(model: Any, x: Any, classes: Any = None, layer: str | None = None) -> np.ndarray:
    """Where the features lie that speak for a class: ``relu(sum_k a[n,k] A[n,p,q,k])`` with ``a = mean_pq d score / d A``.

    Args:
        model: a classifier of images, see :func:`saliency`.
        x: images (N, H, W, C) or (N, H, W).
        classes: as in :func:`saliency`.
        layer: the name of the layer whose output A (N, P, Q, K) is asked; the last one with such an output by default.

    Returns:
        (N, P, Q), >= 0, in the model's dtype; P x Q is coarser than the image. It may be zero everywhere, most of all where a
        Flatten follows the layer: mean slopes say little of dense weights that differ from place to place.

    Raises:
        ValueError: for another kind of model, shapes, or layer.

    Source:
        Selvaraju et al. 2017, arXiv:1610.02391, equations 1 and 2.
    """
    _check_model("grad_cam", model)
    x = _images("grad_cam", x)
    outputs = {name: value for name, value in model.activations(x).items() if not isinstance(value, list)}
    maps = [name for name, value in outputs.items() if value.ndim == 4]
    if layer is None and maps:
        layer = maps[-1]
    if not isinstance(layer, str) or layer not in maps:
        raise ValueError(
            f"[grad_cam] layer must give feature maps (N, P, Q, K): expected one of {maps}, got layer={layer!r}. "
            "See summary()."
        )
    gradient = model.input_gradients(x, _one_hot("grad_cam", model, x, classes), layer=layer, logits=True)
    weights = gradient.mean(axis=(1, 2), keepdims=True)
    return np.maximum((weights * outputs[layer]).sum(axis=-1), 0)


def _check_model(where: str, model: Any) -> None:
    if not hasattr(model, "input_gradients"):
        raise TypeError(
            f"[{where}] model must be a model: expected one of fastconv.models, got {type(model).__name__}. Pass the classifier "
            "first, then the images."
        )


def _images(where: str, x: Any) -> np.ndarray:
    x = _arguments.array(where, "x", x)
    if x.ndim not in (3, 4) or not x.size:
        raise ValueError(
            f"[{where}] x must hold images: expected (N, H, W) or (N, H, W, C) with N >= 1, got x.shape={x.shape}. "
            "A single image needs x[None]."
        )
    return x


def _one_hot(where: str, model: Any, x: np.ndarray, classes: Any) -> np.ndarray:
    """1 at the class asked about in each row; with one output, which speaks for class 1, -1 for class 0."""
    scores = model.predict(x, verbose=0)
    if not isinstance(scores, np.ndarray) or scores.ndim != 2:
        raise ValueError(f"[{where}] the model must be a classifier: expected one output (N, classes), got others.")
    count = max(scores.shape[1], 2)
    if classes is None:
        classes = scores.argmax(-1) if scores.shape[1] > 1 else scores[:, 0] > 0.5
    wanted = _arguments.array(where, "classes", classes)
    if wanted.dtype.kind not in "iub" or wanted.shape not in ((), (len(x),)):
        raise ValueError(
            f"[{where}] classes must be class numbers: expected an int or {len(x)} ints, got shape {wanted.shape} of "
            f"{wanted.dtype}. Pass one per image."
        )
    wanted = np.broadcast_to(wanted.astype(np.int64), len(x))
    if wanted.min() < 0 or wanted.max() >= count:
        raise ValueError(
            f"[{where}] classes must be the model's: expected 0 <= class < {count}, got {wanted.tolist()}."
        )
    if scores.shape[1] == 1:
        return (2.0 * wanted - 1)[:, None].astype(scores.dtype)
    return np.eye(count, dtype=scores.dtype)[wanted]
