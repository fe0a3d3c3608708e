"""Sphinx extension: writes what follows from the code, the configs and the results.

``<!-- methods -->`` becomes the table of all methods, and each has a page in
docs/_generated, written when the docs are built: the files in mmkd_ext/methods with
their configs, and the methods of adaptation. ``<!-- modules: mmkd_ext.engine -->``
becomes the reference of every public module of a package, ``<!-- benchmarks -->`` the
tables of what lies in benchmarks/results, ``<!-- result: x.json -->`` those of one,
``<!-- means: x.json y.json -->`` the means of grids side by side and
``<!-- share: x.json -->`` rows by folder.
So no page lists methods or modules, and no figure is typed by hand.
"""

from __future__ import annotations

import ast
import importlib
import pkgutil
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from results import (
    RESULTS,
    benchmarks_text,
    means_text,
    result_text,
    share_text,
    template,
)

from mmkd_ext._catalog import Folder, read_folder, read_folders

if TYPE_CHECKING:
    from sphinx.application import Sphinx

ROOT = Path(__file__).resolve().parents[1]
TASKS = {
    'mmseg': 'segmentation',
    'mmdet': 'detection',
    'mmpretrain': 'classification',
}
MODULES = re.compile(r'^<!-- modules: (\S+) -->$', re.MULTILINE)
RESULT = re.compile(r'^<!-- result: (\S+) -->$', re.MULTILINE)
MEANS = re.compile(r'^<!-- means: (.+) -->$', re.MULTILINE)
SHARE = re.compile(r'^<!-- share: (\S+) -->$', re.MULTILINE)
INNER = ('compute', 'compute_losses', 'extra_repr', 'forward', 'init_weights', 'train')
OWN_PAGE = 'mmkd_ext.methods'  # each of its modules has a page in docs/_generated


# ---- methods ----------------------------------------------------------------------


@dataclass
class Method:
    """One file of mmkd_ext/methods and its configs.

    Args:
        name: Its file's name.
        title: What its docstring calls it, as ``CWD``.
        losses: For each registered class, the first line of its docstring.
        folders: Its configs by project, see `TASKS`.
    """

    name: str
    title: str
    losses: dict[str, str] = field(default_factory=dict)
    folders: dict[str, Folder] = field(default_factory=dict)


def read_methods(root: Path = ROOT) -> list[Method]:
    """Reads all methods, in the order of their names."""
    return [
        _read_method(path, root)
        for path in sorted((root / 'mmkd_ext' / 'methods').glob('[!_]*.py'))
    ]


def _read_method(path: Path, root: Path) -> Method:
    tree = ast.parse(path.read_text(encoding='utf-8'))
    title = (ast.get_docstring(tree) or path.stem).partition(':')[0]
    method = Method(path.stem, title)
    for node in tree.body:
        if isinstance(node, ast.ClassDef) and any(
            'register_module' in ast.unparse(one) for one in node.decorator_list
        ):
            doc = ast.get_docstring(node) or ''
            method.losses[node.name] = doc.partition('\n')[0].replace('``', '`')
    for project in TASKS:
        folder = root / 'configs' / 'distill' / project / path.stem
        if (folder / 'README.md').is_file():
            method.folders[project] = read_folder(folder)
    return method


def adaptations(root: Path = ROOT) -> dict[str, Folder]:
    """Returns the folders of the methods of adaptation, by the name of their page."""
    folders = read_folders(root / 'configs' / 'adapt')
    return {f'adapt-{folder.path.name}': folder for folder in folders}


def methods_text(root: Path = ROOT) -> str:
    """Returns the tables of all methods."""
    page = template('pages.md.j2')
    return str(page.methods(read_methods(root), adaptations(root), TASKS)).strip()


def pages(root: Path = ROOT) -> dict[str, str]:
    """Returns the pages of all methods by their names."""
    page = template('pages.md.j2')
    found = {
        method.name: page.method(method, _links(method, root), root)
        for method in read_methods(root)
    }
    for name, folder in adaptations(root).items():
        found[name] = page.adaptation(folder, root)
    return {name: f'{text}'.strip() + '\n' for name, text in found.items()}


def _links(method: Method, root: Path) -> dict[str, list[Path]]:
    """Returns the presets that the last config of each folder is made of."""
    found = {}
    for project, folder in method.folders.items():
        text = folder.recipes[-1].path.read_text('utf-8') if folder.recipes else ''
        presets = re.findall(r'_base_/(links/[^\'"]+)', text)
        found[project] = [root / 'configs' / '_base_' / name for name in presets]
    return found


def write_pages(app: Sphinx) -> None:
    """Writes the pages of all methods; removes those of methods that are gone."""
    target = Path(app.srcdir) / '_generated'
    target.mkdir(exist_ok=True)
    wanted = pages()
    for path in target.glob('*.md'):
        if path.stem not in wanted:
            path.unlink()
    for name, text in wanted.items():
        path = target / f'{name}.md'
        # one that is the same keeps its time, and is not read again
        if not path.is_file() or path.read_text(encoding='utf-8') != text:
            path.write_text(text, encoding='utf-8')


# ---- modules ----------------------------------------------------------------------


def modules_text(package: str) -> str:
    """Returns the reference of a package and of all its public modules."""
    path, found = importlib.import_module(package).__path__, []
    for module in pkgutil.walk_packages(path, f'{package}.'):
        private = any(word.startswith('_') for word in module.name.split('.'))
        # without `__all__` it is a part of its package, which has the door
        if (
            not private
            and package != OWN_PAGE
            and hasattr(importlib.import_module(module.name), '__all__')
        ):
            found.append(module)
    return str(template('pages.md.j2').modules(package, found)).strip()


def expand(app: Sphinx, docname: str, source: list[str]) -> None:
    """Replaces the marks of one page."""
    text = MODULES.sub(lambda found: modules_text(found[1]), source[0])
    if '<!-- methods -->' in text:
        app.env.note_reread()  # a new config changes it
        text = text.replace('<!-- methods -->', methods_text())
    text = RESULT.sub(lambda found: result_text(RESULTS / found[1], brief=True), text)
    text = MEANS.sub(
        lambda found: means_text([RESULTS / name for name in found[1].split()]), text
    )
    text = SHARE.sub(lambda found: share_text(RESULTS / found[1]), text)
    if '<!-- benchmarks -->' in text:
        for path in RESULTS.glob('*.json'):
            app.env.note_dependency(str(path))
        text = text.replace('<!-- benchmarks -->', benchmarks_text())
    source[0] = text


def skip(
    app: Sphinx, what: str, name: str, obj: Any, skipped: bool, options: Any
) -> bool | None:
    """Leaves out what a reader does not call: fields of tuples, inner methods."""
    field = type(obj).__name__ == '_tuplegetter'
    return True if field or (what == 'class' and name in INNER) else None


def setup(app: Sphinx) -> dict[str, bool]:
    """Registers the extension."""
    app.connect('builder-inited', write_pages)
    app.connect('source-read', expand)
    app.connect('autodoc-skip-member', skip)
    return {'parallel_read_safe': True}
