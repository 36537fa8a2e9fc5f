"""Pictures of data, models and trainings, drawn by matplotlib (the ``plots`` extra).

Every function returns a ``matplotlib.figure.Figure`` and, given a path, writes it too; the path's ending chooses the format
(.png .svg .pdf). They use matplotlib's objects, never ``pyplot``: no global figure, no window, no back end to choose, so they
work on a server and in any thread. Colours are told apart by the colour-blind too.

=========================  ==================================================================
data                       :func:`image_grid`, :func:`heat_map`
a training                 :func:`learning_curve`, :func:`trajectory`
what a model gets right    :func:`confusion_matrix`, :func:`misclassified`
what a model has learned   :func:`filters`, :func:`feature_maps`, :func:`decision_boundary`
what a model looks at      :func:`saliency_map`, :func:`grad_cam`
formulas                   :func:`activation_functions`
=========================  ==================================================================

The graph of a model needs no matplotlib: :meth:`model.plot <fastconv.models.Model.plot>`.
"""

from __future__ import annotations

from fastconv.plots.boundary import decision_boundary
from fastconv.plots.confusion import confusion_matrix
from fastconv.plots.curves import learning_curve
from fastconv.plots.formulas import activation_functions
from fastconv.plots.heat import heat_map, text_image
from fastconv.plots.images import image_grid, misclassified
from fastconv.plots.inside import feature_maps, filters
from fastconv.plots.looked_at import grad_cam, saliency_map
from fastconv.plots.path import trajectory

__all__ = [
    "activation_functions",
    "confusion_matrix",
    "decision_boundary",
    "feature_maps",
    "filters",
    "grad_cam",
    "heat_map",
    "image_grid",
    "learning_curve",
    "misclassified",
    "saliency_map",
    "text_image",
    "trajectory",
]
