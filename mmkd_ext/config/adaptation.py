"""The check of a model that adapts itself, and of the stream it is for."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import torch
from mmengine.optim import OptimWrapper, build_optim_wrapper
from mmengine.registry import LOOPS
from torch import nn

from mmkd_ext.adaptation.domains import (
    DomainConfig,
    Reset,
    build_dataset,
    parse_domains,
    parse_streams,
)
from mmkd_ext.adaptation.samples import without_truth
from mmkd_ext.algorithms.dry_run import blank_batch
from mmkd_ext.config import models
from mmkd_ext.config.context import Context, checks
from mmkd_ext.config.measure import summarize_terms
from mmkd_ext.config.parts import find_type
from mmkd_ext.connectors.build import known_arguments

if TYPE_CHECKING:
    from mmkd_ext.adaptation import ContinualAdaptation

__all__ = ['check_adaptation']

_LOOP = 'ContinualAdaptLoop'


@checks('ContinualAdaptation')
def check_adaptation(context: Context) -> None:
    """Builds student, method and guard, checks the stream, and adapts to one image."""
    report, loop = context.report, context.cfg.get('test_cfg')
    model = _build(context)
    if not isinstance(loop, Mapping) or not str(loop.get('type')).endswith(_LOOP):
        wanted = f'dict(type=`mmkd_ext.{_LOOP}`, domains=[...])'
        report.problem('test_cfg', f'must be {wanted}, but is {loop!r}.')
        return
    _check_loop(context, loop)
    if model is None:
        return
    if model.distiller.trains and not isinstance(loop.get('optim_wrapper'), Mapping):
        report.problem(
            'test_cfg.optim_wrapper',
            f'is missing, but `{type(model.distiller).__name__}` trains.',
            "Give dict(optimizer=dict(type='Adam', lr=...)).",
        )
    if loop.get('reset') == 'guarded' and model.guard is None:
        found = "is 'guarded', but there is no guard."
        report.problem('test_cfg.reset', found, 'Set model.guard.')
    _adapt_once(context, model)


def _build(context: Context) -> ContinualAdaptation | None:
    """Builds the model; problems of the segmentor have places of their own."""
    config, report = context.cfg.model.to_dict(), context.report
    checkpoint, path = config.pop('source_ckpt', None), 'model.architecture'
    student = models.build(config.get('architecture'), path, report, trained=True)
    if student is None:
        return None
    models.initialize(student, path, report)
    summary = models.summarize('student', student)
    models.load_checkpoint(student, checkpoint, 'model.source_ckpt', summary, report)
    report.models.append(summary)
    before = len(report.problems)
    with report.collecting('model'):
        from mmkd_ext.adaptation import ContinualAdaptation

        cls: Any = ContinualAdaptation
        known, unknown = known_arguments(cls, config, 'model', complete=False)
        report.add(unknown)
        model: ContinualAdaptation = cls(**{**known, 'architecture': student})
    return model if len(report.problems) == before else None


def _check_loop(context: Context, loop: Mapping[str, Any]) -> None:
    """Checks domains, order, resets and optimizer."""
    report, cfg = context.report, context.cfg
    cls = find_type(loop['type'], LOOPS)
    if cls is not None:
        report.add(known_arguments(cls, loop, 'test_cfg', complete=False)[1])
    with report.collecting('test_cfg'):
        Reset.of(loop.get('reset', 'never'))
    with report.collecting('test_cfg.domains'):
        template = cfg.get('test_dataloader'), cfg.get('test_evaluator')
        domains = parse_domains(loop.get('domains'), *template)
        names = [domain.name for domain in domains]
        parse_streams(loop.get('streams'), names, 0, loop.get('order'))
        for i, domain in enumerate(domains):
            _check_domain(context, domain, f'test_cfg.domains[{i}]')
    wrapper, path = loop.get('optim_wrapper'), 'test_cfg.optim_wrapper'
    if isinstance(wrapper, Mapping):
        args = nn.Conv2d(1, 1, 1), wrapper
        context.rehearsal.attempt(path, wrapper, build_optim_wrapper, *args)


def _check_domain(context: Context, domain: DomainConfig, path: str) -> None:
    """Builds a domain's data and evaluator, and looks for its pictures."""
    rehearsal, report = context.rehearsal, context.report
    before = len(report.problems)
    rehearsal.build_loader(domain.dataloader, f'{path}.dataloader', 'test', read=False)
    if domain.evaluator is not None:
        rehearsal.check_evaluator(domain.evaluator, f'{path}.evaluator', read=False)
    if context.data and len(report.problems) == before:
        with report.collecting(path):
            build_dataset(domain)


def _adapt_once(context: Context, model: ContinualAdaptation) -> None:
    """Adapts to one image of noise, which finds what only shows when it runs."""
    report = context.report
    with report.collecting('model.distiller'):
        model.start()
        batch = blank_batch(model.architecture)
        size = batch['inputs'].shape[2:]
        pixels = torch.randint(0, 256, (3, *size), dtype=torch.uint8)
        samples = without_truth(batch['data_samples'])
        data = {'inputs': [pixels], 'data_samples': samples}
        trained = list(model.distiller.trained().values())
        wrapper = OptimWrapper(torch.optim.SGD(trained, lr=0.0)) if trained else None
        result = model.adapt_step(data, wrapper, domain='noise')
        values = {k: v for k, v in result.losses.items() if math.isfinite(v)}
        report.terms = summarize_terms(values)
        report.batch = (
            f'one image of noise, {size[0]} x {size[1]}; '
            f'{result.counts["forwards"]:.1f} forward and '
            f'{result.counts["backwards"]:.1f} backward passes'
        )
        count = sum(parameter.numel() for parameter in trained)
        whole = models.count_parameters(model.architecture)
        found = f'{count:,} of {whole:,} parameters are adapted.'
        report.note('model.distiller', found)
