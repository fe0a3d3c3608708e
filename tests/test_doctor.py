"""The doctor names what is missing or broken, with the command that fixes it."""

from __future__ import annotations

import importlib
import importlib.metadata
import subprocess
import sys
from pathlib import Path

import pytest

from mmkd_ext import doctor

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture
def versions(monkeypatch):
    """Versions to be found instead of the real ones; '' is not installed."""
    told, real = {}, importlib.metadata.version

    def version(name):
        if told.get(name) == '':
            raise importlib.metadata.PackageNotFoundError(name)
        return told.get(name) or real(name)

    monkeypatch.setattr(importlib.metadata, 'version', version)
    return told


@pytest.fixture
def import_fails(monkeypatch):
    """Makes every import fail with a given text."""

    def fail(text):
        def import_module(name):
            raise ImportError(text)

        monkeypatch.setattr(importlib, 'import_module', import_module)

    return fail


def row_of(check, part):
    return next(row for row in check if row.part == part)


def failed(check, part):
    row = row_of(check, part)
    assert row.verdict == doctor.FAIL
    return row


def run(*arguments):
    return subprocess.run([sys.executable, *arguments], cwd=ROOT, text=True,
                          capture_output=True, check=False)


def test_needed_versions_are_those_of_the_pinned_stack():
    text = (ROOT / 'requirements' / 'stack.txt').read_text()
    lines = (line.partition('#')[0].strip() for line in text.splitlines())
    pins = dict(line.split('==') for line in lines if '==' in line)
    assert {name: needed[2] for name, needed in doctor.NEEDED.items()} == pins


@pytest.mark.parametrize('script', [['-m', 'mmkd_ext.doctor'], ['tools/doctor.py']])
def test_starts_where_only_the_standard_library_is(script):
    # -S leaves site-packages out, so neither rich nor torch nor anything is there
    done = run('-S', *script)
    assert (done.returncode, done.stderr) == (1, '')
    for part in ('torch', 'mmengine', 'mmcv.ops', 'joblib', 'ordered-set'):
        assert f'FAIL  {part}' in done.stdout
    assert 'pip install torch==2.13.0' in done.stdout
    assert 'tools/bootstrap.py --into-current --force' in done.stdout


@pytest.mark.mmdet
@pytest.mark.mmseg
def test_finds_nothing_wrong_here():
    done = run('tools/doctor.py')
    assert done.returncode == 0, done.stdout
    assert 'ran nms on CPU' in done.stdout
    assert 'mmrazor' in done.stdout


@pytest.mark.parametrize(('package', 'version', 'fix'), [
    ('mmdet', '', '-m pip install --no-deps mmdet==3.3.0'),
    ('mmcv', '2.3.1', 'bootstrap.py --into-current --force'),
    ('mmcv', '1.7.2', 'bootstrap.py --into-current --force'),
    ('torch', '2.0.1', '-m pip install torch==2.13.0'),
    ('torch', '2.1.0+cu121', None),
    ('torch', '2.13.0+cpu', None)])
def test_a_version_that_is_missing_or_does_not_work_fails(
        versions, package, version, fix):
    versions[package] = version
    row = row_of(doctor.check_package(package), package)
    assert row.verdict == (doctor.FAIL if fix else doctor.OK)
    assert row.fix.endswith(fix or '')


def test_mmpretrain_may_be_absent_but_not_broken(versions, monkeypatch):
    versions['mmpretrain'] = ''
    row = doctor.check_mmpretrain()
    assert (row.verdict, row.found) == ('info', 'not installed')
    versions['mmpretrain'] = '1.2.0'
    monkeypatch.setattr(doctor, '_try_import', lambda *modules: 'it fails')
    row = doctor.check_mmpretrain()
    assert row.verdict == 'FAIL'
    assert row.fix.endswith("-m pip install 'mmkd_ext[cls]'")


def test_without_a_checkout_mmcv_is_fixed_with_pip(versions, monkeypatch, tmp_path):
    monkeypatch.setattr(doctor, 'BOOTSTRAP', tmp_path / 'none')
    versions['mmcv'] = ''
    fix = failed(doctor.check_mmcv(), 'mmcv').fix
    assert fix.startswith('MMCV_WITH_OPS=1 ')
    assert '--no-build-isolation' in fix


@pytest.mark.parametrize(('script', 'found'), [
    ('import mmcv.no_such_module', 'No module named'),
    ('import os; os.abort()', 'status -6')])
def test_operators_that_do_not_load_or_crash_fail(monkeypatch, script, found):
    monkeypatch.setattr(doctor, 'OPS_SCRIPT', script)
    assert found in failed(doctor.check_mmcv(), 'mmcv.ops').found


@pytest.mark.parametrize(('text', 'fix'), [
    ("No module named 'sklearn'", 'pip install scikit-learn'),
    ("No module named 'mmengine'", '--no-deps mmengine==0.10.7'),
    # a part of it, so the package is there
    ("No module named 'mmcv._ext'", 'bootstrap.py --into-current --force')])
def test_a_broken_import_names_the_package_to_install(import_fails, text, fix):
    import_fails(text)
    assert failed(doctor.check_package('mmdet'), 'mmdet').fix.endswith(fix)


@pytest.mark.parametrize(('module', 'part', 'fix'), [
    ('pkg_resources', 'setuptools', "'setuptools<81'"),
    ('joblib', 'joblib', 'pip install joblib')])
def test_what_others_need_without_declaring_it_fails(monkeypatch, module, part, fix):
    monkeypatch.setitem(sys.modules, module, None)
    rows = list(doctor.check_base())
    assert failed(rows, part).fix.endswith(fix)
    assert row_of(rows, 'regex').verdict == doctor.OK


def test_two_opencvs_in_one_environment_fail(versions):
    versions.update(dict.fromkeys(doctor.OPENCVS, '4.9'))
    fix = failed(doctor.check_opencv(), 'opencv').fix
    assert 'uninstall -y opencv-python opencv-python-headless &&' in fix


def test_an_opencv_that_needs_a_system_library_fails(import_fails):
    import_fails('libGL.so.1: cannot open')
    row = failed(doctor.check_opencv(), 'opencv')
    assert 'libGL.so.1' in row.found
    assert 'opencv-python-headless' in row.fix


def test_no_gpu_is_no_failure(monkeypatch):
    import torch

    monkeypatch.setattr(torch.cuda, 'is_available', lambda: False)
    assert next(doctor.check_devices()).verdict == doctor.INFO


def test_a_patch_that_raises_fails(monkeypatch):
    monkeypatch.setattr(doctor.compat, 'apply', lambda: 1 / 0)
    assert 'ZeroDivisionError' in failed(doctor.check_patches(), 'patches').found


@pytest.mark.parametrize(('verdicts', 'status'), [
    (['ok', 'info'], 0), (['ok', 'FAIL', 'FAIL'], 1)])
def test_each_fix_is_shown_once_and_the_status_tells(
        monkeypatch, capsys, verdicts, status):
    def check():
        for verdict in verdicts:
            yield doctor.CheckResult('part', '1.0 [beta]', 'any', verdict, 'fix both')

    monkeypatch.setattr(doctor, 'CHECKS', (check,))
    assert doctor.main([]) == status
    shown = capsys.readouterr().out
    assert shown.count('1.0 [beta]') == len(verdicts)
    assert shown.count('fix both') == status
