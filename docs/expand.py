"""Sphinx extension: writes what follows from the code, the configs and the results.

``<!-- methods -->`` becomes the table of all methods, and each has a page in
docs/_generated, written when the docs are built: the files in mmkd_ext/methods with
their configs, and the methods of adaptation. ``<!-- modules: mmkd_ext.engine -->``
becomes the reference of every public module of a package, ``<!-- benchmarks -->`` the
tables of what lies in benchmarks/results, ``<!-- share: x.json -->`` that of one file.
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

from results import RESULTS, benchmarks_text, share_text, table

from mmkd_ext._catalog import Folder, read_folder, read_folders

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sphinx.application import Sphinx

ROOT = Path(__file__).resolve().parents[1]
TASKS = {'mmseg': 'segmentation', 'mmdet': 'detection'}
MODULES = re.compile(r'^<!-- modules: (\S+) -->$', re.MULTILINE)
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
        folders: Its configs by project, ``mmseg`` and ``mmdet``.
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
    rows = []
    for method in read_methods(root):
        folders = list(method.folders.values())
        counts = [_count(method.folders.get(project)) for project in TASKS]
        rows.append(
            [_page_link(method.title, method.name), _paper(folders),
             ' '.join(filter(None, method.losses.values())), *counts,
             _measured(folders)]
        )
    header = ['method', 'paper', 'what it computes', 'segmentation configs',
              'detection configs', 'measured here']
    adapted = [
        [_page_link(folder.title, name), _paper([folder]), _count(folder),
         _measured([folder])]
        for name, folder in adaptations(root).items()
    ]
    return '\n\n'.join(
        [
            table(header, rows, 'lllr'),
            '## Adaptation',
            table(['method', 'paper', 'configs', 'measured here'], adapted, 'llr'),
        ]
    )


def _page_link(title: str, name: str) -> str:
    return f'[{title}](/_generated/{name}.md)'


def _paper(folders: Sequence[Folder]) -> str:
    found = next((folder for folder in folders if folder.paper), None)
    return f'[{found.paper}]({found.url})' if found else ''


def _count(folder: Folder | None) -> str:
    return str(len(folder.recipes)) if folder else '0'


def _measured(folders: Sequence[Folder]) -> str:
    """Says how many configs were trained to the end, and how many exist."""
    states = [one.header.get('Status') for folder in folders for one in folder.recipes]
    return f'{states.count("measured")} of {len(states)}'


def method_page(method: Method, root: Path = ROOT) -> str:
    """Returns the page of a method."""
    parts = [f'# {method.title}', _automodule(f'{OWN_PAGE}.{method.name}')]
    for folder in method.folders.values():
        parts += _folder_text(folder, root)
        if folder.recipes:
            path = folder.recipes[-1].path
            parts.append(f'`{path.name}`, and its links:')
            parts.append(_source(path, root, ':start-at: _base_'))
            presets = re.findall(r'_base_/(links/[^\'"]+)', path.read_text('utf-8'))
            base = root / 'configs' / '_base_'
            parts += [_source(base / name, root) for name in presets]
    return '\n\n'.join(parts) + '\n'


def _source(path: Path, root: Path, option: str = '') -> str:
    """Returns the mark that shows a file."""
    shown = path.relative_to(root).as_posix()
    return f'```{{literalinclude}} ../../{shown}\n:language: python\n{option}\n```'


def _folder_text(folder: Folder, root: Path) -> list[str]:
    """Returns the README of a folder, one heading lower, and its table of configs."""
    readme = (folder.path / 'README.md').relative_to(root).as_posix()
    rows = [
        [f'`{one.path.name}`', one.header.get('Status', ''),
         one.header.get('Expected', '')]
        for one in folder.recipes
    ]
    about = f'```{{include}} ../../{readme}\n:heading-offset: 1\n```'
    if not rows:
        return [about]
    return [
        about,
        f'### Configs of {folder.title}',
        table(['config', 'status', 'expected'], rows, 'l'),
    ]


def pages(root: Path = ROOT) -> dict[str, str]:
    """Returns the pages of all methods by their names."""
    found = {method.name: method_page(method, root) for method in read_methods(root)}
    for name, folder in adaptations(root).items():
        parts = [f'# {folder.title}: adaptation', *_folder_text(folder, root)]
        found[name] = '\n\n'.join(parts) + '\n'
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
    parts = [_automodule(package, members=False)]
    path = importlib.import_module(package).__path__
    for module in pkgutil.walk_packages(path, f'{package}.'):
        name = module.name
        private = any(word.startswith('_') for word in name.split('.'))
        if private or package == OWN_PAGE:
            continue
        if not hasattr(importlib.import_module(name), '__all__'):
            continue  # a part of its package, which has the door
        parts.append(f'## `{name}`\n\n{_automodule(name, members=not module.ispkg)}')
    return '\n\n'.join(parts)


def _automodule(name: str, *, members: bool = True) -> str:
    option = '\n   :members:' if members else ''
    return f'```{{eval-rst}}\n.. automodule:: {name}{option}\n```'


def expand(app: Sphinx, docname: str, source: list[str]) -> None:
    """Replaces the marks of one page."""
    text = MODULES.sub(lambda found: modules_text(found[1]), source[0])
    if '<!-- methods -->' in text:
        app.env.note_reread()  # a new config changes it
        text = text.replace('<!-- methods -->', methods_text())
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
