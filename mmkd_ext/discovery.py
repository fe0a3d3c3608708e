"""Finds the public names of a package in its modules, so that no list repeats them."""

from __future__ import annotations

import ast
import importlib
import pkgutil
from pathlib import Path
from typing import Any

__all__ = ['import_public', 'public_names']


def import_public(package: dict[str, Any]) -> list[str]:
    """Imports a package's modules, and puts the names of their ``__all__`` into it.

    Modules that begin with an underscore are left out.

    Args:
        package: Globals of the package.

    Returns:
        The names, sorted.
    """
    names: list[str] = []
    for info in pkgutil.iter_modules(package['__path__']):
        if not info.name.startswith('_'):
            module = importlib.import_module(f'{package["__name__"]}.{info.name}')
            package.update({name: getattr(module, name) for name in module.__all__})
            names += module.__all__
    return sorted(names)


def public_names(folder: Path) -> list[str]:
    """Reads the names that `import_public` finds, without importing anything.

    Args:
        folder: Where the package's modules are; each has a literal ``__all__``.

    Examples:
        >>> 'import_public' in public_names(Path(__file__).parent)
        True
    """
    names: list[str] = []
    for path in sorted(folder.glob('[!_]*.py')):
        for node in ast.parse(path.read_text(encoding='utf-8')).body:
            if (
                isinstance(node, ast.Assign)
                and ast.unparse(node.targets[0]) == '__all__'
            ):
                names += ast.literal_eval(node.value)
    return sorted(names)
