"""Tests a model: a distillation's student, any plain model, or one that adapts itself.

Example: ``mmkd test CONFIG CHECKPOINT``

CONFIG is that of the distillation or of the student alone; CHECKPOINT that of the
distillation, the student's file beside it, or the ONNX file of `mmkd export`. Any of
them goes with any. Neither the teacher nor its checkpoint is needed.

With a config of `mmkd_ext.ContinualAdaptation` the model adapts itself to the domains
of `test_cfg`; CHECKPOINT is the source's. `--resume` resumes a stream that was
stopped.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from mmkd_ext import compat

compat.apply()

from mmengine.config import Config  # noqa: E402  (after the patches)

from mmkd_ext.cli.options import (  # noqa: E402
    add_cfg_options,
    add_debug,
    add_launcher,
    parse_launched,
)
from mmkd_ext.engine.launch import (  # noqa: E402
    build_runner,
    handle_errors,
    load_config,
    load_for_test,
    prepare_distributed,
    set_default_scope,
    set_work_dir,
)
from mmkd_ext.engine.onnx import run_by_onnx  # noqa: E402
from mmkd_ext.engine.student import (  # noqa: E402
    is_adaptation_config,
    plain_config,
)
from mmkd_ext.errors import ConfigError  # noqa: E402
from mmkd_ext.registry import type_name  # noqa: E402


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    """Reads the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('config', help='config file, or package::path')
    parser.add_argument(
        'checkpoint',
        nargs='?',
        help='checkpoint; may be left out if the config has load_from',
    )
    parser.add_argument('--work-dir', help='where the metrics go')
    parser.add_argument(
        '--resume',
        action='store_true',
        help='resume the stream in the work directory (adaptation only)',
    )
    parser.add_argument(
        '--out',
        help='keep the predictions: x.pkl for all in one file, '
        'or a folder for label images (mmseg)',
    )
    parser.add_argument('--show', action='store_true', help='show the predictions')
    parser.add_argument('--show-dir', help='save painted predictions in this folder')
    parser.add_argument(
        '--wait-time', type=float, default=2, help='seconds that --show waits'
    )
    add_cfg_options(parser)
    add_launcher(parser)
    add_debug(parser)
    return parse_launched(parser, argv)


def use_out(cfg: Config, out: str) -> None:
    """Keeps the predictions."""
    evaluators = cfg.get('test_evaluator')
    if evaluators is None:
        raise ConfigError('`--out` needs a `test_evaluator` in the config.')
    listed = evaluators if isinstance(evaluators, (list, tuple)) else [evaluators]
    if out.endswith(('.pkl', '.pickle')):
        cfg.test_evaluator = [
            *listed,
            {'type': 'mmengine.DumpResults', 'out_file_path': out},
        ]
        return
    images = [e for e in listed if str(e.get('type')).endswith('IoUMetric')]
    if not images:
        raise ConfigError(
            f'`--out {out}`: only `IoUMetric` writes a folder of label images, and the '
            'config has none. Give a file that ends in .pkl.'
        )
    for evaluator in images:
        evaluator['output_dir'] = out
        evaluator['keep_results'] = True


def use_show(cfg: Config, args: argparse.Namespace) -> None:
    """Paints the predictions with the project's own visualization hook."""
    hook = (cfg.get('default_hooks') or {}).get('visualization')
    if hook is None:
        raise ConfigError(
            '`--show` and `--show-dir` need `default_hooks.visualization`: '
            "`dict(type='SegVisualizationHook')` in mmseg, "
            "`dict(type='DetVisualizationHook')` in mmdet."
        )
    hook['draw'] = True
    if args.show:
        hook['show'] = True
        hook['wait_time'] = args.wait_time
    if args.show_dir:
        if str(hook.get('type')).endswith('DetVisualizationHook'):
            hook['test_out_dir'] = args.show_dir
        else:
            hook['interval'] = 1
            cfg.visualizer = {
                **(cfg.get('visualizer') or {}),
                'save_dir': args.show_dir,
            }


def use_stream(cfg: Config, args: argparse.Namespace) -> None:
    """Prepares a model that adapts itself."""
    loop = type_name((cfg.get('test_cfg') or {}).get('type'))
    if not loop.endswith('ContinualAdaptLoop'):
        raise ConfigError(
            '`model` adapts itself to a stream, so `test_cfg` must be '
            "`dict(type='mmkd_ext.ContinualAdaptLoop', domains=[...])`. To test the "
            'adapted student give the config of the segmentor and `adapted.pth`.'
        )
    if args.out:
        raise ConfigError(
            '`--out` keeps the predictions of one test. For a stream, put '
            '`mmengine.DumpResults` or `output_dir` into the evaluators of its domains.'
        )
    # the runner wants both or neither; the loop takes them for templates
    if cfg.get('test_dataloader') is None:
        cfg.test_dataloader = {}
    if cfg.get('test_evaluator') is None:
        cfg.test_evaluator = []
    cfg.test_cfg.resume = args.resume


@handle_errors
def main(argv: Sequence[str] | None = None) -> None:
    """Tests."""
    args = parse_args(argv)
    run(args, load_config(args.config, args.cfg_options))


def run(args: argparse.Namespace, cfg: Config) -> None:
    """Tests the model of a config, or adapts it."""
    cfg.launcher = args.launcher
    set_work_dir(cfg, args)
    set_default_scope(cfg)
    adapts = is_adaptation_config(cfg)
    if adapts:
        use_stream(cfg, args)
    elif args.resume:
        raise ConfigError('`--resume` resumes a stream; this config has none.')
    else:
        cfg = plain_config(cfg)
    checkpoint = args.checkpoint or cfg.get('load_from')
    own = cfg.model.get('source_ckpt') if adapts else 'architecture' in cfg.model
    if checkpoint is None and not own:
        raise ConfigError('No weights: give the checkpoint after the config.')
    cfg.load_from, cfg.resume = None, False
    if cfg.get('test_dataloader') is None:
        raise ConfigError(
            'The config has no `test_dataloader`: there is nothing to test on.'
        )
    if args.out:
        use_out(cfg, args.out)
    if args.show or args.show_dir:
        use_show(cfg, args)
    prepare_distributed(cfg)
    runner = build_runner(cfg)
    if str(checkpoint).endswith('.onnx'):
        run_by_onnx(runner.model, checkpoint)
    elif checkpoint is not None:
        load_for_test(runner.model, checkpoint)
    runner.test()


@handle_errors
def adapt(argv: Sequence[str] | None = None) -> None:
    """Adapts a model to a stream; `test` with a config that must be an adaptation."""
    args = parse_args(argv)
    cfg = load_config(args.config, args.cfg_options)
    if not is_adaptation_config(cfg):
        raise ConfigError(
            f"{args.config!r} is no adaptation: `model.type` must be "
            "'mmkd_ext.ContinualAdaptation'. `mmkd test` tests a model as it is."
        )
    run(args, cfg)
