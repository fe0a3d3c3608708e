"""What the folders of configs say about themselves: their READMEs and config headers.

`setup.py` writes the metafile that `mim` reads from it, and the docs their tables. A
folder of recipes has a README.md, whose first heading names it and whose first link is
the paper, and configs, whose docstrings are read here. Only the standard library is
needed, because `setup.py` has nothing else.
"""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

HEADER = ('Paper', 'Command', 'Expected', 'Status')
STATUSES = ('unrun', 'smoke', 'measured')
DATASETS = {
    'ade20k': 'ADE20K',
    'camvid': 'CamVid',
    'cifar10': 'CIFAR-10',
    'cifar100': 'CIFAR-100',
    'cityscapes': 'Cityscapes',
    'coco': 'COCO',
    'imagenet': 'ImageNet',
    'streets': 'toy streets',
    'voc12aug': 'Pascal VOC 2012 + Aug',
}


@dataclass(frozen=True)
class Recipe:
    """One config.

    Args:
        path: Its file.
        title: First line of its docstring.
        header: The fields of its docstring by name, see `HEADER`.
    """

    path: Path
    title: str
    header: dict[str, str]

    @property
    def dataset(self) -> str:
        """Data set of the recipe, which is the last part of its name."""
        word = self.path.stem.rpartition('_')[2].partition('-')[0]
        return DATASETS.get(word, word)


@dataclass(frozen=True)
class Folder:
    """The recipes of a method for one kind of model.

    Args:
        path: The folder.
        title: First heading of its README, up to a colon.
        paper: Title of the paper, '' where the README begins with no link.
        url: Where the paper is.
        recipes: The configs, in the order of their names.
    """

    path: Path
    title: str
    paper: str
    url: str
    recipes: list[Recipe]


def read_recipe(path: Path) -> Recipe:
    """Reads the docstring of a config: a title, then ``Paper: ...`` and so on."""
    doc = ast.get_docstring(ast.parse(path.read_text(encoding='utf-8'))) or ''
    header: dict[str, str] = {}
    current = ''
    for line in doc.splitlines()[1:]:
        key, colon, rest = line.partition(':')
        if colon and key in HEADER:
            current, header[key] = key, rest.strip()
        elif current and line.strip():
            header[current] += ' ' + line.strip()
    return Recipe(path, doc.partition('\n')[0], header)


def read_folder(path: Path) -> Folder:
    """Reads a folder of recipes."""
    text = (path / 'README.md').read_text(encoding='utf-8')
    title = re.search(r'^# (.+)$', text, re.MULTILINE)
    link = re.match(r'\s*# .+\n+\[([^\]]+)\]\((\S+)\)', text)
    paper, url = link.groups() if link else ('', '')
    recipes = [read_recipe(file) for file in sorted(path.glob('*.py'))]
    name = title[1].partition(':')[0] if title else path.name
    return Folder(path, name, ' '.join(paper.split()), url, recipes)


def read_folders(configs: Path) -> list[Folder]:
    """Reads all folders of recipes below ``configs``, in the order of their paths."""
    return [
        read_folder(readme.parent)
        for readme in sorted(configs.rglob('README.md'))
        if any(readme.parent.glob('*.py'))
    ]


def metafile(configs: Path) -> dict[str, Any]:
    """Returns what `mim` and `mmengine.hub` read about all recipes.

    Paths in it are relative to the folder that holds ``configs``.
    """
    collections, models = [], []
    for folder in read_folders(configs):
        where = folder.path.relative_to(configs.parent).as_posix()
        collection: dict[str, Any] = dict(
            Name=folder.title,
            Metadata={'Training Data': sorted({r.dataset for r in folder.recipes})},
            README=f'{where}/README.md',
        )
        if folder.paper:
            collection['Paper'] = dict(Title=folder.paper, URL=folder.url)
        collections.append(collection)
        models += [
            {
                'Name': recipe.path.stem,
                'In Collection': folder.title,
                'Metadata': {
                    'Training Data': recipe.dataset,
                    'Title': recipe.title,
                    **{k: v for k, v in recipe.header.items() if k != 'Paper'},
                },
                'Config': f'{where}/{recipe.path.name}',
            }
            for recipe in folder.recipes
        ]
    return dict(Collections=collections, Models=models)
