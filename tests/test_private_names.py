"""Names with a leading underscore stay in the package that has them.

A private module or name may be imported inside the folder that holds it, and a private
attribute used in the file that defines it. What upstream offers by no other name is
listed below, each with its reason.
"""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FILES = [path for folder in ('mmkd_ext', 'tools')
         for path in sorted((ROOT / folder).rglob('*.py')) if '.mim' not in path.parts]

SHARED = ('what methods share is in modules with an underscore, since each other '
          'module of `methods` is a method; distillation needs these names too')
NO_DOOR = 'upstream offers no other way to'
IMPORTS = {
    'mmkd_ext.methods._adversary.discriminators_of': SHARED,
    'mmkd_ext.methods._base.Levels': SHARED, 'mmkd_ext.methods._base.PairLoss': SHARED,
    'mmkd_ext.methods._base.as_levels': SHARED,
    'mmkd_ext.methods._base.pair_levels': SHARED,
    'mmkd_ext.methods._boxes.boxes_of': SHARED,
    'mmkd_ext.methods._boxes.image_sizes': SHARED,
    'mmkd_ext.methods._identity.KnowsTeacher': SHARED,
    'mmkd_ext.methods._identity.fingerprint': SHARED,
    'mmkd_ext.methods._labels.class_indices': SHARED,
    'mmkd_ext.methods._labels.labelled': SHARED,
    'mmkd_ext.methods._labels.labels_at': SHARED,
    'mmkd_ext.methods._layers.CrossLayerLoss': SHARED,
    'torch.nn.modules.batchnorm._BatchNorm': f'{NO_DOOR} name all batch norms',
    'torch.nn.modules.instancenorm._InstanceNorm': f'{NO_DOOR} name all instance norms'}
ATTRIBUTES = {
    '_accumulative_counts': f'{NO_DOOR} read it from an OptimWrapper',
    '_apply': f'{NO_DOOR} move a module that is in no other one along with it',
    '_bbox_forward': f'{NO_DOOR} run a RoI head of mmdet on given boxes',
    '_cfg_dict': f'{NO_DOOR} get the ConfigDict of a Config',
    '_channel_conversion': f'{NO_DOOR} ask a preprocessor whether it swaps channels',
    '_decide_current_val_interval': f'{NO_DOOR} know when a validation is due',
    '_enable_normalize': f'{NO_DOOR} ask a preprocessor whether it normalises',
    '_foreach_norm': 'torch.nn.utils.get_total_norm needs torch 2.6, we need 2.1',
    '_getframe': 'documented by Python in spite of its name',
    '_initialized': f'{NO_DOOR} tell a recorder of mmrazor that it is prepared',
    '_inner_count': f'{NO_DOOR} read or set the step of accumulation',
    '_instance_dict': f'{NO_DOOR} remove a named instance from mmengine',
    '_metadata': 'where torch keeps the versions of modules in a state dict',
    '_randomness_cfg': f'{NO_DOOR} read `diff_rank_seed` from a Runner',
    '_reconstruct': 'the name that pickled arrays of numpy ask for',
    '_train_dataloader': f'{NO_DOOR} read the config of a loader from a Runner',
    '_version': f'{NO_DOOR} see that a tensor was changed in place'}
#: Functions that take the name of an attribute, and which argument it is.
BY_STRING = {'getattr': 1, 'hasattr': 1, 'setattr': 1, 'attrgetter': 0}
#: Documented attributes of named tuples.
PUBLIC = {'_asdict', '_fields', '_make', '_replace'}


def is_private(name):
    return name.startswith('_') and not name.endswith('__')


def private_imports(tree, module):
    """Yields private names that a module imports from another package.

    Args:
        tree: The syntax tree.
        module: Dotted name of the module, of a package its ``__init__``.
    """
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            names = [f'{node.module}.{alias.name}' for alias in node.names]
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        else:
            continue
        for name in names:
            parts = name.split('.')
            for i, part in enumerate(parts):
                owner = parts[:i]
                if is_private(part) and module.split('.')[:i] != owner:
                    yield name
                    break


def private_attributes(tree):
    """Yields private attributes of others that a module uses."""
    own = set(PUBLIC)
    for node in ast.walk(tree):
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            own.add(node.name)
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            own.add(node.id)
        elif (isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store)
              and is_own(node.value)):
            own.add(node.attr)
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and not is_own(node.value):
            name = node.attr
        elif isinstance(node, ast.Call):
            place = BY_STRING.get(ast.unparse(node.func).split('.')[-1])
            name = place is not None and literal(node.args[place:])
        else:
            continue
        if name and is_private(name) and name not in own:
            yield name


def literal(arguments):
    """Returns the first argument if it is a string that stands there."""
    first = arguments[0] if arguments else None
    return str(first.value) if isinstance(first, ast.Constant) else ''


def is_own(value):
    return ast.unparse(value) in ('self', 'super()')


def module_of(path):
    return '.'.join(path.relative_to(ROOT).with_suffix('').parts)


TREES = {module_of(path): ast.parse(path.read_text(encoding='utf-8')) for path in FILES}


def test_no_private_name_is_imported_from_another_package():
    wrong = [f'{module} imports {name}' for module, tree in TREES.items()
             for name in private_imports(tree, module) if name not in IMPORTS]
    assert not wrong, f'{wrong}: give it a public name.'


def test_no_private_attribute_of_others_is_used():
    wrong = [f'{module} uses {name}' for module, tree in TREES.items()
             if module != 'mmkd_ext.compat'  # which is there to patch others
             for name in private_attributes(tree) if name not in ATTRIBUTES]
    assert not wrong, f'{wrong}: give it a public name.'


def test_the_lists_have_no_dead_entries():
    imports = {name for module, tree in TREES.items()
               for name in private_imports(tree, module)}
    attributes = {name for tree in TREES.values() for name in private_attributes(tree)}
    assert set(IMPORTS) <= imports
    assert set(ATTRIBUTES) <= attributes


@pytest.mark.parametrize(('source', 'found'), [
    ('from a.b import _c', ['a.b._c']), ('from a._b import c', ['a._b.c']),
    ('import a.b._c', ['a.b._c']), ('from a import __version__', []),
    ('from mmkd_ext.methods._base import PairLoss', []),
    ('from mmkd_ext.methods.x._base import P', ['mmkd_ext.methods.x._base.P'])])
def test_sees_each_private_import(source, found):
    assert list(private_imports(ast.parse(source), 'mmkd_ext.methods.at')) == found


@pytest.mark.parametrize(('source', 'found'), [
    ('x._y', ['_y']), ('cls._y', ['_y']), ('self._y', []), ('super()._y', []),
    ('x.__dict__', []), ('x._replace(a=1)', []), ('getattr(x, name, None)', []),
    ('getattr(x, "_y", None)', ['_y']), ('operator.attrgetter("_y")', ['_y']),
    ('class A:\n    _y = 1\ncls._y', []),
    ('class A:\n    def _y(self): pass\nx._y()', []),
    ('class A:\n    def f(self):\n        self._y = 1\nx._y', [])])
def test_sees_each_private_attribute(source, found):
    assert list(private_attributes(ast.parse(source))) == found
