"""Keys of mmcv 1.x and of older mmengine, which nothing reads any more."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from mmengine.runner import Runner

from mmkd_ext.errors import did_you_mean

if TYPE_CHECKING:
    from mmengine.config import Config

    from mmkd_ext.config.context import Report

__all__ = ['check_keys']

#: Keys that would change the training if anything read them, and what does today.
DEPRECATED: dict[str, str] = {
    'optimizer_config': 'optim_wrapper=dict(clip_grad=dict(max_norm=...))',
    'lr_config': "param_scheduler=[dict(type='PolyLR' or 'MultiStepLR', ...)]",
    'momentum_config': "param_scheduler=[dict(type='MultiStepMomentum', ...)]",
    'runner': "train_cfg=dict(type='IterBasedTrainLoop', max_iters=...) or "
    "dict(type='EpochBasedTrainLoop', max_epochs=...)",
    'total_epochs': "train_cfg=dict(type='EpochBasedTrainLoop', max_epochs=...)",
    'checkpoint_config': 'default_hooks=dict(checkpoint=dict(type='
    "'mmkd_ext.DistillCheckpointHook', interval=...))",
    'log_config': "default_hooks=dict(logger=dict(type='LoggerHook', interval=...)) "
    'and visualizer=dict(vis_backends=[...])',
    'evaluation': 'val_evaluator=dict(type=...), train_cfg=dict(val_interval=...) and '
    'default_hooks=dict(checkpoint=dict(save_best=...))',
    'workflow': 'train_cfg=dict(val_interval=...) with val_dataloader, val_cfg and '
    'val_evaluator',
    'resume_from': "resume=True, load_from='...', or `tools/train.py --resume`",
}
#: Keys whose loss changes little: a warning, and no reason to stop.
HARMLESS: dict[str, str] = {
    'cudnn_benchmark': 'env_cfg=dict(cudnn_benchmark=...)',
    'dist_params': 'env_cfg=dict(dist_cfg=dict(backend=...))',
    'opencv_num_threads': 'env_cfg=dict(mp_cfg=dict(opencv_num_threads=...))',
    'mp_start_method': 'env_cfg=dict(mp_cfg=dict(mp_start_method=...))',
    'gpu_ids': 'CUDA_VISIBLE_DEVICES, or tools/dist_train.sh CONFIG GPUS',
    'deterministic': 'randomness=dict(deterministic=...)',
    'samples_per_gpu': 'train_dataloader=dict(batch_size=...)',
    'workers_per_gpu': 'train_dataloader=dict(num_workers=...)',
}
_DATA_1X = ('samples_per_gpu', 'workers_per_gpu', 'train', 'val', 'test')
_GONE = 'mmengine does not read this key of mmcv 1.x.'


def check_keys(cfg: Config, report: Report) -> None:
    """Names deprecated keys with what replaces each, and keys that look misspelt."""
    for key, instead in DEPRECATED.items():
        if key in cfg:
            report.problem(key, _GONE, f'Write {instead}.')
    for key, instead in HARMLESS.items():
        if key in cfg:
            report.warn(key, _GONE, f'Write {instead}.')
    data = cfg.get('data')
    if isinstance(data, Mapping) and any(key in data for key in _DATA_1X):
        report.problem(
            'data',
            _GONE,
            'Write train_dataloader=dict(batch_size=..., num_workers='
            '..., dataset=dict(...)), val_dataloader and test_dataloader.',
        )
    if 'seed' in cfg and 'seed' not in (cfg.get('randomness') or {}):
        report.warn('seed', _GONE, 'Write randomness=dict(seed=...).')
    _check_optimizer(cfg, report)
    _check_unused_parameters(cfg, report)
    _check_imports(cfg, report)
    _check_spelling(cfg, report)


def _check_optimizer(cfg: Config, report: Report) -> None:
    wrapper = cfg.get('optim_wrapper') or {}
    if 'optimizer' in cfg and 'optimizer' not in wrapper:
        instead = "optim_wrapper=dict(type='OptimWrapper', optimizer=dict(...))"
        report.problem('optimizer', _GONE, f'Write {instead}.')
    elif 'optimizer' in cfg and _own(cfg.optimizer) != _own(wrapper['optimizer']):
        # the base schedules of mmseg use the name for a variable
        report.note(
            'optimizer',
            'is only a variable, and differs from '
            '`optim_wrapper.optimizer`, which is what trains.',
            'If you meant to change the optimizer, write optim_wrapper='
            'dict(optimizer=dict(...)).',
        )
    if 'fp16' in cfg and 'Amp' in str(wrapper.get('type', '')):
        hint = 'The wrapper already is mixed precision, so delete the key.'
        report.warn('fp16', _GONE, hint)
    elif 'fp16' in cfg:
        instead = "optim_wrapper=dict(type='AmpOptimWrapper', loss_scale='dynamic')"
        hint = f'Write {instead}, or use `tools/train.py --amp`.'
        report.problem('fp16', _GONE, hint)


def _own(optimizer: Mapping[str, Any]) -> dict[str, Any]:
    """Returns a config without the scope that a `pkg::` base adds."""
    return {key: value for key, value in optimizer.items() if key != '_scope_'}


def _check_unused_parameters(cfg: Config, report: Report) -> None:
    key = 'find_unused_parameters'
    wrapper = cfg.get('model_wrapper_cfg') or {}
    for path, owner in ((key, cfg), (f'model_wrapper_cfg.{key}', wrapper)):
        if owner.get(key):
            report.warn(
                path,
                'is True: DDP then searches the graph in every step, '
                'and hides parameters that never learn.',
                'Distillation here has no unused parameters, also while a '
                'weight is 0; delete the key unless the student needs it.',
            )


def _check_imports(cfg: Config, report: Report) -> None:
    imports = (cfg.get('custom_imports') or {}).get('imports') or []
    names = [imports] if isinstance(imports, str) else map(str, imports)
    # the toy models of `testing` are no part of the registries
    needless = [
        name
        for name in names
        if name.split('.')[0] == 'mmkd_ext' and not name.startswith('mmkd_ext.testing')
    ]
    if needless:
        found = f'{needless} need no import: types that begin with `mmkd_ext.` are'
        report.note('custom_imports', f'{found} found by themselves.')


def _check_spelling(cfg: Config, report: Report) -> None:
    known = set(inspect.signature(Runner.__init__).parameters) | {'auto_scale_lr'}
    known -= {'self', 'cfg'}
    for key in [key for key in cfg if key not in known]:
        # a variable may have any name; only what differs by a letter or two is meant
        near = did_you_mean(key, [k for k in known if _is_close(key, k)])
        if near:
            report.warn(key, 'is no key of the runner, so it may do nothing.', near)


def _is_close(key: str, known: str) -> bool:
    """Whether two keys differ by one letter too many, too few or other, or a swap."""
    if abs(len(key) - len(known)) > 1 or len(known) < 6:
        return False
    short, long = sorted((key, known), key=len)
    if len(short) < len(long):
        return any(long[:i] + long[i + 1 :] == short for i in range(len(long)))
    unlike = [(a, b) for a, b in zip(key, known) if a != b]
    return len(unlike) == 1 or (len(unlike) == 2 and unlike[0] == unlike[1][::-1])
