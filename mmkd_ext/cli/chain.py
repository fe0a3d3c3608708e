"""Trains models one after another, each the teacher of a later one.

    mmkd chain CONFIG

CONFIG is a Python file with the steps in their order:

    chain = [
        dict(name='teacher', config='teacher.py'),
        dict(name='assistant', config='assistant.py', teacher='teacher'),
        dict(name='student', config='student.py', teacher='assistant'),
    ]

Each is an ordinary training in WORK_DIR/NAME, as of `mmkd train`. A config is found
from the folder of CONFIG, as a `_base_` is, or is `package::path`. `teacher` is short
for {'model.teacher_ckpt': NAME}, the config option that gets the student's file of that
step; a dict of several is taken too. `options` of a step are those of --cfg-options.

The same command goes on after a stop: what is done is kept while its config, options
and teacher stay the same; what is outdated is moved to WORK_DIR/outdated.
"""

from __future__ import annotations

import argparse
import ctypes
import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from mmkd_ext import compat

compat.apply()

from mmkd_ext import errors  # noqa: E402  (after the patches)
from mmkd_ext.checkpoint import latest_checkpoint, student_path  # noqa: E402
from mmkd_ext.cli.options import add_cfg_options, add_debug  # noqa: E402
from mmkd_ext.connectors.build import compare_arguments  # noqa: E402
from mmkd_ext.engine import launch, steps  # noqa: E402
from mmkd_ext.errors import ConfigError, Problem  # noqa: E402
from mmkd_ext.files import write_json  # noqa: E402

_KEYS = {'name': True, 'config': True, 'teacher': False, 'options': False}


@dataclass(frozen=True)
class Step:
    """One model of a chain.

    Args:
        name: Its name, and that of its folder.
        config: Its config file.
        teachers: Config option to the step whose weights it gets.
        options: Those of ``--cfg-options``.
    """

    name: str
    config: str
    teachers: Mapping[str, str]
    options: Mapping[str, Any]


def read_chain(file: str) -> list[Step]:
    """Reads the steps of a chain.

    Raises:
        ConfigError: Lists what is wrong with them.
    """
    cfg = launch.load_config(file)
    chain, folder = cfg.get('chain'), os.path.dirname(cfg.filename)
    if not isinstance(chain, list) or not all(isinstance(s, Mapping) for s in chain):
        found = f'must be a list of dicts, but is {chain!r}.'
        hint = "Write chain = [dict(name='teacher', config='teacher.py'), ...]."
        raise ConfigError.at('chain', found, hint)
    read: list[Step] = []
    problems: list[Problem] = []
    for i, given in enumerate(chain):
        path, before = f'chain[{i}]', [step.name for step in read]
        problems += compare_arguments('chain', _KEYS, given, path)
        name, config = str(given.get('name')), str(given.get('config'))
        if Path(name).name != name or name in ('', '..', 'outdated', *before):
            found = f'must name a folder of its own, but is {name!r}.'
            problems.append(Problem(f'{path}.name', found))
        teachers = given.get('teacher') or {}
        if not isinstance(teachers, Mapping):
            teachers = {'model.teacher_ckpt': teachers}
        for other in teachers.values():
            if other not in before:
                near = errors.did_you_mean(str(other), before)
                found = f'there is no step {other!r} before it.'
                hint = f'A step learns from those that stand before it: {before}.{near}'
                problems.append(Problem(f'{path}.teacher', found, hint))
        if '::' not in config:
            config = os.path.join(folder, config)
        options = given.get('options') or {}
        if not isinstance(options, Mapping):
            found = f'must be a dict of config options, but is {options!r}.'
            problems.append(Problem(f'{path}.options', found))
        read.append(Step(name, config, teachers, options))
    if problems or not read:
        raise ConfigError.of(problems or [Problem('chain', 'has no steps.')])
    return read


def check_steps(chain: Sequence[Step]) -> dict[str, str]:
    """Checks the configs of all steps as `mmkd check` does; returns their texts.

    What a step gets from another one is not there yet, and left out.

    Raises:
        ConfigError: Lists the problems of all.
    """
    from mmkd_ext.config.check import check_config

    problems: list[Problem] = []
    texts: dict[str, str] = {}
    for step in chain:
        try:
            cfg = launch.load_config(step.config, _as_given(step.options))
            cfg.merge_from_dict(dict.fromkeys(step.teachers))
            launch.set_default_scope(cfg)
            texts[step.name] = cfg.pretty_text
            found = check_config(cfg, gradients=False).problems
        except errors.MMKDError as error:
            found = errors.problems_of(error, '')
        problems += [
            replace(one, path=f'{step.name}: {one.path}'.removesuffix(': '))
            for one in found
        ]
    if problems:
        raise ConfigError.of(problems)
    return texts


def _as_given(options: Mapping[str, Any]) -> dict[str, Any] | None:
    """Returns options as a training reads them from its command line."""
    parser = argparse.ArgumentParser()
    add_cfg_options(parser)
    line = ['--cfg-options', *steps.as_options(options)] if options else []
    found: dict[str, Any] | None = parser.parse_args(line).cfg_options
    return found


def train_steps(
    chain: Sequence[Step],
    texts: Mapping[str, str],
    folders: steps.StepFolders,
    gpus: int,
) -> None:
    """Trains what is not trained yet.

    Args:
        chain: Its steps.
        texts: The text of each one's config.
        folders: Where they are.
        gpus: Number of processes of each training; 0 starts it without a launcher.

    Raises:
        MMKDError: A training failed.
    """
    weights: dict[str, str] = {}
    marks: dict[str, str] = {}
    for number, step in enumerate(chain, 1):
        taken = [marks[name] for name in step.teachers.values()]
        options = steps.as_options(step.options)
        mark = marks[step.name] = steps.fingerprint(texts[step.name], options, taken)
        label, folder = f'[{number}/{len(chain)}] {step.name}', folders.root / step.name
        folders.begin_folder(folder, mark)
        done = steps.read_state(folder / 'trained.json').get('mark') == mark
        if not done:
            write_json(folder / 'begun.json', {'mark': mark})
            print(f'{label}: training in {folder}', flush=True)
            given = {key: weights[name] for key, name in step.teachers.items()}
            _train(step, folder, [*options, *steps.as_options(given)], gpus)
        checkpoint = latest_checkpoint(folder)
        if checkpoint is None:
            raise errors.CheckpointError(f'{label}: {folder} has no checkpoint.')
        write_json(folder / 'trained.json', {'mark': mark})
        own = student_path(checkpoint)
        weights[step.name] = own if os.path.isfile(own) else checkpoint
        print(f'{label}: {"kept" if done else "trained"}, {weights[step.name]}')


def _train(step: Step, folder: Path, options: Sequence[str], gpus: int) -> None:
    """Runs `mmkd train`, which ends when this process does."""
    program, launcher = ['-m', 'mmkd_ext.cli'], []
    if gpus:
        program = ['--standalone', f'--nproc_per_node={gpus}', *program]
        program = ['-m', 'torch.distributed.run', *program]
        launcher = ['--launcher', 'pytorch']
    what = ['train', step.config, '--work-dir', str(folder), '--resume', '--no-check']
    chosen = ['--cfg-options', *options] if options else []
    command = [sys.executable, *program, *what, *launcher, *chosen]
    process = subprocess.Popen(command, preexec_fn=_end_with_parent)
    try:
        status = process.wait()
    except BaseException:
        process.terminate()
        process.wait()
        raise
    if status:
        how = f'signal {-status}' if status < 0 else f'exit status {status}'
        raise errors.MMKDError(
            f'Step `{step.name}` failed with {how}; its output is above, its log in '
            f'{folder}. The same command goes on from its last checkpoint.'
        )


def _end_with_parent() -> None:
    """Lets Linux end this process when its parent is killed."""
    if sys.platform == 'linux':
        ctypes.CDLL(None).prctl(1, signal.SIGTERM)  # PR_SET_PDEATHSIG


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    """Reads the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('config', help='file of the chain')
    parser.add_argument('--work-dir', help='default: work_dirs/<name of the file>')
    parser.add_argument('--gpus', type=int, default=0, help='GPUs of each training')
    parser.add_argument('--fresh', action='store_true', help='train all steps anew')
    add_debug(parser)
    return parser.parse_args(argv)


@launch.handle_errors
def main(argv: Sequence[str] | None = None) -> int:
    """Checks all steps, then trains them; returns the exit status."""
    args = parse_args(argv)
    errors.check_integer('--gpus', args.gpus, ge=0)
    work_dir = args.work_dir or os.path.join('work_dirs', Path(args.config).stem)
    chain = read_chain(args.config)
    texts = check_steps(chain)
    try:
        with steps.stop_on_signals():
            folders = steps.StepFolders(work_dir, fresh=args.fresh)
            train_steps(chain, texts, folders, args.gpus)
    except KeyboardInterrupt:
        print('\nStopped. The same command goes on from here.', file=sys.stderr)
        return 130
    return 0
