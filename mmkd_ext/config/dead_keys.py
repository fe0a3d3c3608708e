"""Keys of mmcv 1.x and of older mmengine, which nothing reads any more."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from mmengine.runner import Runner

from mmkd_ext.errors import did_you_mean

if TYPE_CHECKING:
    from mmengine.config import Config

    from mmkd_ext.config.findings import Findings

__all__ = ['check_keys']

#: Keys that would change the training if anything read them, and what does today.
DEAD: dict[str, str] = {
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
#: Keys whose loss changes little; named, but no reason to stop.
IDLE: dict[str, str] = {
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


def check_keys(cfg: Config, findings: Findings) -> None:
    """Names dead keys with what replaces each, and keys that look misspelt."""
    for key, instead in DEAD.items():
        if key in cfg:
            findings.problem(key, _GONE, f'Write {instead}.')
    for key, instead in IDLE.items():
        if key in cfg:
            findings.warn(key, _GONE, f'Write {instead}.')
    data = cfg.get('data')
    if isinstance(data, Mapping) and any(key in data for key in _DATA_1X):
        findings.problem(
            'data',
            _GONE,
            'Write train_dataloader=dict(batch_size=..., num_workers='
            '..., dataset=dict(...)), val_dataloader and test_dataloader.',
        )
    if 'seed' in cfg and 'seed' not in (cfg.get('randomness') or {}):
        findings.warn('seed', _GONE, 'Write randomness=dict(seed=...).')
    _check_optimizer(cfg, findings)
    _check_unused_parameters(cfg, findings)
    _check_imports(cfg, findings)
    _check_spelling(cfg, findings)


def _check_optimizer(cfg: Config, findings: Findings) -> None:
    wrapper = cfg.get('optim_wrapper') or {}
    if 'optimizer' in cfg and 'optimizer' not in wrapper:
        findings.problem(
            'optimizer',
            _GONE,
            "Write optim_wrapper=dict(type='OptimWrapper', optimizer=dict(...)).",
        )
    elif 'optimizer' in cfg and _own(cfg.optimizer) != _own(wrapper['optimizer']):
        # the base schedules of mmseg use the name for a variable
        findings.note(
            'optimizer',
            'is only a variable, and differs from '
            '`optim_wrapper.optimizer`, which is what trains.',
            'If you meant to change the optimizer, write optim_wrapper='
            'dict(optimizer=dict(...)).',
        )
    if 'fp16' in cfg:
        if 'Amp' in str(wrapper.get('type', '')):
            findings.warn(
                'fp16',
                _GONE,
                'The wrapper already is mixed precision, so delete the key.',
            )
        else:
            findings.problem(
                'fp16',
                _GONE,
                'Write optim_wrapper=dict(type='
                "'AmpOptimWrapper', loss_scale='dynamic'), or use "
                '`tools/train.py --amp`.',
            )


def _own(optimizer: Mapping[str, Any]) -> dict[str, Any]:
    """Returns a config without the scope that a `pkg::` base adds."""
    return {key: value for key, value in optimizer.items() if key != '_scope_'}


def _check_unused_parameters(cfg: Config, findings: Findings) -> None:
    wrapper = cfg.get('model_wrapper_cfg') or {}
    for path, owner in (
        ('find_unused_parameters', cfg),
        ('model_wrapper_cfg.find_unused_parameters', wrapper),
    ):
        if owner.get('find_unused_parameters'):
            findings.warn(
                path,
                'is True: DDP then searches the graph in every step, '
                'and hides parameters that never learn.',
                'Distillation here has no unused parameters, also while a '
                'weight is 0; delete the key unless the student needs it.',
            )


def _check_imports(cfg: Config, findings: Findings) -> None:
    imports = (cfg.get('custom_imports') or {}).get('imports') or []
    names = [imports] if isinstance(imports, str) else imports
    # the toy models of `testing` are no part of the registries
    ours = [
        name
        for name in map(str, names)
        if name.split('.')[0] == 'mmkd_ext' and not name.startswith('mmkd_ext.testing')
    ]
    if ours:
        findings.note(
            'custom_imports',
            f'{ours} need no import: types that begin with '
            '`mmkd_ext.` are found by themselves.',
        )


def _check_spelling(cfg: Config, findings: Findings) -> None:
    known = set(inspect.signature(Runner.__init__).parameters) | {'auto_scale_lr'}
    known -= {'self', 'cfg'}
    for key in cfg:
        # a variable may have any name; only what differs by a letter or two is meant
        if key not in known:
            near = did_you_mean(key, [k for k in known if _is_close(key, k)])
            if near:
                findings.warn(
                    key, 'is no key of the runner, so it may do nothing.', near.strip()
                )


def _is_close(key: str, known: str) -> bool:
    """Whether two keys differ by one letter too many, too few or other, or a swap."""
    if abs(len(key) - len(known)) > 1 or len(known) < 6:
        return False
    short, long = sorted((key, known), key=len)
    if len(short) < len(long):
        return any(long[:i] + long[i + 1 :] == short for i in range(len(long)))
    unlike = [(a, b) for a, b in zip(key, known) if a != b]
    return len(unlike) == 1 or (len(unlike) == 2 and unlike[0] == unlike[1][::-1])
