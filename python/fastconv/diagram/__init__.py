"""Pictures that need nothing but Python: the graph of a model and lines over epochs, as SVG text.

They are what notebooks and the HTML report show. :meth:`model.plot <fastconv.models.Model.plot>` and
``fastconv.utils.plot_model`` write the graph to a file.
"""

from __future__ import annotations

from fastconv.diagram.boxes import Shown
from fastconv.diagram.graph_svg import graph_svg
from fastconv.diagram.lines_svg import history_svgs, lines_svg, numbers_of

__all__ = ["Shown", "graph_svg", "history_svgs", "lines_svg", "numbers_of"]
