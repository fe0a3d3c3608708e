"""The loop of continual adaptation: rounds over domains, evaluation, resume."""

from __future__ import annotations

import io
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
    parse_streams,
)
from mmkd_ext.adaptation.samples import without_truth
from mmkd_ext.adaptation.segment import class_count
from mmkd_ext.engine.fileio import atomic_write, remove_leftovers
from mmkd_ext.engine.hooks.reproducible import derive_seed, seed_all
from mmkd_ext.engine.stream import Delivery, Domain, build_domain, undisturbed
from mmkd_ext.engine.stream_state import (
    Position,
    flat_settings,
    optimizer_state,
    position_state,
    random_state,
    read_state,
    set_optimizer_state,
    set_random_state,
    write_state,
)
from mmkd_ext.errors import CheckpointError, ConfigError, DataError, check_integer
from mmkd_ext.evaluation.adaptation.record import (
    CellRecord,
    StreamRecord,
    areas,
    figures,
    picture,
)
from mmkd_ext.registry import LOOPS
from mmkd_ext.version import stack_versions

if TYPE_CHECKING:
    from mmengine.runner import Runner
    from torch import Tensor

__all__ = ['ADAPTED_FILE', 'RESULT_FILE', 'ContinualAdaptLoop']

RESULT_FILE = 'results.json'
ADAPTED_FILE = 'adapted.pth'
_SOURCE = 'source'


@LOOPS.register_module()
class ContinualAdaptLoop(BaseLoop):
    """Lets a model adapt to one domain after another, round after round.

    Each image is predicted and adapted to; its ground truth is taken off before, and
    given to the metrics alone. Every few images all that is needed to go on is saved,
    so that a stream that is stopped anywhere, and resumed, ends with the same bits.

    The folder of the run gets ``results.json`` after every cell (a domain in a round),
    ``stream_state.pth`` while it runs, and ``adapted.pth`` in the end, from which
    ``tools/export_student.py`` takes the adapted student. Of several streams each has
    a folder of its own below it.

    Args:
        runner: The runner.
        dataloader: ``test_dataloader``, the template of domains that bring none.
        evaluator: ``test_evaluator``, likewise; its figures stand in the cells under
            ``metrics``, beside the IoU that is always there.
        domains: The domains in their order, see `parse_domains`.
        rounds: How often they come.
        order: None for the order of `domains`, ``'reversed'``, or their names.
        reset: When the model goes back to the source: ``'never'``, ``'domain'``,
            ``'round'``, ``dict(every=n)`` steps, or ``'guarded'``: when a guard says
            so.
        optim_wrapper: Config of the optimizer wrapper, with clipping, mixed precision
            or accumulation; its optimizer sees only what the method trains.
        source_eval: ``dict(dataloader=..., interval=1)`` tests the model on the
            source's own data before the first round, after every `interval`-th
            (``'round'`` is 1) and after the last, which shows what it forgets. None
            for not.
        save: ``dict(interval=n)`` saves every n batches.
        seed: Of everything random; None takes the runner's.
        streams: Several passes with one command: a list of seeds, or of
            ``dict(seed=..., order=..., name=...)``. Spread over the processes where
            there are several.
        pictures: Whether to keep pictures of the first image of each domain, in the
            first and the last round, before (source) and after.
        log_interval: Batches between two lines of progress.
        resume: Whether to go on with what the folder holds (``--resume``).

    Raises:
        ConfigError: A setting is wrong, or more processes than streams.
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
        pictures: bool = True,
        log_interval: int = 50,
        resume: bool = False,
    ) -> None:
        # the parent would build `dataloader`, which is only a template
        super().__init__(runner, ())
        check_integer('test_cfg.rounds', rounds, low=1)
        self.model = _algorithm(runner)
        self.rounds = rounds
        self.reset = Reset.of(reset)
        self.configs = parse_domains(domains, dataloader, evaluator)
        self.optim_config = optim_wrapper
        self.source_interval = _source_interval(source_eval)
        self.source_config = _source_config(source_eval)
        self.save_interval = _interval(save)
        self.pictures, self.log_interval, self.resume = pictures, log_interval, resume
        self.streams = parse_streams(
            streams,
            [config.name for config in self.configs],
            int(runner.seed if seed is None else seed),
            order,
        )
        self.rank, self.world = get_dist_info()
        self._check_processes()
        if self.reset.when == 'guarded' and self.model.guard is None:
            raise ConfigError(
                "`test_cfg.reset='guarded'` needs a guard: set `model.guard`."
            )
        if self.model.distiller.trains and optim_wrapper is None:
            raise ConfigError(
                f'`{type(self.model.distiller).__name__}` trains, so it needs '
                "`test_cfg.optim_wrapper=dict(optimizer=dict(type='Adam', lr=...))`."
            )
        self.domains: dict[str, Domain] = {}
        self.source_domain: Domain | None = None
        self._settings: dict[str, str] = {}
        #: The cell in progress, for hooks.
        self.current: CellRecord | None = None

    def _check_processes(self) -> None:
        if self.world > len(self.streams):
            raise ConfigError(
                f'{self.world} processes for {len(self.streams)} stream(s): a stream '
                'is one image after another and cannot be shared. Start one process, '
                'or give each its own: `test_cfg.streams=[dict(seed=0), '
                "dict(seed=1, order='reversed')]`."
            )

    # ---- the run ------------------------------------------------------------------

    def run(self) -> dict[str, float]:
        """Runs the streams of this process; returns their mIoU."""
        self.runner.call_hook('before_test')
        self.runner.call_hook('before_test_epoch')
        self.runner.model.eval()
        self._open_domains()
        metrics: dict[str, float] = {}
        for stream in self.streams[self.rank :: self.world]:
            found = self._run_stream(stream)
            prefix = '' if len(self.streams) == 1 else f'{stream.name}/'
            metrics.update({f'{prefix}{key}': value for key, value in found.items()})
        self.runner.call_hook('after_test_epoch', metrics=metrics)
        self.runner.call_hook('after_test')
        return metrics

    def run_iter(self, idx: int, data_batch: Any) -> Any:
        """Is not used: a batch of a stream has a place, see `_step`."""
        raise NotImplementedError

    def _open_domains(self) -> None:
        """Builds all datasets, so that what is missing is told before the start."""
        for config in self.configs:
            self.domains[config.name] = build_domain(config)
        if self.source_config is not None:
            self.source_domain = build_domain(self.source_config)
        expected = class_count(self.model.architecture)
        for domain in [*self.domains.values(), *_listed(self.source_domain)]:
            classes = domain.metainfo.get('classes')
            if classes is not None and len(classes) != expected:
                raise ConfigError(
                    f'Domain `{domain.name}` has {len(classes)} classes, but the model '
                    f'predicts {expected}. Use the dataset that the source was trained '
                    'for, or a `metainfo` with the same classes.'
                )
        first = self.domains[self.configs[0].name]
        self.runner.visualizer.dataset_meta = first.metainfo
        self._settings = flat_settings(
            {'model': self.runner.cfg.get('model'), 'test_cfg': self._plain_config()}
        )

    def _plain_config(self) -> dict[str, Any]:
        """Returns what decides the predictions of a stream."""
        return {
            'rounds': self.rounds,
            'reset': str(self.reset),
            'optim_wrapper': self.optim_config,
            'domains': [
                {'name': config.name, 'dataloader': config.dataloader}
                for config in self.configs
            ],
            'source_eval': self.source_config and self.source_config.dataloader,
        }

    # ---- one stream ---------------------------------------------------------------

    def _run_stream(self, stream: StreamConfig) -> dict[str, float]:
        """Runs one stream from where it is to its end."""
        run = _Run(self, stream)
        if self.resume and run.load():
            if run.record.complete:
                self._log(f'Stream `{stream.name}` is complete already.')
                return run.record.summary()
            at = run.position
            self._log(
                f'Going on with round {at.round}, domain '
                f'`{stream.order[at.domain]}`, image {at.index} '
                f'(step {at.step}).'
                if at.round <= self.rounds
                else 'Going on at the end of the stream.'
            )
        while run.position.round <= self.rounds:
            self._source_eval(run, run.position.round - 1)
            self._visit(run)
        self._source_eval(run, self.rounds)
        run.finish()
        return run.record.summary()

    def _visit(self, run: _Run) -> None:
        """Goes through one domain, from where it is to its end."""
        at = run.position
        domain = self.domains[run.stream.order[at.domain]]
        # hooks ask the loop for its loader's length
        self.dataloader = domain
        evaluator = run.evaluator(domain)
        self.current = run.record.begin(at.round, domain.name)
        self.stream, self.position = run.stream, at  # for hooks too
        if torch.cuda.is_available():
            torch.cuda.reset_peak_memory_stats()
        for delivery in domain.read(run.stream.seed, at.round, at.index):
            self._step(run, domain, evaluator, delivery)
            at.index += 1
            at.step += 1
            if at.step % self.save_interval == 0 and at.index < len(domain):
                run.save()
        self._finish_cell(run, domain, evaluator)
        at.index, at.domain = 0, at.domain + 1
        if at.domain == len(run.stream.order):
            at.domain, at.round = 0, at.round + 1
        run.save()

    def _step(
        self, run: _Run, domain: Domain, evaluator: Evaluator | None, delivery: Delivery
    ) -> None:
        """Adapts to one batch, and counts it."""
        at = run.position
        for image in delivery.unreadable:
            run.record.unreadable(at.step, image.index, image.reason)
            self._log(
                f'Image {image.index} of `{domain.name}` is left out: {image.reason}',
                logging.WARNING,
            )
        if self.reset.is_due(at.step, at.index, at.domain):
            self.model.reset()
            reset_optimizer(run.optimizer)
            run.record.reset(at.step, at.index, f'planned: {self.reset}')
        data = delivery.data
        if data is None:
            return
        self.runner.call_hook('before_test_iter', batch_idx=at.index, data_batch=data)
        truths = data['data_samples']
        blind = {**data, 'data_samples': without_truth(truths)}
        result = self.model.adapt_step(
            blind, run.optimizer, domain=domain.name, step=at.step
        )
        # predictions into samples that know the truth, which metrics compare
        outputs = [
            _with_prediction(truth, sample)
            for truth, sample in zip(truths, result.data_samples)
        ]
        if evaluator is not None:
            evaluator.process(data_samples=outputs, data_batch=data)
        labels = [_labels(sample) for sample in outputs]
        run.record.add(outputs, labels, result, at.step, at.index)
        if self.pictures and at.index == 0 and at.round in (1, self.rounds):
            self._take_picture(run, domain, data, outputs[0])
        for event in result.events:
            self._log(
                f'{event["action"]} at step {at.step}: {event["reason"]}',
                logging.WARNING,
            )
        self.runner.call_hook(
            'after_test_iter', batch_idx=at.index, data_batch=data, outputs=outputs
        )
        if (at.index + 1) % self.log_interval == 0:
            self._progress(run, domain)

    def _progress(self, run: _Run, domain: Domain) -> None:
        at, cell, running = run.position, run.record.cell, run.record.running()
        if cell is None:
            return
        speed = cell.images / cell.seconds if cell.seconds else 0.0
        shown = '-' if running is None else f'{running:.1f}'
        self._log(
            f'round {at.round}/{self.rounds} {domain.name} '
            f'[{at.index + 1}/{len(domain)}] running mIoU {shown}, '
            f'{speed:.2f} images/s'
        )
        if running is not None:
            self.runner.visualizer.add_scalars(
                {f'{run.prefix}{domain.name}/running_mIoU': running}, step=at.step
            )

    def _finish_cell(
        self, run: _Run, domain: Domain, evaluator: Evaluator | None
    ) -> None:
        """Closes the cell and writes the results."""
        at, cell = run.position, run.record.cell
        if cell is None or not cell.images:
            last = run.record.events[-1]['reason'] if run.record.events else ''
            raise DataError(
                f'Domain `{domain.name}`: none of its {len(domain.dataset)} images '
                f'could be loaded; the last one: {last}'
            )
        if torch.cuda.is_available():
            cell.memory = torch.cuda.max_memory_allocated() / 2**20
        row = run.record.end(_evaluate(evaluator))
        report = self.model.distiller.report()
        run.record.prototypes = report.get('prototypes')
        run.record.buffer = report.get('buffer')
        run.write_results()
        self._log(
            f'{run.prefix}round {at.round}/{self.rounds} {domain.name}: mIoU '
            f'{row["mIoU"]}, {row["updates"]} updates, {row["skipped"]} skipped, '
            f'{row["images_per_second"]} images/s'
        )
        if row['mIoU'] is not None:
            self.runner.visualizer.add_scalars(
                {f'{run.prefix}{domain.name}/mIoU': row['mIoU']}, step=at.step
            )

    # ---- on the side --------------------------------------------------------------

    @torch.no_grad()
    def _source_eval(self, run: _Run, rounds_done: int) -> None:
        """Tests the model on the source's data, once after each round."""
        domain, at = self.source_domain, run.position
        done = any(row['round'] == rounds_done for row in run.record.source_eval)
        if domain is None or done or (at.domain, at.index) != (0, 0):
            return
        if rounds_done % self.source_interval and rounds_done != self.rounds:
            return
        total = torch.zeros(3, len(run.record.names), dtype=torch.int64)
        with undisturbed():
            for delivery in domain.read(run.stream.seed, 0):
                if delivery.data is None:
                    continue
                truths = [_labels(s) for s in delivery.data['data_samples']]
                outputs = self.model.test_step(delivery.data)
                for sample, truth in zip(outputs, truths):
                    prediction = sample.pred_sem_seg.data.squeeze(0)
                    total += areas(prediction, truth, len(run.record.names))
        found = figures(total, run.record.names)
        run.record.source_eval.append({'round': rounds_done, 'mIoU': found['mIoU']})
        run.write_results()
        self._log(f'{run.prefix}source after round {rounds_done}: {found["mIoU"]}')

    @torch.no_grad()
    def _take_picture(self, run: _Run, domain: Domain, data: Any, sample: Any) -> None:
        """Keeps the first image of a domain: source, adapted, truth."""
        processed = self.model.data_preprocessor(
            {**data, 'data_samples': without_truth(data['data_samples'])}, False
        )
        from mmkd_ext.adaptation.segment import image_logits

        logits = image_logits(self.model.source.module, processed['inputs'][:1])
        before = self.model._samples(logits, processed['data_samples'][:1])[0]
        palette = domain.metainfo.get('palette')
        truth = _labels(sample)
        image = data['inputs'][0].permute(1, 2, 0).cpu().numpy()
        run.record.pictures.append(
            {
                'round': run.position.round,
                'domain': domain.name,
                'index': 0,
                'image': picture(image),
                'before': picture(_plane(before.pred_sem_seg.data), palette),
                'after': picture(_plane(sample.pred_sem_seg.data), palette),
                'truth': None if truth is None else picture(_plane(truth), palette),
            }
        )

    def _log(self, text: str, level: int = logging.INFO) -> None:
        self.runner.logger.log(level, text)


class _Run:
    """One stream in progress: where it is, what it found, and its files."""

    def __init__(self, loop: ContinualAdaptLoop, stream: StreamConfig) -> None:
        self.loop, self.stream, self.model = loop, stream, loop.model
        single = len(loop.streams) == 1
        self.prefix = '' if single else f'{stream.name}/'
        work_dir = Path(loop.runner.work_dir)
        self.folder = work_dir if single else work_dir / stream.name
        self.folder.mkdir(parents=True, exist_ok=True)
        remove_leftovers(self.folder)
        self.position = Position()
        seed_all(derive_seed(stream.seed, 'adaptation'))
        self.model.start(derive_seed(stream.seed, 'distiller'))
        self.optimizer = _build_optimizer(self.model, loop.optim_config)
        per_round = sum(len(loop.domains[name]) for name in stream.order)
        self.record = StreamRecord(
            _class_names(loop), per_round * loop.rounds, self._described()
        )
        self._evaluators: dict[str, Evaluator | None] = {}
        self._results: list[list[Any]] = []
        self.settings = {
            **loop._settings,
            **flat_settings({'seed': stream.seed, 'order': list(stream.order)}),
        }

    def _described(self) -> dict[str, Any]:
        """Returns what the result file says about the run."""
        loop, distiller = self.loop, self.model.distiller
        guard = self.model.guard
        found = {
            'config': Path(str(loop.runner.cfg.filename or '')).name,
            'method': type(distiller).__name__,
            'rounds': loop.rounds,
            'order': list(self.stream.order),
            'reset': str(loop.reset),
            'optimizer': loop.optim_config if distiller.trains else None,
            'guard': None if guard is None else guard.describe(),
            **distiller.describe(),
            'seed': self.stream.seed,
            'source': self.model.source.fingerprint,
            'versions': stack_versions(),
        }
        # tuples and config dicts as a reader of the file will see them
        plain: dict[str, Any] = json.loads(json.dumps(found, default=str))
        return plain

    def evaluator(self, domain: Domain) -> Evaluator | None:
        """Returns the metrics of a domain, with what they counted before a stop."""
        if domain.name not in self._evaluators:
            config = domain.evaluator
            built = None
            if config is not None:
                built = self.loop.runner.build_evaluator(config)
                built.dataset_meta = domain.metainfo
            self._evaluators[domain.name] = built
        evaluator = self._evaluators[domain.name]
        if evaluator is not None and self._results:
            for metric, results in zip(evaluator.metrics, self._results):
                metric.results = results
        self._results = []
        return evaluator

    def save(self) -> None:
        """Saves everything; what was saved before stays until that is done."""
        name = self.stream.order[min(self.position.domain, len(self.stream.order) - 1)]
        evaluator = self._evaluators.get(name)
        state = {
            'settings': self.settings,
            'position': position_state(self.position),
            'model': self.model.adapt_state(),
            'optimizer': optimizer_state(self.optimizer),
            'random': random_state(),
            'record': self.record.state(),
            'metrics': [m.results for m in evaluator.metrics] if evaluator else [],
        }
        self._write(state)

    def _write(self, state: Mapping[str, Any]) -> None:
        try:
            write_state(self.folder, state)
        except OSError as error:
            self.loop._log(
                f'The state of the stream could not be saved: {error}. What was saved '
                'before is still there; the stream goes on.',
                logging.ERROR,
            )

    def load(self) -> bool:
        """Goes on where the folder was left; returns whether there was anything."""
        state = read_state(self.folder, self.settings)
        if state is None:
            self.loop._log(f'Nothing to resume in {str(self.folder)!r}: starting anew.')
            return False
        try:
            self.record.load_state(state['record'])
            self.position = Position(**state['position'])
            if self.record.complete:
                return True
            self.model.load_adapt_state(state['model'])
            set_optimizer_state(self.optimizer, state['optimizer'])
            set_random_state(state['random'])
            self._results = state['metrics']
        except (KeyError, TypeError, ValueError, RuntimeError) as error:
            if isinstance(error, CheckpointError):
                raise
            raise CheckpointError(
                f'The state in {str(self.folder)!r} is damaged: '
                f'{type(error).__name__}: {error}. Start anew without --resume.'
            ) from error
        return True

    def write_results(self) -> None:
        """Writes the result file."""
        text = json.dumps(self.record.results(), indent=1, allow_nan=False) + '\n'
        try:
            atomic_write(self.folder / RESULT_FILE, text.encode())
        except OSError as error:
            self.loop._log(
                f'`{RESULT_FILE}` could not be written: {error}', logging.ERROR
            )

    def finish(self) -> None:
        """Writes the adapted model, and lets the large state go."""
        self.record.complete = True
        meta = {
            'source': self.model.source.fingerprint,
            'method': type(self.model.distiller).__name__,
        }
        weights = {'meta': meta, 'state_dict': self.model.state_dict()}
        with io.BytesIO() as buffer:
            torch.save(weights, buffer)
            atomic_write(self.folder / ADAPTED_FILE, buffer.getvalue())
        self.write_results()
        self._write(
            {
                'settings': self.settings,
                'position': position_state(self.position),
                'record': self.record.state(),
            }
        )


# ---- parts ------------------------------------------------------------------------


def _algorithm(runner: Runner) -> ContinualAdaptation:
    model = runner.model.module if is_model_wrapper(runner.model) else runner.model
    if not isinstance(model, ContinualAdaptation):
        raise ConfigError(
            '`mmkd_ext.ContinualAdaptLoop` needs '
            "`model=dict(type='mmkd_ext.ContinualAdaptation', architecture=..., "
            f'distiller=...)`, but the model is a `{type(model).__name__}`.'
        )
    return model


def _build_optimizer(
    model: ContinualAdaptation, config: Mapping[str, Any] | None
) -> OptimWrapper | None:
    """Builds an optimizer over what is trained; after `ContinualAdaptation.start`."""
    if not model.distiller.trains or config is None:
        return None
    try:
        wrapper = build_optim_wrapper(model, dict(config))
    except (KeyError, TypeError, ValueError, AssertionError) as error:
        raise ConfigError(
            f'`test_cfg.optim_wrapper` cannot be built: {error}'
        ) from error
    for group in wrapper.optimizer.param_groups:
        group['params'] = [p for p in group['params'] if p.requires_grad]
    wrapper.optimizer.param_groups[:] = [
        group for group in wrapper.optimizer.param_groups if group['params']
    ]
    wrapper.zero_grad()
    return cast('OptimWrapper', wrapper)


def _source_config(config: Mapping[str, Any] | None) -> Any:
    if config is None:
        return None
    if set(config) - {'dataloader', 'interval'}:
        raise ConfigError(
            "`test_cfg.source_eval` must be dict(dataloader=..., interval='round'), "
            f'but is {dict(config)!r}.'
        )
    source = {'name': _SOURCE, 'dataloader': config.get('dataloader')}
    return parse_domains([source], None, None)[0]


def _source_interval(config: Mapping[str, Any] | None) -> int:
    """Returns the rounds from one test on the source's data to the next."""
    interval = (config or {}).get('interval', 'round')
    if interval == 'round':
        return 1
    check_integer('test_cfg.source_eval.interval', interval, low=1)
    return int(interval)


def _interval(config: Mapping[str, Any] | None) -> int:
    interval = (config or {}).get('interval', 100)
    if config is not None and set(config) - {'interval'}:
        raise ConfigError(
            f'`test_cfg.save` must be dict(interval=n), but is {dict(config)!r}.'
        )
    check_integer('test_cfg.save.interval', interval, low=1)
    return int(interval)


def _class_names(loop: ContinualAdaptLoop) -> list[str]:
    names = loop.domains[loop.configs[0].name].metainfo.get('classes')
    if names is None:
        names = range(class_count(loop.model.architecture))
    return [str(name) for name in names]


def _listed(domain: Domain | None) -> list[Domain]:
    return [] if domain is None else [domain]


def _with_prediction(truth: Any, sample: Any) -> Any:
    """Returns a copy of a sample with truth that has the prediction too."""
    merged = truth.clone()
    for name in ('pred_sem_seg', 'seg_logits'):
        if name in sample:
            merged.set_field(sample.get(name), name, dtype=None)
    merged.set_metainfo(sample.metainfo)
    return merged


def _labels(sample: Any) -> Tensor | None:
    """Returns the truth of a sample ``(h w)`` beside its prediction, or None."""
    if 'gt_sem_seg' not in sample:
        return None
    labels: Tensor = sample.gt_sem_seg.data.squeeze(0)
    if 'pred_sem_seg' in sample:
        labels = labels.to(sample.pred_sem_seg.data.device)
    return labels


def _plane(data: Tensor) -> Any:
    return data.reshape(data.shape[-2:]).cpu().numpy()


def _evaluate(evaluator: Evaluator | None) -> dict[str, Any]:
    """Returns the figures of this process's stream alone; the results are gone then.

    mmengine's `evaluate` would mix in those of the other processes.
    """
    found: dict[str, Any] = {}
    for metric in evaluator.metrics if evaluator is not None else ():
        results = metric.compute_metrics(metric.results)
        prefix = f'{metric.prefix}/' if metric.prefix else ''
        found.update({f'{prefix}{key}': value for key, value in results.items()})
        metric.results = []
    return found
