"""The loop of continual adaptation.

A *stream* shows a model one image after another, for a number of rounds. A *round*
shows each *domain* once, in the order of the stream; one domain in one round is a
*visit*, and a *cell* of the results. A *step* takes one batch of a visit: the model
predicts it, adapts to it, and its predictions are counted.

Below, from top to bottom::

    run              the streams of this process, one after another
      run_stream     one stream, from the start or from where it was saved
        visit        one domain in one round
          step       one batch
        test_source  the model on the source's own data, between rounds

The data of a domain are in `stream`, the files of a stream in `stream_state`, and what
is counted in `mmkd_ext.evaluation.adaptation.record`.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import torch
from mmengine.dist import get_dist_info
from mmengine.evaluator import Evaluator
from mmengine.model import is_model_wrapper
from mmengine.optim import OptimWrapper, build_optim_wrapper
from mmengine.runner.base_loop import BaseLoop

from mmkd_ext.adaptation import ContinualAdaptation
from mmkd_ext.adaptation.algorithm import reset_optimizer
from mmkd_ext.adaptation.domains import (
    Reset,
    StreamConfig,
    parse_domains,
    parse_interval,
    parse_streams,
)
from mmkd_ext.adaptation.samples import without_truth
from mmkd_ext.engine.fileio import remove_leftovers
from mmkd_ext.engine.hooks import AdaptProgressHook
from mmkd_ext.engine.stream import Domain, ReadResult
from mmkd_ext.engine.stream_state import Position, StreamRun, flat_settings
from mmkd_ext.errors import ConfigError, DataError, check_integer
from mmkd_ext.evaluation.adaptation.record import (
    CellRecord,
    StreamRecord,
    areas,
    iou_metrics,
    picture,
)
from mmkd_ext.random_state import derive_seed, preserve_random_state, seed_all
from mmkd_ext.registry import LOOPS
from mmkd_ext.version import stack_versions

if TYPE_CHECKING:
    from mmengine.runner import Runner
    from torch import Tensor

__all__ = ['ContinualAdaptLoop']


@LOOPS.register_module()
class ContinualAdaptLoop(BaseLoop):
    """Adapts a model to one domain after another, round after round.

    Each image is predicted and adapted to; its ground truth is removed before, and
    given to the metrics alone. Every few batches the state of the stream is saved, so
    that a stream that is stopped anywhere and resumed ends with the same bits.

    The folder of the run gets ``results.json`` after every visit, ``stream_state.pth``
    while it runs, and ``adapted.pth`` at the end, from which
    ``tools/export_student.py`` takes the adapted student. With several streams each
    has a folder of its own below it.

    Args:
        runner: The runner.
        dataloader: ``test_dataloader``, the template of domains that have none.
        evaluator: ``test_evaluator``, likewise; its values stand in the cells under
            ``metrics``, beside the IoU that is always there.
        domains: The domains in their order, see `parse_domains`.
        rounds: Number of rounds.
        order: None for the order of `domains`, ``'reversed'``, or their names.
        reset: When the model is reset to the source: ``'never'``, ``'domain'``,
            ``'round'``, ``dict(every=n)`` steps, or ``'guarded'``: when a guard decides
            so.
        optim_wrapper: Config of the optimizer wrapper, with clipping, mixed precision
            or accumulation; its optimizer gets only what the method trains.
        source_eval: ``dict(dataloader=..., interval=1)`` tests the model on the
            source's own data before the first round, after every `interval`-th
            (``'round'`` is 1) and after the last, which shows what it forgets. None
            to not test it.
        save: ``dict(interval=n)`` saves every n batches.
        seed: Seed of all random numbers; None for the runner's.
        streams: Several passes with one command: a list of seeds, or of
            ``dict(seed=..., order=..., name=...)``. Several processes share them.
        pictures: How many images of each domain, evenly over it, to keep pictures of,
            in the first and the last round: before (source) and after. True is 1.
        log_interval: Batches between two lines of progress, see `AdaptProgressHook`,
            which is added unless the config has one.
        resume: Whether to resume from what the folder holds (``--resume``).

    Raises:
        ConfigError: A setting is wrong, or there are more processes than streams.
    """

    def __init__(
        self,
        runner: Runner,
        dataloader: Any,
        evaluator: Any,
        domains: Sequence[Any],
        *,
        rounds: int = 1,
        order: Any = None,
        reset: Any = 'never',
        optim_wrapper: Mapping[str, Any] | None = None,
        source_eval: Mapping[str, Any] | None = None,
        save: Mapping[str, Any] | None = None,
        seed: int | None = None,
        streams: Sequence[Any] | None = None,
        pictures: bool | int = True,
        log_interval: int = 50,
        resume: bool = False,
    ) -> None:
        # the parent would build `dataloader`, which is only a template
        super().__init__(runner, ())
        check_integer('test_cfg.rounds', rounds, ge=1)
        check_integer('test_cfg.pictures', int(pictures), ge=0)
        self.rounds, self.pictures, self.resume = rounds, int(pictures), resume
        self.reset = Reset.of(reset)
        self.optim_config = optim_wrapper
        self.configs = parse_domains(domains, dataloader, evaluator)
        self.save_interval = parse_interval('test_cfg.save', save, default=100)
        self.source_interval = parse_interval(
            'test_cfg.source_eval', source_eval, ['dataloader'], rounds=True
        )
        self.source_config = None
        if source_eval is not None:
            source = {'name': 'source', 'dataloader': source_eval.get('dataloader')}
            self.source_config = parse_domains([source], None, None)[0]
        names = [config.name for config in self.configs]
        seed = int(runner.seed if seed is None else seed)
        self.streams = parse_streams(streams, names, seed, order)
        self.rank, self.world = get_dist_info()
        self.model = self._check(runner.model)
        self.progress = AdaptProgressHook(log_interval)
        # what hooks read while the loop runs; `dataloader` for its length alone
        self.dataloader: Any
        self.domains: dict[str, Domain] = {}
        self.source: Domain | None = None
        self.stream: StreamConfig | None = None
        self.position: Position | None = None
        self.current: CellRecord | None = None

    def _check(self, model: Any) -> ContinualAdaptation:
        """Checks settings that depend on each other; returns the model."""
        model = model.module if is_model_wrapper(model) else model
        if not isinstance(model, ContinualAdaptation):
            raise ConfigError(
                '`mmkd_ext.ContinualAdaptLoop` needs '
                "`model=dict(type='mmkd_ext.ContinualAdaptation', architecture=..., "
                f'distiller=...)`, but the model is a `{type(model).__name__}`.'
            )
        if self.world > len(self.streams):
            raise ConfigError(
                f'{self.world} processes for {len(self.streams)} stream(s): a stream '
                'is one image after another and cannot be shared. Start one process, '
                'or give each its own: `test_cfg.streams=[dict(seed=0), '
                "dict(seed=1, order='reversed')]`."
            )
        if self.reset.when == 'guarded' and model.guard is None:
            raise ConfigError(
                "`test_cfg.reset='guarded'` needs a guard: set `model.guard`."
            )
        if model.distiller.trains and self.optim_config is None:
            raise ConfigError(
                f'`{type(model.distiller).__name__}` trains, so it needs '
                "`test_cfg.optim_wrapper=dict(optimizer=dict(type='Adam', lr=...))`."
            )
        return model

    # ---- the streams --------------------------------------------------------------

    def run(self) -> dict[str, float]:
        """Runs the streams of this process; returns their mIoU."""
        if not any(isinstance(hook, AdaptProgressHook) for hook in self.runner.hooks):
            self.runner.register_hook(self.progress)
        for point in ('before_test', 'before_test_epoch'):
            self.runner.call_hook(point)
        self.runner.model.eval()
        self.open_domains()
        metrics: dict[str, float] = {}
        for stream in self.streams[self.rank :: self.world]:
            own = self.run_stream(stream)
            prefix = '' if len(self.streams) == 1 else f'{stream.name}/'
            metrics.update({f'{prefix}{name}': value for name, value in own.items()})
        self.runner.call_hook('after_test_epoch', metrics=metrics)
        self.runner.call_hook('after_test')
        return metrics

    def open_domains(self) -> None:
        """Builds all datasets and metrics, so that errors come before the start."""
        self.domains = {config.name: Domain(config) for config in self.configs}
        if self.source_config is not None:
            self.source = Domain(self.source_config)
        for domain in [*self.domains.values(), *([self.source] if self.source else [])]:
            domain.check_classes(self.model.num_classes)
        for config in self.configs:
            if config.evaluator is not None:
                domain = self.domains[config.name]
                domain.evaluator = self.runner.build_evaluator(config.evaluator)
                domain.evaluator.dataset_meta = domain.metainfo
        first = self.domains[self.configs[0].name]
        self.runner.visualizer.dataset_meta = first.metainfo

    def run_stream(self, stream: StreamConfig) -> dict[str, float]:
        """Runs one stream to its end; returns its mIoU, and that of each domain."""
        run = self._start(stream)
        self.stream = stream
        if self.resume and not run.load():
            self._log(f'Nothing to resume in {str(run.folder)!r}: starting anew.')
        if run.record.complete:
            self._log(f'Stream `{stream.name}` is complete already.')
            return run.record.summary()
        at = self.position = run.position
        if at.step:
            self._log(f'Stream `{stream.name}` goes on at step {at.step}: {at}.')
        while at.round <= self.rounds:
            if (at.domain, at.index) == (0, 0):
                self.test_source(run, at.round - 1)
            self.visit(run)
        self.test_source(run, self.rounds)
        run.finish()
        return run.record.summary()

    def _start(self, stream: StreamConfig) -> StreamRun:
        """Starts a stream: seeds, the model as the source, optimizer and record."""
        folder = Path(self.runner.work_dir)
        if len(self.streams) > 1:
            folder = folder / stream.name
        folder.mkdir(parents=True, exist_ok=True)
        remove_leftovers(folder)
        seed_all(derive_seed(stream.seed, 'adaptation'))
        self.model.start(derive_seed(stream.seed, 'distiller'))
        classes = self.domains[self.configs[0].name].metainfo.get('classes')
        names = classes or range(self.model.num_classes)
        steps = self.rounds * sum(len(self.domains[name]) for name in stream.order)
        return StreamRun(
            stream,
            self.model,
            _build_optimizer(self.model, self.optim_config),
            self.domains,
            StreamRecord([*map(str, names)], steps, self._describe(stream)),
            folder,
            self._settings(stream),
            self.runner.logger,
        )

    # ---- one domain in one round --------------------------------------------------

    def visit(self, run: StreamRun) -> None:
        """Runs the domain at the position of a stream, to its end."""
        at, domain = run.position, run.domain
        self.dataloader = domain
        self.current = cell = run.record.begin(at.round, domain.name)
        if torch.cuda.is_available():
            torch.cuda.reset_peak_memory_stats()
        for read in domain.read(run.stream.seed, at.round, at.index):
            self.step(run, domain, read)
            at.index += 1
            at.step += 1
            if at.step % self.save_interval == 0 and at.index < len(domain):
                run.save()
        if not cell.images:
            reason = run.record.events[-1]['reason'] if run.record.events else ''
            raise DataError(
                f'Domain `{domain.name}`: none of its {len(domain.dataset)} images '
                f'could be loaded; the last one: {reason}'
            )
        if torch.cuda.is_available():
            cell.memory = torch.cuda.max_memory_allocated() / 2**20
        row = run.record.end(_evaluate(domain.evaluator))
        report = self.model.distiller.report()
        run.record.prototypes = report.get('prototypes')
        run.record.buffer = report.get('buffer')
        run.write_results()
        self._log(
            f'{run.stream.name}: round {at.round}/{self.rounds} {domain.name}: mIoU '
            f'{row["mIoU"]}, {row["updates"]} updates, {row["skipped"]} skipped, '
            f'{row["images_per_second"]} images/s'
        )
        at.index, at.domain = 0, at.domain + 1
        if at.domain == len(run.stream.order):
            at.domain, at.round = 0, at.round + 1
        run.save()

    # ---- one batch ----------------------------------------------------------------

    def step(self, run: StreamRun, domain: Domain, read: ReadResult) -> None:
        """Predicts one batch, adapts to it, and counts the predictions."""
        at, record, data = run.position, run.record, read.data
        for file in read.bad_files:
            record.add_event(
                at.step, file.index, 'undecodable', file.reason, count='undecodable'
            )
            self._log(
                f'Image {file.index} of `{domain.name}` is left out: {file.reason}',
                logging.WARNING,
            )
        if self.reset.is_due(at.step, at.index, at.domain):
            self.model.reset()
            reset_optimizer(run.optimizer)
            reason = f'planned: {self.reset}'
            record.add_event(at.step, at.index, 'reset', reason, count='resets')
        if data is None:
            return
        self.runner.call_hook('before_test_iter', batch_idx=at.index, data_batch=data)
        truths = data['data_samples']
        result = self.model.adapt_step(
            {**data, 'data_samples': without_truth(truths)},
            run.optimizer,
            domain=domain.name,
            step=at.step,
        )
        # metrics compare predictions with the truth in the same sample
        outputs = [*map(_with_prediction, truths, result.data_samples)]
        if domain.evaluator is not None:
            domain.evaluator.process(data_samples=outputs, data_batch=data)
        record.add(outputs, [*map(_labels, outputs)], result, at.step, at.index)
        if self.pictures and at.round in (1, self.rounds) and (
            at.index % -(-len(domain) // self.pictures) == 0
        ):  # fmt: skip
            self._add_picture(run, domain, data, outputs[0])
        for event in result.events:
            self._log(
                f'{event["action"]} at step {at.step}: {event["reason"]}',
                logging.WARNING,
            )
        self.runner.call_hook(
            'after_test_iter', batch_idx=at.index, data_batch=data, outputs=outputs
        )

    # ---- beside the stream --------------------------------------------------------

    @torch.no_grad()
    def test_source(self, run: StreamRun, round_: int) -> None:
        """Tests the model on the source's data after a round, if that is due."""
        record, names = run.record, run.record.names
        due = round_ % self.source_interval == 0 or round_ == self.rounds
        done = any(row['round'] == round_ for row in record.source_eval)
        if self.source is None or done or not due:
            return
        total = torch.zeros(3, len(names), dtype=torch.int64)
        with preserve_random_state():
            for read in self.source.read(run.stream.seed, 0):
                if read.data is None:
                    continue
                truths = [_labels(sample) for sample in read.data['data_samples']]
                for sample, truth in zip(self.model.test_step(read.data), truths):
                    total += areas(sample.pred_sem_seg.data[0], truth, len(names))
        miou = iou_metrics(total, names)['mIoU']
        record.source_eval.append({'round': round_, 'mIoU': miou})
        run.write_results()
        self._log(f'{run.stream.name}: source after round {round_}: mIoU {miou}')

    @torch.no_grad()
    def _add_picture(
        self, run: StreamRun, domain: Domain, data: Any, output: Any
    ) -> None:
        """Keeps the first image of a batch: input, source, adapted model, truth."""
        samples = without_truth(data['data_samples'])
        before = self.model.predict_source({**data, 'data_samples': samples})[0]
        truth, palette = _labels(output), domain.metainfo.get('palette')
        run.record.pictures.append({
            'round': run.position.round,
            'domain': domain.name,
            'index': run.position.index,
            'image': picture(data['inputs'][0].permute(1, 2, 0)),
            'before': picture(before.pred_sem_seg.data[0], palette),
            'after': picture(output.pred_sem_seg.data[0], palette),
            'truth': None if truth is None else picture(truth, palette),
        })

    def _settings(self, stream: StreamConfig) -> dict[str, str]:
        """Returns the settings that decide the predictions of a stream."""
        loop = {
            'rounds': self.rounds,
            'reset': str(self.reset),
            'optim_wrapper': self.optim_config,
            'domains': [
                {'name': config.name, 'dataloader': config.dataloader}
                for config in self.configs
            ],
            'source_eval': self.source_config and self.source_config.dataloader,
        }
        model, seed = self.runner.cfg.get('model'), stream.seed
        return flat_settings(
            dict(model=model, test_cfg=loop, seed=seed, order=stream.order)
        )

    def _describe(self, stream: StreamConfig) -> dict[str, Any]:
        """Returns the settings as the result file has them."""
        distiller, guard = self.model.distiller, self.model.guard
        settings = {
            'config': Path(str(self.runner.cfg.filename or '')).name,
            'method': type(distiller).__name__,
            'rounds': self.rounds,
            'order': stream.order,
            'reset': str(self.reset),
            'optimizer': self.optim_config if distiller.trains else None,
            'guard': None if guard is None else guard.describe(),
            **distiller.describe(),
            'seed': stream.seed,
            'source': self.model.source.fingerprint,
            'versions': stack_versions(),
        }
        # tuples and config dicts as a reader of the file gets them
        return cast('dict[str, Any]', json.loads(json.dumps(settings, default=str)))

    def _log(self, text: str, level: int = logging.INFO) -> None:
        self.runner.logger.log(level, text)


def _build_optimizer(
    model: ContinualAdaptation, config: Mapping[str, Any] | None
) -> OptimWrapper | None:
    """Builds an optimizer of what is trained; after `ContinualAdaptation.start`."""
    if not model.distiller.trains or config is None:
        return None
    try:
        wrapper = build_optim_wrapper(model, dict(config))
    except (KeyError, TypeError, ValueError, AssertionError) as error:
        raise ConfigError(
            f'`test_cfg.optim_wrapper` cannot be built: {error}'
        ) from error
    groups = wrapper.optimizer.param_groups
    for group in groups:
        group['params'] = [p for p in group['params'] if p.requires_grad]
    groups[:] = [group for group in groups if group['params']]
    wrapper.zero_grad()
    return cast('OptimWrapper', wrapper)


def _with_prediction(truth: Any, prediction: Any) -> Any:
    """Returns a copy of a sample with truth that has the prediction too."""
    merged = truth.clone()
    for name in ('pred_sem_seg', 'seg_logits'):
        if name in prediction:
            merged.set_field(prediction.get(name), name, dtype=None)
    merged.set_metainfo(prediction.metainfo)
    return merged


def _labels(sample: Any) -> Tensor | None:
    """Returns the truth of a sample ``(h w)`` beside its prediction, or None."""
    if 'gt_sem_seg' not in sample:
        return None
    labels: Tensor = sample.gt_sem_seg.data.squeeze(0)
    if 'pred_sem_seg' in sample:
        labels = labels.to(sample.pred_sem_seg.data.device)
    return labels


def _evaluate(evaluator: Evaluator | None) -> dict[str, Any]:
    """Returns the values of this process's stream alone, and clears its results.

    mmengine's `evaluate` would gather the results of all processes.
    """
    values: dict[str, Any] = {}
    for metric in evaluator.metrics if evaluator is not None else ():
        prefix = f'{metric.prefix}/' if metric.prefix else ''
        for name, value in metric.compute_metrics(metric.results).items():
            values[f'{prefix}{name}'] = value
        metric.results = []
    return values
