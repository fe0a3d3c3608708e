"""Checks of what taps have recorded in a dry run."""

from __future__ import annotations

import copy
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from torch import nn

from mmkd_ext.algorithms.dry_run import undisturbed
from mmkd_ext.checkpoint import report_of, some
from mmkd_ext.distillers.links import BATCH, STUDENT
from mmkd_ext.distillers.taps import tensors_of
from mmkd_ext.errors import Problem

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mmkd_ext.algorithms.teacher import Teacher
    from mmkd_ext.distillers.link_distiller import LinkDistiller
    from mmkd_ext.distillers.links import Link, Tap
    from mmkd_ext.distillers.taps import Recorder

__all__ = ['gradient_problems', 'row_problems', 'unfilled_problems']


# ---- a term that gives the student no gradient -------------------------------------


def gradient_problems(
    distiller: LinkDistiller, student: nn.Module, batch: Mapping[str, Any]
) -> list[Problem]:
    """Finds links that tap the student and give none of its parameters a gradient.

    ``distiller`` has the records of a pass of ``batch`` with gradients.
    """
    trained = {id(p) for p in student.parameters() if p.requires_grad}
    problems = []
    with undisturbed(distiller, gradients=True):
        for link in distiller.links:
            keys = [key for key, tap in link.taps.items() if tap.of == STUDENT]
            if keys and not any(
                _reaches(_entering(distiller, tap, batch), trained)
                for tap in link.taps.values()
            ):
                why = _why_none(distiller, student, link, keys[0], trained)
                problems.append(replace(why, link=link.name))
    return problems


def _entering(distiller: LinkDistiller, tap: Tap, batch: Mapping[str, Any]) -> Any:
    """Returns what a tap hands to its loss, from a copy of its connector."""
    value = distiller.recorded(tap, batch)
    if tap.connector is None:
        return value
    # a copy, whose counters and generators may move
    connector = copy.deepcopy(distiller.connectors[tap.connector])
    given = {name: _entering(distiller, one, batch) for name, one in tap.given}
    value = connector(value, **given)
    return value if tap.connector_item is None else value[tap.connector_item]


def _why_none(
    distiller: LinkDistiller,
    student: nn.Module,
    link: Link,
    key: str,
    trained: set[int],
) -> Problem:
    """Explains why a tap of a link gives the student no gradient."""
    tap = link.taps[key]
    recorder, source = distiller.recorders[STUDENT], tap.source
    where = f'{link.path}.{key}'
    value = recorder.value(tap)
    if _reaches(value, trained):
        kind = type(distiller.connectors[str(tap.connector)]).__name__
        what = f'`{kind}` detaches what the tap gives, so the link gives the student'
        hint = 'Let the connector return what depends on its input.'
        return Problem(f'{where}.connector', f'{what} no gradient.', hint)
    modules, tensors = dict(student.named_modules()), tensors_of(value)
    part = modules.get(source.name, nn.Identity())
    frozen = [not p.requires_grad for p in part.parameters()]
    what, hint = (
        'gives no gradient: what it returns is detached, or nothing that is trained '
        'lies before it.',
        'Tap another module of the student.',
    )
    if source in recorder.without_gradient:
        block = recorder.without_gradient[source]
        name = next((f', {n!r}' for n, m in modules.items() if n and m is block), '')
        what = 'is inside a checkpointed part, gives no gradient.'
        hint = f'Tap the block{name}, or set `with_cp=False`.'
        if block is None:
            what = 'runs under `torch.no_grad`, gives no gradient.'
            hint = 'Tap what comes before or after that part.'
    elif tensors and not any(t.is_floating_point() for t in tensors):
        dtype = str(tensors[0].dtype).split('.')[-1]
        what = f'gives {dtype} values, which have no gradient.'
        hint = 'Tap what they are made of.'
    elif frozen and all(frozen):
        what = (
            'of the student is frozen, and nothing that is trained lies before it: it '
            'gives no gradient.'
        )
        hint = 'Tap a later module, or freeze less (`frozen_stages`).'
    return Problem(f'{where}.at', f'`{source}` {what}', hint)


def _reaches(value: Any, wanted: set[int]) -> bool:
    """Whether a value depends on one of the parameters, given by their ids."""
    found, recomputed = _leaves(value)
    return recomputed or not wanted.isdisjoint(found)


def _leaves(value: Any) -> tuple[set[int], bool]:
    """Returns ids of the parameters that a value depends on.

    And whether there are more in a checkpointed part, whose inside has no graph.
    """
    found: set[int] = set()
    if isinstance(value, nn.Module):
        found = {id(p) for p in value.parameters() if p.requires_grad}
    nodes = []
    for tensor in tensors_of(value):
        if tensor.grad_fn is not None:
            nodes.append(tensor.grad_fn)
        elif tensor.requires_grad:
            found.add(id(tensor))
    seen = set(nodes)
    recomputed = False
    while nodes:
        node = nodes.pop()
        recomputed |= type(node).__name__ == 'CheckpointFunctionBackward'
        if hasattr(node, 'variable'):
            found.add(id(node.variable))
        for before, _ in node.next_functions:
            if before is not None and before not in seen:
                seen.add(before)
                nodes.append(before)
    return found, recomputed


# ---- rows of two RoI heads ---------------------------------------------------------


def row_problems(
    distiller: LinkDistiller, models: Mapping[str, nn.Module | None], count: int
) -> list[Problem]:
    """Finds links that compare rows of two RoI heads, each row of another box.

    ``distiller`` has the records of a pass of each model with ``count`` pictures; a
    RoI head's rows are more.
    """
    if distiller.deliveries is not None:
        # proposals may be handed over
        return []
    problems = []
    for link in distiller.links:
        student, teacher = link.taps.get('preds_S'), link.taps.get('preds_T')
        if student is None or teacher is None or student.of == teacher.of:
            continue
        if BATCH not in (student.of, teacher.of) and all(
            _gives_rows(distiller.recorders[tap.of], models[tap.of], tap, count)
            for tap in (student, teacher)
        ):
            what = (
                f'row by row, `{teacher.source}` of `{teacher.of}` is about boxes that '
                f'`{teacher.of}` proposes, `preds_S` about those of `{student.of}`: '
                'these rows are other boxes.'
            )
            hint = (
                "Use connector=dict(type='mmkd_ext.RoIClassify'), which classifies the "
                "student's boxes with the teacher."
            )
            where = f'{link.path}.preds_T.at'
            problems.append(Problem(where, what, hint, link.name))
    return problems


def _gives_rows(
    recorder: Recorder, model: nn.Module | None, tap: Tap, count: int
) -> bool:
    """Whether a tap is inside a RoI head and gives a row for each box."""
    if model is None or tap.given or tap.source.kind == 'Module':
        return False
    kinds = [
        base.__name__
        for name, module in model.named_modules()
        if f'{tap.source.name}.'.startswith(f'{name}.')
        for base in type(module).__mro__
    ]
    return 'BaseRoIHead' in kinds and any(
        tensor.dim() > 1 and len(tensor) != count
        for tensor in tensors_of(recorder.value(tap))
    )


# ---- what a file left unfilled -----------------------------------------------------


def unfilled_problems(
    distiller: LinkDistiller, teacher: Teacher, size: tuple[int, int]
) -> list[Problem]:
    """Finds taps that depend on parameters which a teacher's file did not fill.

    ``size`` is height and width of a picture that it takes.
    """
    report = report_of(teacher.module)
    recorder = distiller.recorders.get(teacher.name)
    if report is None or recorder is None:
        return []
    left = set(report.unfilled)
    unfilled = {k: p for k, p in teacher.module.named_parameters() if k in left}
    if not unfilled:
        return []
    problems: list[Problem] = []
    for parameter in unfilled.values():
        parameter.requires_grad_(True)
    try:
        teacher.record_blank(recorder, size)
        silent = recorder.silent()
        places = [
            (link, key, tap)
            for link in distiller.links
            for key, tap in link.all_taps()
            if tap.of == teacher.name and tap not in silent
        ]
        for link, key, tap in places:
            found, recomputed = _leaves(recorder.value(tap))
            keys = [k for k, p in unfilled.items() if recomputed or id(p) in found]
            if keys:
                what = (
                    f'`{tap.source}` of `{tap.of}` depends on {some(keys)}, which '
                    f'{report.filename!r} did not fill: it would teach noise.'
                )
                hint = (
                    'Take a checkpoint of this very model, or tap what the file fills.'
                )
                where = f'{link.path}.{key}.at'
                problems.append(Problem(where, what, hint, link.name))
    finally:
        recorder.clear()
        for parameter in unfilled.values():
            parameter.requires_grad_(False)
    return problems
