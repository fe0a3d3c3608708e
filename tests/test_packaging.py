"""The package as it is built: what travels in it, and whether it works elsewhere."""

from __future__ import annotations

import email
import importlib.util
import json
import os
import shutil
import statistics
import subprocess
import sys
import tarfile
import zipfile
from collections import Counter
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PARTS = ['mmkd_ext', 'configs', 'tools', 'requirements', 'setup.py', 'MANIFEST.in',
         'LICENSE', 'requirements.txt', 'Makefile', 'README.md', 'CHANGELOG.md',
         'CONTRIBUTING.md', 'pyproject.toml']


def run(*command, cwd, **variables):
    env = {**os.environ, 'OMP_NUM_THREADS': '1', **variables}
    done = subprocess.run([str(part) for part in command], cwd=cwd, env=env, text=True,
                          capture_output=True, check=False)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return done.stdout


@pytest.fixture(scope='module')
def checkout(tmp_path_factory):
    """A copy of what git holds, so that building leaves nothing in the real one."""
    target = tmp_path_factory.mktemp('checkout') / 'project'
    target.mkdir()
    skip = shutil.ignore_patterns('__pycache__', '.mim', '*.egg-info')
    for name in PARTS:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, target / name, ignore=skip)
        elif source.exists():
            shutil.copy2(source, target / name)
    (target / 'configs' / 'a_method').mkdir()
    (target / 'configs' / 'a_method' / 'README.md').write_text('# A method\n')
    (target / 'configs' / 'a_method' / 'x.py').write_text('marker = 7\n')
    (target / 'configs' / 'a_method' / 'streets-for-mim.py').write_text(
        "_base_ = '../adapt/mmseg/source/deeplabv3plus-r18-w16_streets.py'\n")
    return target


@pytest.fixture(scope='module')
def sdist(checkout):
    run(sys.executable, '-W', 'ignore', 'setup.py', '-q', 'sdist', cwd=checkout)
    (archive,) = (checkout / 'dist').glob('*.tar.gz')
    return archive


@pytest.fixture(scope='module')
def wheel(sdist, tmp_path_factory):
    """A wheel that was built from the sdist, so that both are complete."""
    folder = tmp_path_factory.mktemp('wheel')
    run(sys.executable, '-m', 'pip', 'wheel', '-q', '--no-deps', '--no-build-isolation',
        '--no-index', '-w', folder, sdist, cwd=folder)
    (built,) = folder.glob('mmkd_ext-*.whl')
    return built


@pytest.fixture(scope='module')
def site(wheel, tmp_path_factory):
    """An environment of its own: a folder that shadows whatever is installed."""
    folder = tmp_path_factory.mktemp('site')
    run(sys.executable, '-m', 'pip', 'install', '-q', '--no-deps', '--no-index',
        '--target', folder, wheel, cwd=folder)
    return folder


def shipped(folder):
    return {f'{folder}/{path.relative_to(ROOT / folder).as_posix()}'
            for path in (ROOT / folder).rglob('*')
            if path.is_file() and '__pycache__' not in path.parts}


# --- what is inside ----------------------------------------------------------------


def test_the_sdist_holds_all_that_a_build_needs(sdist):
    with tarfile.open(sdist) as archive:
        names = {name.partition('/')[2] for name in archive.getnames()}
    assert shipped('configs') | shipped('tools') | shipped('requirements') <= names
    assert {'setup.py', 'LICENSE', 'mmkd_ext/compat.py'} <= names
    assert not any('.mim' in name or '__pycache__' in name for name in names)


def test_the_wheel_carries_configs_tools_and_metafiles(wheel):
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
        index = archive.read('mmkd_ext/.mim/model-index.yml').decode()
        models = json.loads(archive.read('mmkd_ext/.mim/metafile.yml'))['Models']
    wanted = {f'mmkd_ext/.mim/{name}' for name in shipped('configs') | shipped('tools')}
    assert wanted <= names
    assert {path for path in shipped('mmkd_ext') if path.endswith('.j2')} <= names
    assert index == 'Import:\n  - metafile.yml\n'
    configs = {model['Config'] for model in models}
    assert 'configs/a_method/x.py' in configs
    assert {f'mmkd_ext/.mim/{path}' for path in configs} <= names


def test_the_wheel_holds_one_package_and_nothing_else(wheel):
    with zipfile.ZipFile(wheel) as archive:
        tops = {name.partition('/')[0] for name in archive.namelist()}
    assert {top for top in tops if not top.endswith('.dist-info')} == {'mmkd_ext'}


def test_installing_brings_no_torch_and_no_mm_package(wheel):
    with zipfile.ZipFile(wheel) as archive:
        (name,) = (n for n in archive.namelist() if n.endswith('.dist-info/METADATA'))
        needs = email.message_from_bytes(archive.read(name)).get_all('Requires-Dist')
    plain = [need for need in needs if 'extra ==' not in need]
    stack = [need for need in needs if 'extra == "stack"' in need]
    assert plain
    assert stack
    assert not any(need.startswith(('torch', 'mm', 'opencv')) for need in plain)
    assert not any(need.startswith(('torch', 'mmcv')) for need in stack)
    assert any(need.startswith('mmrazor==1.0.0') for need in stack)


def test_an_editable_build_links_instead_of_copying(checkout, tmp_path):
    run(sys.executable, '-W', 'ignore', '-c',
        'from setuptools.build_meta import build_editable\n'
        f'build_editable({str(tmp_path)!r})', cwd=checkout)
    mim = checkout / 'mmkd_ext' / '.mim'
    assert (mim / 'configs').is_symlink()
    assert (mim / 'configs').resolve() == checkout / 'configs'
    assert (mim / 'tools' / 'train.py').samefile(checkout / 'tools' / 'train.py')
    assert 'configs/a_method/x.py' in (mim / 'metafile.yml').read_text()
    assert not list((checkout / 'configs').rglob('metafile.yml'))
    (built,) = tmp_path.glob('*.whl')
    with zipfile.ZipFile(built) as archive:
        (path,) = (name for name in archive.namelist() if name.endswith('.pth'))
        assert Path(archive.read(path).decode().strip()).samefile(checkout)


def test_building_twice_over_an_editable_one_gives_copies(checkout, tmp_path):
    mim = tmp_path / 'mmkd_ext' / '.mim'
    mim.mkdir(parents=True)
    (mim / 'configs').symlink_to(checkout / 'configs')
    run(sys.executable, '-W', 'ignore', 'setup.py', '-q', 'build_py', '--build-lib',
        tmp_path, cwd=checkout)
    assert not (mim / 'configs').is_symlink()
    assert (mim / 'configs' / 'a_method' / 'x.py').exists()
    assert (checkout / 'configs' / 'a_method' / 'x.py').exists()


# --- from elsewhere ----------------------------------------------------------------


def test_config_paths_of_the_installed_package_resolve(site, tmp_path):
    (tmp_path / 'config.py').write_text("_base_ = 'mmkd_ext::a_method/x.py'\n")
    script = (
        'from mmkd_ext import compat; compat.apply()\n'
        'import mmkd_ext\n'
        'from mmengine.config import Config\n'
        'from mmengine.hub import get_config\n'
        'print(mmkd_ext.__file__)\n'
        'print(Config.fromfile("config.py").marker)\n'
        'print(get_config("mmkd_ext::a_method/x.py").marker)\n')
    lines = run(sys.executable, '-c', script, cwd=tmp_path,
                PYTHONPATH=str(site)).split()
    assert Path(lines[0]).is_relative_to(site)
    assert lines[1:] == ['7', '7']


def test_mim_can_tell_each_recipe_by_its_file_name():
    # mim searches the whole package for the name of a config, modules included
    names = Counter(path.name for path in (ROOT / 'mmkd_ext').rglob('*.py')
                    if '.mim' not in path.parts)
    for folder in ('configs', 'tools'):
        names.update(path.name for path in (ROOT / folder).rglob('*.py'))
    recipes = [path.name for folder in ('distill', 'adapt')
               for path in (ROOT / 'configs' / folder).rglob('*.py')]
    assert [name for name in recipes if names[name] > 1] == []


needs_mim = pytest.mark.skipif(
    importlib.util.find_spec('mim') is None,
    reason='openmim is not installed: `make setup` brings it')


@needs_mim
@pytest.mark.mmseg
@pytest.mark.slow
def test_mim_trains_a_shipped_config(site, small_streets, tmp_path):
    out = run(
        sys.executable, '-W', 'ignore', '-m', 'mim', 'train', 'mmkd_ext',
        'a_method/streets-for-mim.py', '--gpus', '0', '--work-dir', tmp_path / 'out',
        '--cfg-options', 'train_cfg.max_iters=2', 'train_cfg.val_interval=2',
        'train_dataloader.batch_size=2', 'default_hooks.checkpoint.interval=2',
        f'train_dataloader.dataset.data_root={small_streets}',
        f'val_dataloader.dataset.data_root={small_streets}',
        f'test_dataloader.dataset.data_root={small_streets}',
        cwd=tmp_path, PYTHONPATH=str(site))
    assert str(site / 'mmkd_ext' / '.mim' / 'tools' / 'train.py') in out
    assert 'Training finished successfully' in out
    assert (tmp_path / 'out' / 'iter_2.pth').exists()


# --- what importing costs ----------------------------------------------------------


def test_importing_the_package_is_light(tmp_path):
    script = (
        'import sys, time, torch\n'
        'start = time.perf_counter()\n'
        'import mmkd_ext\n'
        'spent = time.perf_counter() - start\n'
        'loaded = {name.partition(".")[0] for name in sys.modules}\n'
        'print(spent, *sorted(loaded & {"mmengine", "mmcv", "mmdet", "mmseg",'
        ' "mmrazor", "cv2", "matplotlib"}))')
    found = [run(sys.executable, '-c', script, cwd=ROOT).split() for _ in range(3)]
    assert all(len(words) == 1 for words in found), found
    assert statistics.median(float(words[0]) for words in found) < 0.3


@pytest.mark.parametrize(('modules', 'absent'), [
    ('mmkd_ext, mmkd_ext.errors, mmkd_ext.compat, mmkd_ext.doctor',
     ['torch', 'mmengine', 'mmcv', 'mmdet', 'mmseg', 'mmrazor', 'rich', 'numpy']),
    ('mmkd_ext.functional',
     ['mmengine', 'mmcv', 'mmdet', 'mmseg', 'mmrazor', 'cv2', 'rich']),
    ('mmkd_ext.functional, mmkd_ext.methods, mmkd_ext.connectors, '
     'mmkd_ext.testing.laws, mmkd_ext.testing.toy',
     ['mmcv', 'mmdet', 'mmseg', 'mmrazor'])])
def test_imports_without_what_it_does_not_need(modules, absent):
    script = (
        'import sys\n'
        f'sys.modules.update(dict.fromkeys({absent!r}))\n'
        f'import {modules}\n'
        'print("fine")')
    assert run(sys.executable, '-W', 'ignore', '-c', script, cwd=ROOT) == 'fine\n'
