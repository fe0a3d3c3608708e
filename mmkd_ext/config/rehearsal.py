"""A training in small: each part is built as training builds it, and one step runs.

:class:`Rehearsal` is mmengine's Runner, so its builders, loops and hooks are those of
the training. What differs: parts are built one by one, so that all problems are
reported together; a loop sees one batch; and nothing is logged, fetched or left behind.
"""

from __future__ import annotations

import copy
import inspect
import os
import resource
from collections.abc import Mapping
from contextlib import contextmanager, suppress
from dataclasses import replace
from functools import partial
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, Callable

import torch
from mmengine import hooks
from mmengine import registry as roots
from mmengine.fileio import load
from mmengine.logging import MessageHub, MMLogger
from mmengine.optim import AmpOptimWrapper, OptimWrapper, OptimWrapperDict
from mmengine.runner import (
    EpochBasedTrainLoop,
    IterBasedTrainLoop,
    LogProcessor,
    Runner,
    TestLoop,
    ValLoop,
)
from torch import multiprocessing, nn
from torch.utils.data import DataLoader, Dataset, IterableDataset

from mmkd_ext.config.files import downloads, missing_data
from mmkd_ext.config.measure import Measured, link_problem, measuring, step_on_noise
from mmkd_ext.config.parts import datasets_in, explain, find_type, unknown_types, walk
from mmkd_ext.connectors.build import init_parameters, known_arguments
from mmkd_ext.errors import ConfigError, Problem, did_you_mean

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from mmengine.config import Config
    from mmengine.hooks import Hook

    from mmkd_ext.config.context import Report

__all__ = ['Batches', 'Rehearsal']

SAMPLES = 2
LARGE = 2 * 3 * 384 * 384
"""Numbers of a batch above which the share of each gradient is taken from noise."""
_GROUPS = {
    'train': ('train_dataloader', 'train_cfg', 'optim_wrapper'),
    'val': ('val_dataloader', 'val_cfg', 'val_evaluator'),
    'test': ('test_dataloader', 'test_cfg', 'test_evaluator'),
}
_ADVERSARIAL = ('constructor', 'discriminator')
_LOOPS = {'val': ValLoop, 'test': TestLoop}
_STANDARD_HOOKS: dict[str, type[Hook]] = {
    'runtime_info': hooks.RuntimeInfoHook,
    'timer': hooks.IterTimerHook,
    'sampler_seed': hooks.DistSamplerSeedHook,
    'logger': hooks.LoggerHook,
    'param_scheduler': hooks.ParamSchedulerHook,
    'checkpoint': hooks.CheckpointHook,
}
#: Keys of hooks and metrics that name where they write.
_WRITES = ('out_dir', 'output_dir', 'outfile_prefix', 'save_dir', 'test_out_dir')


class Batches:
    """A dataloader that gives one batch, made without worker processes.

    Args:
        loader: What it stands for.
        samples: How many samples the batch has at most.
    """

    def __init__(self, loader: DataLoader[Any], samples: int) -> None:
        self.loader, self.samples = loader, samples
        self.dataset: Any = loader.dataset
        self._indices: list[Any] = []
        self._picked: list[Any] = []
        self._read: Any = None

    def __getattr__(self, name: str) -> Any:
        return getattr(vars(self)['loader'], name)

    def __len__(self) -> int:
        return len(self.loader)

    @property
    def numbers(self) -> int:
        """How many numbers the pictures of the batch have, 0 where that is unknown."""
        samples = [sample for sample in self._picked if isinstance(sample, dict)]
        inputs = [sample.get('inputs') for sample in samples]
        return sum(x.numel() for x in inputs if isinstance(x, torch.Tensor))

    def __iter__(self) -> Iterator[Any]:
        dataset, sampler = self.dataset, self.loader.batch_sampler
        if sampler is None or isinstance(dataset, IterableDataset):
            yield from islice(self.loader, 1)
            return
        if not self._indices:
            # once: an infinite sampler cannot be begun a second time
            self._indices = list(next(iter(sampler), ()))[: self.samples]
        if self._read is not dataset:
            # a hook may have put another one in its place
            self._read, self._picked = dataset, [dataset[i] for i in self._indices]
            # a batch of one is judged by `check_segmentor`, which knows the GPUs
            while 0 < len(self._picked) < self.samples:
                self._picked.append(self._picked[-1])
        if self._picked:
            yield self.loader.collate_fn(copy.deepcopy(self._picked))


class _Blank(Dataset[Any]):
    """Stands for a data set that is not read."""

    def __len__(self) -> int:
        return 1000

    def __getitem__(self, index: int) -> Any:
        raise IndexError(index)


class Rehearsal(Runner):
    """The runner of a config, built part by part.

    Args:
        cfg: The config, which stays as it is.
        report: Gets the problems.
        folder: An empty folder; whoever made it removes it.
        data: Whether to read the data.

    Attributes:
        owners: Config paths by the ``id`` of what was built from there.
        trees: Configs of models by config path.
        loaders: Loaders of the splits whose data were read.
    """

    def __init__(self, cfg: Config, report: Report, folder: str, *, data: bool) -> None:
        scope = cfg.get('default_scope', 'mmengine')
        super().__init__(nn.Identity(), folder, default_scope=scope)
        self.cfg = copy.deepcopy(cfg)
        _redirect(self.cfg._cfg_dict, folder)
        self.report, self.data = report, data
        self.owners: dict[int, str] = {}
        self.trees: dict[str, Any] = {}
        self.loaders: dict[str, Batches | None] = dict.fromkeys(_GROUPS)
        self._check_environment()
        _check_weights(self.cfg.get('model'), report)
        for split, group in _GROUPS.items():
            self._check_group(split, group)
        self._build_hooks()

    # ---- what a training does besides ------------------------------------------------

    def setup_env(self, env_cfg: dict[str, Any]) -> None:
        """Leaves the process as it is."""
        self._rank, self._world_size, self._timestamp = 0, 1, 'check'

    def set_randomness(self, **settings: Any) -> None:
        """Leaves the random numbers to the check."""
        self._seed, self._deterministic = 0, False

    def build_logger(self, *args: Any, **kwargs: Any) -> MMLogger:
        """Returns the check's, which is silent."""
        return MMLogger.get_current_instance()

    def build_message_hub(self, *args: Any, **kwargs: Any) -> MessageHub:
        """Returns the check's."""
        return MessageHub.get_current_instance()

    def build_visualizer(self, visualizer: Any = None) -> Any:
        """Builds it; none writes before it is asked to, and none is asked."""
        return super().build_visualizer(visualizer or {'type': 'Visualizer'})

    def wrap_model(self, model_wrapper_cfg: Any, model: nn.Module) -> nn.Module:
        """Leaves the model on the CPU."""
        return model

    def _leave(self, *args: Any, **kwargs: Any) -> None:
        """Neither logs nor writes, and leaves the hooks for `_build_hooks`."""

    _log_env = dump_config = register_hooks = save_checkpoint = _leave

    def build_optim_wrapper(self, optim_wrapper: Any) -> Any:
        """Builds it; mixed precision, which needs a GPU, becomes single precision."""
        if isinstance(optim_wrapper, Mapping):
            cls = find_type(optim_wrapper.get('type'), roots.OPTIM_WRAPPERS)
            if inspect.isclass(cls) and issubclass(cls, AmpOptimWrapper):
                own = ('type', 'loss_scale', 'dtype', 'use_fsdp')
                kept = {k: v for k, v in optim_wrapper.items() if k not in own}
                optim_wrapper = {'type': 'OptimWrapper', **kept}
        return super().build_optim_wrapper(optim_wrapper)

    # ---- part by part ----------------------------------------------------------------

    def attempt(
        self,
        path: str,
        config: Any,
        build: Callable[..., Any],
        *args: Any,
        called: Any = None,
        ignore: tuple[type[Exception], ...] = (),
        **kwargs: Any,
    ) -> Any:
        """Builds a part, or notes why it cannot be built and returns None.

        Args:
            path: Its config path.
            config: Its config, in which the cause is looked for.
            build: Builds it.
            *args: For ``build``.
            called: The class that gets the config, where no registry does.
            ignore: Errors that say nothing about the config.
            **kwargs: For ``build``.
        """
        try:
            return build(*args, **kwargs)
        except ignore:
            return None
        except Exception as error:
            # a registered class may raise anything
            problems = explain(error, config, path, self.owners, called)
            problems = [_with_prefixes(problem, self.cfg) for problem in problems]
            vague = problems[0].path == path
            self.report.add((vague and unknown_types(config, path)) or problems)
        return None

    def _passes(self, check: Callable[..., Any], *args: Any, **kwargs: Any) -> bool:
        """Whether a check adds no problem."""
        before = len(self.report.problems)
        check(*args, **kwargs)
        return len(self.report.problems) == before

    def _check_environment(self) -> None:
        cfg, attempt = self.cfg, self.attempt
        env, seeds = cfg.get('env_cfg', {}), cfg.get('randomness', {'seed': None})
        seed = Runner.set_randomness
        with _process_kept():
            attempt('env_cfg', env, Runner.setup_env, self, env)
            attempt(
                'randomness',
                seeds,
                lambda: seed(self, **{**seeds, 'deterministic': False}),
                called=seed,
            )
        # a config without a seed drew one; two checks see the same
        seed(self, 0)
        level = cfg.get('log_level', 'INFO')
        attempt('log_level', level, MMLogger, 'check', log_level=level)
        log, build = cfg.get('log_processor') or {}, self.build_log_processor
        built = attempt('log_processor', log, build, log, called=LogProcessor)
        self.log_processor = built or LogProcessor()
        visualizer = copy.deepcopy(cfg.get('visualizer'))
        attempt('visualizer', visualizer, self.build_visualizer, visualizer)
        # the one that hooks will find
        self.visualizer = self.build_visualizer({'type': 'Visualizer', 'name': 'none'})

    def _check_group(self, split: str, group: Sequence[str]) -> None:
        """Builds data, evaluator and loop of a split, which go together."""
        cfg = self.cfg
        loader, loop, evaluator = map(cfg.get, group)
        given = [key for key in group if cfg.get(key) is not None]
        known = [problem.path for problem in self.report.problems]
        for key in group:
            if given and key not in given and key not in known:
                found = f'is missing, but `{given[0]}` is there.'
                self.report.problem(key, found, f'Give all of {group}.')
        if 'domains' in (loop or {}):
            return  # the data of a stream are a template; its own check builds them
        same = split == 'test' and [cfg.get(key) for key in group] == [
            cfg.get(key) for key in _GROUPS['val']
        ]
        if not same:
            # a test set may be on a server, and is not needed to train
            read = self.data and split != 'test'
            self.loaders[split] = self.build_loader(loader, group[0], split, read=read)
        if split == 'train':
            _check_length(loop, self.report)
        elif evaluator is not None and not same:
            read = self.loaders[split] is not None
            if not self._passes(self.check_evaluator, evaluator, group[2], read=read):
                self.loaders[split] = None

    def build_loader(
        self, config: Any, path: str, split: str, *, read: bool
    ) -> Batches | None:
        """Builds a dataloader; returns it if its data were read and are right.

        Args:
            config: Its config.
            path: Its config path.
            split: ``'train'``, ``'val'`` or ``'test'``.
            read: Whether to read the data and take the first batch.
        """
        if not isinstance(config, Mapping):
            return Batches(config, 1) if isinstance(config, DataLoader) else None
        inner = f'{path}.dataset'
        absent = list(missing_data(config.get('dataset'), inner)) if read else []
        if downloads(config.get('dataset')):
            for problem in absent:
                found = f'{problem.found} The training fetches it, the check does not.'
                self.report.note(problem.path, found)
        else:
            self.report.add(absent)
        right = self._passes(self.check_dataset, config.get('dataset'), inner)
        build = partial(self.build_dataloader, seed=0)
        if not read or absent or not right:
            # a sampler may want what only the data set has
            ignore = (AttributeError,)
            blank = {**config, 'dataset': _Blank()}
            self.attempt(path, config, build, blank, called=DataLoader, ignore=ignore)
            return None
        loader = self.attempt(path, config, build, config, called=DataLoader)
        if loader is None:
            return None
        self.own_data(loader.dataset, inner)
        if not self._passes(self._check_pictures, loader.dataset, inner):
            return None
        batches = Batches(loader, SAMPLES if split == 'train' else 1)
        first = self.attempt(path, config, lambda: next(iter(batches), batches))
        if first is batches:
            self.report.problem(
                path,
                f'gives no batch: {len(loader.dataset)} pictures are less than one.',
                'Take a smaller batch_size, or drop_last=False.',
            )
        return batches if first is not None and first is not batches else None

    def check_dataset(self, config: Any, path: str) -> None:
        """Builds the steps of a pipeline one by one, and a data set that is not read.

        Args:
            config: Config of the data set, or a list of these.
            path: Its config path.
        """
        if isinstance(config, (list, tuple)):
            for i, part in enumerate(config):
                self.check_dataset(part, f'{path}[{i}]')
        if not isinstance(config, Mapping):
            return
        build = roots.TRANSFORMS.build
        for i, step in enumerate(config.get('pipeline') or ()):
            if isinstance(step, Mapping):
                self.attempt(f'{path}.pipeline[{i}]', step, build, copy.deepcopy(step))
        inside = [key for key in ('dataset', 'datasets') if key in config]
        check = partial(self._passes, self.check_dataset)
        right = [check(config[key], f'{path}.{key}') for key in inside]
        if not all(right):
            return
        cls = find_type(config.get('type'), roots.DATASETS)
        if _is_lazy(cls) or not inspect.isclass(cls):
            unread, build = _unread(config), roots.DATASETS.build
            self.attempt(path, unread, build, unread, ignore=(OSError,))
        else:
            self.report.add(known_arguments(cls, config, path, complete=False)[1])

    def own_data(self, dataset: Any, path: str) -> None:
        """Notes where data sets and the steps of their pipelines come from."""
        for where, part in datasets_in(dataset, path):
            self.owners[id(part)] = where
            pipeline = getattr(part, 'pipeline', None)
            steps = getattr(pipeline, 'transforms', pipeline)
            for i, step in enumerate(steps if isinstance(steps, (list, tuple)) else ()):
                self.owners[id(step)] = f'{where}.pipeline[{i}]'

    def _check_pictures(self, data: Any, path: str) -> None:
        """Looks for what would end in an endless loop, or shift the labels."""
        for where, dataset in datasets_in(data, path):
            read = getattr(dataset, 'cat_ids', None)
            classes = getattr(dataset, 'metainfo', {}).get('classes')
            if read is not None and classes and len(read) != len(classes):
                # mmdet's data sets drop their `coco` once they are read
                categories = load(dataset.ann_file)['categories']
                known = [category['name'] for category in categories]
                absent = [name for name in classes if name not in known]
                found = f'{absent} are not in the annotation file, which would shift'
                hint = f'It has {known}.{did_you_mean(str(absent[:1]), known)}'
                where = f'{where}.metainfo.classes'
                self.report.problem(where, f'{found} the labels of the others.', hint)
                return
        if not isinstance(data, IterableDataset) and not len(data):
            hint = 'Look at data_prefix, the suffixes, metainfo.classes and filter_cfg.'
            self.report.problem(path, 'has no picture.', hint)

    def check_evaluator(self, config: Any, path: str, *, read: bool) -> None:
        """Builds the metrics of an evaluator one by one."""
        several, ignore = isinstance(config, (list, tuple)), () if read else (OSError,)
        for i, metric in enumerate(config if several else [config]):
            where, copied = f'{path}[{i}]' if several else path, copy.deepcopy(metric)
            self.attempt(where, metric, self.build_evaluator, copied, ignore=ignore)

    def _build_hooks(self) -> None:
        given = self.cfg.get('default_hooks') or {}
        for name, hook in given.items():
            path = f'default_hooks.{name}'
            if hook is None and name not in _STANDARD_HOOKS:
                known = list(_STANDARD_HOOKS)
                hint = f'Take out one of {known}.{did_you_mean(name, known)}'
                self.report.problem(path, 'is None, but there is no such hook.', hint)
            elif hook is not None:
                self._build_hook(hook, path)
                self._check_hook_name(name, path)
        self.register_default_hooks({n: None for n in given if n in _STANDARD_HOOKS})
        for i, hook in enumerate(self.cfg.get('custom_hooks') or ()):
            self._build_hook(hook, f'custom_hooks[{i}]')

    def _build_hook(self, hook: Any, path: str) -> None:
        known = set(map(id, self._hooks))
        self.attempt(path, hook, self.register_hook, copy.deepcopy(hook))
        new = [built for built in self._hooks if id(built) not in known]
        self.owners.update({id(built): path for built in new})

    def _check_hook_name(self, name: str, path: str) -> None:
        """Looks for a hook beside the standard one that it was meant to replace."""
        for meant, cls in _STANDARD_HOOKS.items():
            beside = name not in _STANDARD_HOOKS and meant not in self.cfg.default_hooks
            for hook in self._hooks if beside else ():
                if self.owners.get(id(hook)) == path and isinstance(hook, cls):
                    self.report.problem(
                        path,
                        f'is a second `{cls.__name__}` beside the standard one.',
                        f'Call it `{meant}` to replace that one.',
                    )

    # ---- one step --------------------------------------------------------------------

    def own_model(self, model: nn.Module, config: Any, path: str) -> None:
        """Notes where the modules of a model come from.

        Args:
            model: The model.
            config: Its own config, also where the whole config names a file.
            path: Its config path.
        """
        self.trees[path] = config
        known = {where for where, _ in walk(config, path)}
        known |= {where.rsplit('[', 1)[0] for where in known if where.endswith(']')}
        for name, module in model.named_modules():
            where = path
            for key in name.split('.') if name else ():
                step = f'{where}[{key}]' if key.isdigit() else f'{where}.{key}'
                if step not in known:
                    break
                where = step
            self.owners[id(module)] = where

    def run(
        self,
        model: nn.Module,
        *,
        gradients: bool,
        known: bool = True,
        whole: bool = True,
    ) -> Measured:
        """Trains one step and predicts once: with all hooks on data, else on noise.

        Args:
            model: The model; training changes it.
            gradients: Also measure each term's gradient.
            known: Whether what fails on noise would fail on data too.
            whole: Whether no link was left out, which may have had a discriminator.

        Raises:
            ConfigError: A link fails; its problem names the link, and the caller may go
                on without it.
        """
        self.model = model
        start = self.cfg.get('load_from')
        if whole and start and os.path.isfile(start):
            self.attempt('load_from', start, self.load_checkpoint, start)
        self._prepare(whole=whole)
        train = self.loaders['train']
        # another loop may end where it likes
        loops = (EpochBasedTrainLoop, IterBasedTrainLoop)
        real = whole and isinstance(self._train_loop, loops)
        real = real and None not in (train, self.optim_wrapper)
        # going backward once a term would take minutes on large pictures
        large = real and train is not None and train.numbers > LARGE
        small = Measured()
        if gradients and large:
            with measuring(model, gradients=True) as small, suppress(Exception):
                step_on_noise(model, None, predict=False)
        with measuring(model, gradients=gradients and not large) as measured:
            try:
                if real:
                    self._train_once()
                else:
                    predict = any(self.cfg.get(f'{s}_cfg') is not None for s in _LOOPS)
                    step_on_noise(model, self.optim_wrapper, predict=predict)
            except Exception as error:
                # whatever is at work may raise anything
                self._explain_step(error, model, strict=real or known)
        measured.batch += ' pictures' if real else ' noise'
        if small.terms:
            measured.batch += f', gradients on {small.batch} noise'
            on_noise = {term.name: term for term in small.terms}
            measured.terms = [
                replace(on_noise[t.name], value=t.value, share=t.share)
                if t.name in on_noise
                else t
                for t in measured.terms
            ]
        return measured

    def finish(self) -> None:
        """Checks optimizer and loops also where the model could not be run."""
        wrapper = self.cfg.get('optim_wrapper')
        special = isinstance(wrapper, Mapping) and 'constructor' in wrapper
        if isinstance(self.model, nn.Identity) and not special:
            self.model = nn.Conv2d(1, 1, 1)
            self._prepare(whole=True)

    def _explain_step(
        self, error: Exception, model: nn.Module, *, strict: bool
    ) -> None:
        """Reports why a step failed; raises what is about a link."""
        problem = link_problem(error, getattr(model, 'distiller', None))
        if problem is not None:
            raise ConfigError.of([problem]) from error
        what = f'{type(error).__name__}: {error}'
        if not strict:
            self.report.warn(
                'model',
                f'a training step on noise failed: {what}',
                'Noise may be too strange for a head; the links were checked '
                'without it.',
            )
            return
        for path, config in [*self.trees.items(), ('', self.cfg._cfg_dict)]:
            problems = explain(error, config, path, self.owners)
            placed = [problem for problem in problems if problem.path != path]
            if placed:
                self.report.add(placed)
                return
        self.report.problem('model', what)

    def _prepare(self, *, whole: bool) -> None:
        cfg, wrapper = self.cfg, self.cfg.get('optim_wrapper')
        blank = DataLoader(_Blank(), batch_size=2)
        for split in ('train', 'val'):
            loader = self.loaders[split] or Batches(blank, 1)
            setattr(self, f'_{split}_dataloader', loader)
        self._train_loop = None
        if isinstance(cfg.get('train_cfg'), Mapping):
            self._train_loop = self._build_loop('train')
        if not whole and isinstance(wrapper, Mapping):
            wrapper = {k: v for k, v in wrapper.items() if k not in _ADVERSARIAL}
        self.optim_wrapper = None
        if wrapper is not None:
            build = self._build_optimizer
            self.optim_wrapper = self.attempt('optim_wrapper', wrapper, build, wrapper)
        self.param_schedulers = None
        schedulers = cfg.get('param_scheduler')
        if self.optim_wrapper is None and self._train_loop:
            # a stand-in, so that the schedulers are judged too
            parameters = [nn.Parameter(torch.zeros(1))]
            self.optim_wrapper = OptimWrapper(torch.optim.SGD(parameters, lr=0.1))
            self._build_schedulers(schedulers)
            self.optim_wrapper = None
        elif isinstance(self.optim_wrapper, OptimWrapper) and self._train_loop:
            scaling = copy.deepcopy(cfg.get('auto_scale_lr'))
            build = partial(self.scale_lr, self.optim_wrapper)
            self.attempt('auto_scale_lr', scaling, build, scaling)
            self.param_schedulers = self._build_schedulers(schedulers)
        self._val_evaluator = copy.deepcopy(cfg.get('val_evaluator'))
        self._val_loop = None
        complete = None not in [cfg.get(key) for key in _GROUPS['val']]
        if complete and self.loaders['val']:
            self._val_loop = self._build_loop('val')

    def _build_optimizer(self, wrapper: Any) -> Any:
        """Builds the optimizer, whose own messages would name other keys."""
        if isinstance(wrapper, Mapping):
            optimizer, found = wrapper.get('optimizer'), ''
            if isinstance(optimizer, (str, int, float)):
                found = f'must be a dict, but is {optimizer!r}.'
            elif not (
                {'optimizer', 'constructor'}.intersection(wrapper)
                or any(isinstance(part, OptimWrapper) for part in wrapper.values())
            ):
                found = 'is missing.'
            if found:
                hint = "Write optimizer=dict(type='SGD', lr=...)."
                self.report.problem('optim_wrapper.optimizer', found, hint)
                return None
        return self.build_optim_wrapper(wrapper)

    def _build_loop(self, split: str) -> Any:
        config, path = copy.deepcopy(self.cfg[f'{split}_cfg']), f'{split}_cfg'
        build = {'train': self.build_train_loop, 'val': self.build_val_loop}[split]
        by_epoch = isinstance(config, Mapping) and config.get('by_epoch')
        train = EpochBasedTrainLoop if by_epoch else IterBasedTrainLoop
        called = _LOOPS.get(split, train)
        loop: Any = self.attempt(path, config, build, config, called=called)
        if loop is not None:
            self.owners[id(loop)] = path
            several = isinstance(self.cfg.get('val_evaluator'), (list, tuple))
            evaluator = getattr(loop, 'evaluator', None)
            for i, metric in enumerate(getattr(evaluator, 'metrics', ())):
                where = f'val_evaluator[{i}]' if several else 'val_evaluator'
                self.owners[id(metric)] = where
        return loop

    def _build_schedulers(self, config: Any) -> Any:
        build = self.build_param_scheduler
        if isinstance(config, Mapping) and 'type' not in config:
            # one list for each of several optimizers
            return self.attempt('param_scheduler', config, build, config)
        built = []
        several = [config] if isinstance(config, Mapping) else config or []
        for i, scheduler in enumerate(several):
            path = f'param_scheduler[{i}]'
            made = self.attempt(path, scheduler, build, scheduler)
            for part in made if isinstance(made, list) else ():
                self.owners[id(part)] = path
            built += [made] if made is not None else []
        if isinstance(self.optim_wrapper, OptimWrapperDict):
            names = [name for name, _ in self.optim_wrapper.items()]
            return {name: [s for made in built for s in made[name]] for name in names}
        return [scheduler for made in built for scheduler in made]

    def _train_once(self) -> None:
        """Trains one iteration and validates once, with all hooks."""
        loop: Any = self._train_loop
        for name in ('_max_iters', '_max_epochs'):
            vars(loop)[name] = 1
        loop.val_begin = min(loop.val_begin, 1)
        self.call_hook('before_run')
        wrapper: Any = self.optim_wrapper
        wrapper.initialize_count_status(self.model, 0, 1)
        loop.run()
        self.call_hook('after_run')


# ---- the small rules that building cannot show ---------------------------------------


def _check_length(loop: Any, report: Report) -> None:
    """Looks for a training that ends before it begins."""
    for key in ('max_iters', 'max_epochs'):
        value = loop.get(key) if isinstance(loop, Mapping) else None
        if isinstance(value, (int, float)) and value < 1:
            report.problem(f'train_cfg.{key}', f'is {value}, so nothing is trained.')


def _check_weights(model: Any, report: Report) -> None:
    """Looks for losses that would be driven up."""
    for path, node in walk(model, 'model'):
        weight = node.get('loss_weight')
        if isinstance(weight, (int, float)) and weight < 0:
            report.problem(
                f'{path}.loss_weight',
                f'is {weight}, so training would make the loss larger.',
                f'Write {-weight}, or 0 to leave the loss out.',
            )


def _with_prefixes(problem: Problem, cfg: Config) -> Problem:
    """Adds the keys of `data_prefix` to a data set's own error, which names none."""
    nodes = dict(walk(cfg._cfg_dict, ''))
    prefixes = nodes.get(problem.path, {}).get('data_prefix')
    if problem.hint or not isinstance(prefixes, Mapping):
        return problem
    hint = f'Are the keys {list(prefixes)} of `data_prefix` those the data set reads?'
    return replace(problem, hint=hint)


def _is_lazy(cls: Any) -> bool:
    """Whether a data set can be built without being read."""
    return inspect.isclass(cls) and 'lazy_init' in (init_parameters(cls) or ())


def _unread(config: Any) -> Any:
    """Returns the config of a data set that is not read and has no pipeline."""
    if isinstance(config, (list, tuple)):
        return [_unread(part) for part in config]
    if not isinstance(config, Mapping):
        return config
    changed = {
        key: _unread(value) if key in ('dataset', 'datasets') else copy.deepcopy(value)
        for key, value in config.items()
    }
    if 'pipeline' in changed:
        changed['pipeline'] = []
    if _is_lazy(find_type(config.get('type'), roots.DATASETS)):
        changed['lazy_init'] = True
    return changed


def _redirect(config: Any, folder: str) -> None:
    """Makes what writes write into a folder."""
    nodes: list[Any] = [node for _, node in walk(config, '')]
    for node in nodes:
        for key in _WRITES if isinstance(node, dict) else ():
            if isinstance(node.get(key), str):
                node[key] = str(Path(folder) / Path(node[key]).name)


@contextmanager
def _process_kept() -> Iterator[None]:
    """Puts back what setting a training's environment up changes in the process."""
    import cv2

    method = multiprocessing.get_start_method(allow_none=True)
    files = resource.getrlimit(resource.RLIMIT_NOFILE)
    threads, benchmark = cv2.getNumThreads(), torch.backends.cudnn.benchmark
    variables = dict(os.environ)
    try:
        yield
    finally:
        multiprocessing.set_start_method(method, force=True)
        resource.setrlimit(resource.RLIMIT_NOFILE, files)
        cv2.setNumThreads(threads)
        torch.backends.cudnn.benchmark = benchmark
        os.environ.clear()
        os.environ.update(variables)
