"""Figures and reports: metrics, tables, pictures, repeated experiments.

The registry of `mmkd_ext.registry` imports this package to find metrics, so mmseg's
are loaded here where mmseg is installed; the other modules do not need it.
"""

from importlib.util import find_spec

__all__: list[str] = []

if find_spec('mmseg') is not None:
    from mmkd_ext.evaluation.segmentation import ClassIoUMetric

    __all__ += ['ClassIoUMetric']
