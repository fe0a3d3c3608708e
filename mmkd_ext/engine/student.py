"""The plain config of the student inside a distillation or adaptation."""

from __future__ import annotations

import copy
from typing import Any

from mmengine.config import Config, ConfigDict

from mmkd_ext.errors import ConfigError
from mmkd_ext.registry import type_name

__all__ = [
    'is_adaptation_config',
    'is_distillation_config',
    'plain_config',
    'plain_config_text',
]

_OWN = 'mmkd_ext.'


def is_distillation_config(cfg: Config) -> bool:
    """Whether a config's model is a student with teachers, ours or mmrazor's."""
    model = cfg.get('model')
    if not isinstance(model, dict):
        return False
    teachers = ('teacher', 'teachers', 'teacher_store')
    return 'architecture' in model and any(key in model for key in teachers)


def is_adaptation_config(cfg: Config) -> bool:
    """Whether a config's model is a student that adapts itself to a stream."""
    kind = type_name((cfg.get('model') or {}).get('type', ''))
    return kind.split('.')[-1] == 'ContinualAdaptation'


def plain_config(cfg: Config, name: str = 'student') -> Config:
    """Returns the config of the student alone: no teacher, no link.

    A config of a plain model comes back as a copy.

    Args:
        cfg: The config.
        name: ``'student'``, or a teacher's name, whose config is asked for instead.

    Raises:
        ConfigError: The student is a built module, which has no config.
    """
    plain = copy.deepcopy(cfg)
    if not (is_distillation_config(cfg) or is_adaptation_config(cfg)):
        return plain
    # here, so that hooks and export need no mmrazor where nothing is distilled
    from mmkd_ext.algorithms.sources import model_config

    source, path = cfg.model.get('architecture'), 'model.architecture'
    if name != 'student':
        several = cfg.model.get('teachers') or {'teacher': {'model': cfg.model.teacher}}
        source, path = several[name]['model'], f'model.teachers.{name}.model'
    student = model_config(source, path)
    # the algorithm's preprocessor replaces the student's, as in training
    preprocessor = cfg.model.get('data_preprocessor') or cfg.get('data_preprocessor')
    own = name != 'student' and student.get('data_preprocessor') is not None
    if preprocessor is not None and not own:
        student['data_preprocessor'] = copy.deepcopy(preprocessor)
    plain.model = student
    if _is_own(plain.get('test_cfg') or {}):
        plain.test_cfg = {'type': 'TestLoop'}
    plain.custom_hooks = [
        hook for hook in plain.get('custom_hooks') or [] if not _is_own(hook)
    ]
    wrapper = plain.get('optim_wrapper') or {}
    if type_name(wrapper.get('constructor', '')).startswith(_OWN):
        del wrapper['constructor']
        wrapper.pop('discriminator', None)
    schedulers = plain.get('param_scheduler')
    if isinstance(schedulers, (list, tuple)):
        plain.param_scheduler = [one for one in schedulers if not _is_own(one)]
    saving = (plain.get('default_hooks') or {}).get('checkpoint')
    if isinstance(saving, dict) and _is_own(saving):
        saving['type'] = 'CheckpointHook'
        saving.pop('student_file', None)
    return plain


def plain_config_text(cfg: Config, name: str = 'student') -> str | None:
    """Returns the text of `plain_config`, or None where there is no config to write."""
    if not (is_distillation_config(cfg) or is_adaptation_config(cfg)):
        return None
    try:
        return plain_config(cfg, name).pretty_text
    except ConfigError:
        return None


def _is_own(part: ConfigDict | dict[str, Any]) -> bool:
    """Whether a part of a config needs this package."""
    return type_name(part.get('type', '')).startswith(_OWN)
