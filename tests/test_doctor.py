from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from mmkd_ext import doctor

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture
def versions(monkeypatch):
    """Versions to be found instead of the real ones; '' is not installed."""
    told = {}
    real = doctor._version
    monkeypatch.setattr(doctor, '_version',
                        lambda name: told[name] if name in told else real(name))
    return told


def only(rows):
    (finding,) = rows
    return finding


def test_needed_versions_are_those_of_the_pinned_stack():
    text = (ROOT / 'requirements' / 'stack.txt').read_text()
    pins = dict(line.partition('#')[0].strip().split('==')
                for line in text.splitlines() if '==' in line.partition('#')[0])
    assert {name: needed[2] for name, needed in doctor.NEEDED.items()} == pins


@pytest.mark.parametrize('script', [['-m', 'mmkd_ext.doctor'], ['tools/doctor.py']])
def test_starts_where_only_the_standard_library_is(script):
    # -S leaves site-packages out, so neither rich nor torch nor anything is there
    done = subprocess.run([sys.executable, '-S', *script], cwd=ROOT, text=True,
                          capture_output=True, check=False)
    assert done.returncode == 1, done.stderr
    assert done.stderr == ''
    for part in ('torch', 'mmengine', 'mmcv.ops', 'joblib', 'ordered-set'):
        assert f'FAIL  {part}' in done.stdout
    assert 'pip install torch==2.13.0' in done.stdout
    assert 'tools/bootstrap.py --into-current --force' in done.stdout


@pytest.mark.mmdet
@pytest.mark.mmseg
def test_all_is_well_here():
    done = subprocess.run([sys.executable, 'tools/doctor.py'], cwd=ROOT, text=True,
                          capture_output=True, check=False)
    assert done.returncode == 0, done.stdout
    assert 'No problems found.' in done.stdout
    assert 'ran nms on CPU' in done.stdout
    assert 'mmrazor' in done.stdout


def test_a_missing_package_fails_with_the_command_that_brings_it(versions):
    versions['mmdet'] = ''
    row = only(doctor.check_package('mmdet'))
    assert row.verdict == 'FAIL'
    assert row.found == 'not installed'
    assert row.fix.endswith('-m pip install --no-deps mmdet==3.3.0')


def test_mmpretrain_may_be_absent_but_not_broken(versions, monkeypatch):
    versions['mmpretrain'] = ''
    row = doctor.check_mmpretrain()
    assert (row.verdict, row.found) == ('info', 'not installed')
    versions['mmpretrain'] = '1.2.0'
    monkeypatch.setattr(doctor, '_try_import', lambda *modules: 'it fails')
    row = doctor.check_mmpretrain()
    assert row.verdict == 'FAIL'
    assert row.fix.endswith("-m pip install 'mmkd_ext[cls]'")


@pytest.mark.parametrize('version', ['2.3.1', '1.7.2'])
def test_a_version_that_does_not_work_fails(versions, version):
    versions['mmcv'] = version
    rows = list(doctor.check_mmcv())
    assert [row.verdict for row in rows] == ['FAIL', 'FAIL']
    assert version in rows[0].found
    assert 'bootstrap.py --into-current' in rows[1].fix


def test_without_a_checkout_mmcv_is_fixed_with_pip(versions, monkeypatch, tmp_path):
    monkeypatch.setattr(doctor, 'BOOTSTRAP', tmp_path / 'none')
    versions['mmcv'] = ''
    fix = next(doctor.check_mmcv()).fix
    assert fix.startswith('MMCV_WITH_OPS=1 ')
    assert '--no-build-isolation' in fix
    assert '--no-cache-dir' in fix


def test_operators_that_do_not_load_fail(monkeypatch):
    monkeypatch.setattr(doctor, 'OPS_SCRIPT', 'import mmcv.no_such_module')
    row = list(doctor.check_mmcv())[1]
    assert row.verdict == 'FAIL'
    assert 'No module named' in row.found


def test_operators_that_crash_the_process_fail(monkeypatch):
    monkeypatch.setattr(doctor, 'OPS_SCRIPT', 'import os; os.abort()')
    row = list(doctor.check_mmcv())[1]
    assert row.verdict == 'FAIL'
    assert 'status -6' in row.found


def test_a_script_that_hangs_is_an_answer():
    assert doctor._run('import time; time.sleep(9)', timeout=0.5) == (
        False, 'no answer within 0 s')


@pytest.mark.parametrize(('version', 'verdict'), [
    ('2.0.1', 'FAIL'), ('2.1.0+cu121', 'ok'), ('2.13.0+cpu', 'ok')])
def test_torch_from_2_1_on_is_well(versions, version, verdict):
    versions['torch'] = version
    assert only(doctor.check_package('torch')).verdict == verdict


def test_a_broken_import_names_the_package_that_is_missing(monkeypatch):
    monkeypatch.setattr(
        doctor, '_try_import',
        lambda *_: "`import x` fails: ModuleNotFoundError: No module named 'sklearn'")
    row = only(doctor.check_package('mmdet'))
    assert row.verdict == 'FAIL'
    assert row.fix.endswith('pip install scikit-learn')


def test_a_package_that_lacks_a_part_is_not_taken_for_missing(monkeypatch):
    monkeypatch.setattr(doctor, '_try_import',
                        lambda *_: "No module named 'mmcv._ext'")
    assert 'bootstrap.py' in only(doctor.check_package('mmdet')).fix


def test_a_missing_neighbour_is_brought_at_its_version(monkeypatch):
    monkeypatch.setattr(doctor, '_try_import', lambda *_: "No module named 'mmengine'")
    row = only(doctor.check_package('mmdet'))
    assert row.fix.endswith('--no-deps mmengine==0.10.7')


def test_setuptools_without_pkg_resources_fails(monkeypatch, versions):
    versions['setuptools'] = '82.0.1'
    monkeypatch.setitem(sys.modules, 'pkg_resources', None)
    row = next(r for r in doctor.check_base() if r.part == 'setuptools')
    assert (row.verdict, row.found[:6]) == ('FAIL', '82.0.1')
    assert "'setuptools<81'" in row.fix


def test_two_opencvs_in_one_environment_fail(versions):
    versions.update({'opencv-python': '4.9', 'opencv-python-headless': '4.9'})
    row = only(doctor.check_opencv())
    assert row.verdict == 'FAIL'
    assert 'uninstall -y opencv-python opencv-python-headless &&' in row.fix


def test_an_opencv_that_needs_a_system_library_fails(monkeypatch):
    monkeypatch.setattr(doctor, '_try_import', lambda *_: 'libGL.so.1: cannot open')
    row = only(doctor.check_opencv())
    assert row.verdict == 'FAIL'
    assert 'libGL.so.1' in row.found
    assert 'opencv-python-headless' in row.fix


def test_an_undeclared_need_that_is_missing_fails(monkeypatch):
    monkeypatch.setitem(sys.modules, 'joblib', None)
    rows = {row.part: row for row in doctor.check_base()}
    assert rows['joblib'].verdict == 'FAIL'
    assert rows['joblib'].fix.endswith('pip install joblib')
    assert rows['regex'].verdict == 'ok'


def test_no_gpu_is_well(monkeypatch):
    import torch

    monkeypatch.setattr(torch.cuda, 'is_available', lambda: False)
    monkeypatch.setattr(doctor, '_run', lambda *_: (True, ''))
    assert next(doctor.check_devices()).verdict == 'info'


def test_a_patch_that_raises_fails(monkeypatch):
    monkeypatch.setattr(doctor.compat, 'apply', lambda: 1 / 0)
    row = only(doctor.check_patches())
    assert row.verdict == 'FAIL'
    assert 'ZeroDivisionError' in row.found


def test_shows_every_row_and_each_command_once(capsys):
    doctor.show([
        doctor.CheckResult('a', '1.0 [beta]', 'any'),
        doctor.CheckResult('b', 'gone', '2', 'FAIL', 'fix both'),
        doctor.CheckResult('c', 'gone', '3', 'FAIL', 'fix both'),
    ])
    shown = capsys.readouterr().out
    assert '1.0 [beta]' in shown
    assert shown.count('fix both') == 1
    assert '# b, c' in shown
    assert 'No problems' not in shown


@pytest.mark.parametrize(('verdicts', 'status'), [
    (['ok', 'info'], 0), (['ok', 'FAIL'], 1)])
def test_the_exit_status_is_0_only_when_nothing_failed(monkeypatch, verdicts, status):
    def check():
        for verdict in verdicts:
            yield doctor.CheckResult('part', 'found', 'needed', verdict, 'fix')

    monkeypatch.setattr(doctor, 'CHECKS', (check,))
    assert doctor.main([]) == status
