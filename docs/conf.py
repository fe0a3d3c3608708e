"""Settings of the docs; `make docs` builds them, warnings are errors."""

from __future__ import annotations

import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent), str(HERE), str(HERE.parent / 'benchmarks')]

from mmkd_ext import __version__, compat  # noqa: E402  (after the path is set)

compat.apply()

project = 'MMKD-Ext'
author = 'the authors of MMKD-Ext'
version = release = __version__

extensions = [
    'myst_parser',
    'sphinx.ext.autodoc',
    'sphinx.ext.mathjax',
    'sphinx-mathjax-offline',
    'sphinx.ext.napoleon',
    'sphinx_copybutton',
    'expand',
]
exclude_patterns = ['_build', 'examples']
root_doc = 'index'

myst_enable_extensions = ['dollarmath']
myst_heading_anchors = 3
suppress_warnings = ['myst.header']  # a README that is included starts below a title

default_role = 'code'  # docstrings write names in single backticks
add_module_names = False
autodoc_inherit_docstrings = False  # torch and mmengine document their own
autodoc_member_order = 'bysource'
autodoc_typehints = 'signature'
napoleon_google_docstring = True
napoleon_numpy_docstring = False
napoleon_use_ivar = True

html_theme = 'furo'
html_show_copyright = False
html_title = f'MMKD-Ext {__version__}'
copybutton_prompt_text = r'\$ |>>> |\.\.\. '
copybutton_prompt_is_regexp = True
