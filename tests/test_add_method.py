"""Adding a method touches few files, and no central list; AT is the proof."""

from __future__ import annotations

import ast
import types
from pathlib import Path

import pytest

import mmkd_ext
from mmkd_ext import discovery, functional, methods

ROOT = Path(__file__).parents[1]
FILES = ['mmkd_ext/methods/at.py', 'tests/methods/test_at.py',
         'configs/distill/mmseg/at/README.md']
CONFIG = ('configs/distill/mmseg/at/at-feat_pspnet-r101_pspnet-r18_4xb2-40k_'
          'cityscapes-512x512.py')


def test_a_method_is_at_most_five_files_and_250_lines_with_its_test_and_readme():
    files = [*FILES, CONFIG, 'CHANGELOG.md']
    assert len(files) <= 5
    lines = sum(len((ROOT / file).read_text().splitlines()) for file in FILES)
    changelog = 1
    assert lines + changelog <= 250
    assert len((ROOT / CONFIG).read_text().splitlines()) <= 40


def test_nothing_else_in_the_package_names_the_method():
    places = [*(ROOT / 'mmkd_ext').rglob('*.py'), ROOT / 'docs/cells.py',
              ROOT / 'docs/expand.py', ROOT / 'setup.py',
              *(ROOT / 'tests/laws').glob('*.py')]
    naming = {path.relative_to(ROOT).as_posix() for path in places
              if '.mim' not in path.parts and 'ATLoss' in path.read_text()}
    assert naming == {'mmkd_ext/methods/at.py'}


def test_names_of_a_new_file_are_found_with_and_without_importing_it(
        tmp_path, monkeypatch):
    package = tmp_path / 'found_methods'
    package.mkdir()
    (package / '__init__.py').write_text('')
    (package / 'x.py').write_text("__all__ = ['XLoss', 'x_distance']\n"
                                  'class XLoss: ...\ndef x_distance(): ...\n')
    (package / '_private.py').write_text('raise RuntimeError')
    monkeypatch.syspath_prepend(str(tmp_path))
    import found_methods

    assert discovery.public_names(package) == ['XLoss', 'x_distance']
    assert discovery.import_public(vars(found_methods)) == ['XLoss', 'x_distance']
    assert found_methods.XLoss.__name__ == 'XLoss'


def test_the_package_gives_every_name_of_the_methods():
    assert set(discovery.public_names(ROOT / 'mmkd_ext/methods')) < set(methods.__all__)
    assert mmkd_ext.MGDConnector is methods.MGDConnector
    assert {'ATLoss', 'SKDSHolisticLoss', 'PairLoss'} < set(mmkd_ext.__all__)


# Functions without a slow twin of their own; each is a part of one that has it.
PARTS = {'box_iof': 'of `valuable_region(published_diou=True)`',
         'focal_maps': 'of `FGDLoss`',
         'softmax_divergence': 'of `class_divergence` and `channel_divergence`',
         'unit_vectors': 'of `class_similarity` and `unit_distance`'}


def test_every_function_of_a_method_has_a_slow_twin():
    tests = [*(ROOT / 'tests/functional').glob('*.py'),
             *(ROOT / 'tests/methods').glob('*.py')]
    twins = {node.name for file in tests for node in ast.parse(file.read_text()).body
             if isinstance(node, ast.FunctionDef)}
    wanted = {name for package in (functional, methods) for name in package.__all__
              if isinstance(getattr(package, name), types.FunctionType)}
    missing = {name for name in wanted - set(PARTS) if f'slow_{name}' not in twins}
    assert not missing, (f'write slow_<name> of {missing} in plain loops from the '
                         'equation, in the test of the method, and compare both.')
    assert set(PARTS) <= wanted


@pytest.mark.parametrize(('name', 'method'), [
    ('pearson', 'dist'), ('valuable_region', 'ld'), ('random_mask', 'mgd')])
def test_old_places_of_functions_still_work_and_name_the_new_one(name, method):
    with pytest.warns(DeprecationWarning, match=rf'methods\.{method}\.{name}'):
        assert getattr(functional, name) is getattr(methods, name)


def test_a_misspelt_function_is_an_attribute_error():
    with pytest.raises(AttributeError, match='pearsn'):
        _ = functional.pearsn
