"""MMKD-Ext: knowledge distillation and continual adaptation for OpenMMLab.

Importing this package imports neither torch nor mmengine; parts are loaded when
they are used. Configs name them with the scope, ``type='mmkd_ext.CWDLoss'``, and
need no ``custom_imports``.
"""

from __future__ import annotations

from mmkd_ext.version import __version__

__all__ = ['__version__']
