"""Packaging of mmkd_ext.

Settings of tools stand in pyproject.toml, versions in requirements/. What is special
here: configs and tools travel inside the package as ``mmkd_ext/.mim``, where
``mim train mmkd_ext ...`` and config paths such as ``mmkd_ext::distill/...`` look for
them. A built package holds copies; an editable one holds links. Beside them lies the
metafile that mim searches, written here from READMEs and config headers.
"""

from __future__ import annotations

import json
import os
import re
import runpy
import shutil
from pathlib import Path
from typing import Any

from setuptools import find_packages, setup
from setuptools.command.build_py import build_py

ROOT = Path(__file__).resolve().parent
SHIPPED = ('configs', 'tools')
NOT_IN_EXTRAS = ('torch', 'mmcv')  # the machine's own; mmcv needs its operators built


def read_version() -> str:
    """Returns the version without importing the package."""
    text = (ROOT / 'mmkd_ext' / 'version.py').read_text(encoding='utf-8')
    match = re.search(r"^__version__ = '([^']+)'", text, re.MULTILINE)
    if match is None:
        raise ValueError('mmkd_ext/version.py does not set `__version__`.')
    return match[1]


def read_requirements(name: str) -> list[str]:
    """Returns the requirements of one file, without comments."""
    text = (ROOT / 'requirements' / f'{name}.txt').read_text(encoding='utf-8')
    lines = (line.partition('#')[0].strip() for line in text.splitlines())
    return [line for line in lines if line]


def read_stack() -> list[str]:
    """Returns the stack less what pip must not bring: see `NOT_IN_EXTRAS`."""
    return [line for line in read_requirements('stack')
            if re.split(r'[=<>!~ ]', line)[0] not in NOT_IN_EXTRAS]


def read_catalog() -> dict[str, Any]:
    """Returns what mim reads about the configs, made from their headers."""
    path = ROOT / 'mmkd_ext' / '_catalog.py'  # not imported: it would need the package
    catalog = runpy.run_path(str(path))
    return dict(catalog['metafile'](ROOT / 'configs'))


class BuildWithMim(build_py):
    """Adds ``mmkd_ext/.mim`` to what is built."""

    def run(self) -> None:
        """Builds the package, then its ``.mim``."""
        super().run()
        in_place = bool(getattr(self, 'editable_mode', False))
        base = ROOT if in_place else Path(self.build_lib)
        target = base / 'mmkd_ext' / '.mim'
        target.mkdir(parents=True, exist_ok=True)
        for name in SHIPPED:
            replace(target / name, ROOT / name, link=in_place)
        # JSON, which is YAML too
        metafile = json.dumps(read_catalog(), indent=1)
        (target / 'metafile.yml').write_text(metafile, encoding='utf-8')
        index = 'Import:\n  - metafile.yml\n'
        (target / 'model-index.yml').write_text(index, encoding='utf-8')


def replace(target: Path, source: Path, *, link: bool) -> None:
    """Puts ``source`` at ``target``, as a link if asked for and possible."""
    if target.is_symlink() or target.is_file():
        target.unlink()
    elif target.exists():
        shutil.rmtree(target)
    if link:
        try:
            target.symlink_to(os.path.relpath(source, target.parent),
                              target_is_directory=True)
        except OSError:  # Windows without the right to make links
            pass
        else:
            return
    shutil.copytree(source, target,
                    ignore=shutil.ignore_patterns('__pycache__', '*.pyc'))


setup(
    name='mmkd_ext',
    version=read_version(),
    description='Knowledge distillation and continual adaptation for OpenMMLab',
    long_description=(ROOT / 'README.md').read_text(encoding='utf-8')
    if (ROOT / 'README.md').exists() else '',
    long_description_content_type='text/markdown',
    license='Apache-2.0',
    python_requires='>=3.9',
    packages=find_packages(include=['mmkd_ext', 'mmkd_ext.*']),
    package_dir={'': '.'},  # makes `pip install -e` a plain path, no import hook
    package_data={'mmkd_ext.evaluation': ['templates/*.j2']},
    include_package_data=False,
    zip_safe=False,
    entry_points={'console_scripts': ['mmkd = mmkd_ext.cli:main']},
    # Never torch or mmcv: a machine's own build must survive `pip install`. Never
    # mmengine: it would bring the opencv-python that needs libGL.
    install_requires=read_requirements('runtime'),
    extras_require={
        'cls': read_requirements('cls'),
        'stack': read_stack(),
        'docs': read_requirements('docs'),
        'onnx': read_requirements('onnx'),
        'pretrained': read_requirements('pretrained'),
        'tests': read_requirements('tests'),
    },
    cmdclass={'build_py': BuildWithMim},
)
