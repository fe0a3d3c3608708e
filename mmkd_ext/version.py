"""Version of the package."""

from __future__ import annotations

__version__ = '0.1.0'

_STACK = (
    'torch',
    'mmengine',
    'mmcv',
    'mmdet',
    'mmsegmentation',
    'mmpretrain',
    'mmrazor',
    'numpy',
)


def stack_versions() -> dict[str, str]:
    """Returns the versions of Python and of what is installed of the stack."""
    import importlib.metadata
    import platform

    versions = {'python': platform.python_version()}
    for name in _STACK:
        try:
            versions[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return versions
