"""Imports point left only, along the layers of the design.

Every import counts, also one inside a function; those under ``TYPE_CHECKING`` do not,
for they do not happen.
"""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

# From left to right. A module may import from its own package, and from columns left
# of its own. `__init__` is the package itself.
COLUMNS = [
    ['__init__'],
    ['discovery', 'version', 'errors', 'compat', 'files', '_catalog'],
    ['registry', 'razor', 'checkpoint', 'functional'],
    ['random_state', 'package_configs'],
    ['methods', 'connectors', 'datasets', 'backbones'],
    ['distillers'],
    ['algorithms', 'adaptation'],
    ['config', 'testing'],
    ['engine', 'evaluation', 'visualization', 'doctor'],
    ['cli']]
RANK = {name: i for i, column in enumerate(COLUMNS) for name in column}

# What may import further than its column says, or less; each with the reason.
ALLOWED = {
    ('__init__', 'version'): 'so that `mmkd_ext.__version__` is there',
    ('__init__', 'discovery'): 'finds the names of the methods, without importing them',
    ('compat', 'errors'): 'its stand-in raises the error of what is not installed',
    ('connectors', 'methods'): 'labels, as losses read them, weigh teachers',
    ('adaptation', 'algorithms'): 'adapts with the teachers and preprocessing of there',
    ('engine', 'evaluation'): 'the loop of a stream counts and writes its results'}
FORBIDDEN = {
    ('testing', 'distillers'): 'plugin authors test losses without MMRazor',
    ('testing', 'algorithms'): 'plugin authors test losses without MMRazor',
    ('testing', 'datasets'): 'toys need no data',
    ('engine', 'testing'): 'what is shipped does not run on toys',
    ('evaluation', 'testing'): 'what is shipped does not run on toys',
    ('visualization', 'testing'): 'what is shipped does not run on toys'}

# What each layer may import from outside; a layer that is not named is free to.
STACK = {'torch', 'numpy', 'mmengine', 'mmcv', 'mmdet', 'mmseg', 'mmrazor'}
OUTSIDE = {
    'discovery': set(), 'version': set(), 'errors': set(), 'files': set(),
    '_catalog': set(), '__init__': set(), 'functional': {'torch'},
    'methods': {'torch', 'mmengine'}, 'connectors': {'torch', 'mmengine'},
    'registry': {'mmengine'}, 'testing': {'torch', 'mmengine'}}


def layer_of(module):
    return [*module.split('.'), '__init__'][1]


def imported(tree):
    """Yields the modules that a file imports, and names from `mmkd_ext` itself."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.If) and 'TYPE_CHECKING' in ast.unparse(node.test):
            for other in node.orelse:
                yield from imported(ast.Module([other], []))
            continue
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.name
        elif isinstance(node, ast.ImportFrom):
            if node.module == 'mmkd_ext':
                for alias in node.names:
                    yield f'mmkd_ext.{alias.name}'
            else:
                yield node.module or ''
        yield from imported(node)


def edges():
    """Yields file, its layer, and each module that it imports."""
    for path in sorted((ROOT / 'mmkd_ext').rglob('*.py')):
        parts = path.relative_to(ROOT).with_suffix('').parts
        if '.mim' in parts:
            continue
        tree = ast.parse(path.read_text(encoding='utf-8'))
        for module in imported(tree):
            yield '/'.join(parts), parts[1], module


EDGES = list(edges())
INSIDE = sorted({(layer, layer_of(module), name) for name, layer, module in EDGES
                 if module.split('.')[0] == 'mmkd_ext'})


def is_allowed(layer, other):
    if (layer, other) in FORBIDDEN:
        return False
    return (layer == other or (layer, other) in ALLOWED
            or RANK[other] < RANK[layer])


def test_every_module_has_a_place():
    layers = {name.split('/')[1] for name, *_ in EDGES}
    missing = layers - set(RANK)
    assert not missing, f'give {sorted(missing)} a place in `COLUMNS` and in design.md.'


@pytest.mark.parametrize('layer', RANK)
def test_imports_point_left(layer):
    wrong = [f'{name}.py imports mmkd_ext.{other}' for source, other, name in INSIDE
             if source == layer and not is_allowed(layer, other)]
    assert not wrong, f'{wrong}: not to the left of `{layer}` in {COLUMNS}.'


@pytest.mark.parametrize('layer', OUTSIDE)
def test_takes_from_the_stack_only_what_is_promised(layer):
    found = {(name, module.split('.')[0]) for name, source, module in EDGES
             if source == layer and module.split('.')[0] in STACK}
    wrong = {pair for pair in found if pair[1] not in OUTSIDE[layer]}
    assert not wrong, f'`{layer}` may import {sorted(OUTSIDE[layer])} of the stack.'


def test_nothing_imports_relatively_or_from_tools_tests_and_benchmarks():
    assert not [name for name, _, module in EDGES
                if module.split('.')[0] in ('', 'tools', 'tests', 'benchmarks',
                                            'experiment_kit')]


def test_rules_have_no_dead_entries():
    assert {name for pair in [*ALLOWED, *FORBIDDEN] for name in pair} <= set(RANK)


@pytest.mark.parametrize(('source', 'found'), [
    ('import torch, numpy.linalg', ['torch', 'numpy.linalg']),
    ('from mmkd_ext import compat, errors', ['mmkd_ext.compat', 'mmkd_ext.errors']),
    ('from mmkd_ext.methods.cwd import CWDLoss', ['mmkd_ext.methods.cwd']),
    ('def f():\n    import mmseg', ['mmseg']),
    ('class A:\n    try:\n        import mmdet\n    except ImportError:\n        pass',
     ['mmdet']),
    ('if TYPE_CHECKING:\n    import torch', []),
    ('if typing.TYPE_CHECKING:\n    import a\nelse:\n    import b', ['b']),
    ('from . import x', [''])])
def test_sees_every_import_that_happens(source, found):
    assert list(imported(ast.parse(source))) == found
