"""Sphinx: the site from the pages here and the docstrings; `python -m sphinx -W docs build/docs`, without a network."""

from fastconv import __version__

project = "fastconv"
author = "the fastconv authors"
release = __version__
extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.napoleon",
    "sphinx.ext.viewcode",
]
exclude_patterns = ["api/_templates"]
html_theme = "furo"
html_title = "fastconv"
myst_enable_extensions = ["dollarmath", "colon_fence"]
autosummary_generate = True
autodoc_default_options = {"members": True, "show-inheritance": True}
autodoc_mock_imports = ["sklearn"]  # what the wrappers descend from
autodoc_typehints = "signature"
nitpicky = False
