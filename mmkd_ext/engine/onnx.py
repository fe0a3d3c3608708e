"""Export of a model to ONNX, and testing a model whose network onnxruntime runs."""

from __future__ import annotations

import inspect
import warnings
from importlib import import_module
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from mmkd_ext.algorithms.quantized import fixed, quantized_layers
from mmkd_ext.engine.fileio import atomic_write
from mmkd_ext.errors import ConfigError, ShapeError

__all__ = ['export_onnx', 'run_by_onnx']

_OPSET = 17
_INPUT, _OUTPUT = 'input', 'output'


def export_onnx(model: nn.Module, path: str, size: tuple[int, int]) -> str:
    """Writes what a model computes of a normalised batch in ``mode='tensor'``.

    Batch norms are folded. A `Quantized` model gets a QuantizeLinear and a
    DequantizeLinear node at the input and the weights of each quantised layer.

    Args:
        model: A plain segmentor or classifier.
        path: File to write.
        size: Height and width of the pictures, which the file keeps; the batch is free.

    Returns:
        A line that says how much of it is quantised.

    Raises:
        ConfigError: The model cannot be traced, or onnx is not installed.
    """
    _imported('onnx', path)
    layers = quantized_layers(model)
    network = fixed(model)
    target = Path(f'{path}.part')
    names = [_INPUT, _OUTPUT]
    # the exporter by tracing: the newer one needs onnxscript as well
    takes = inspect.signature(torch.onnx.export).parameters
    by_tracing: dict[str, Any] = {'dynamo': False} if 'dynamo' in takes else {}
    try:
        with warnings.catch_warnings(), torch.no_grad():
            # of shapes that become constants, as they are meant to
            warnings.simplefilter('ignore')
            torch.onnx.export(
                network,
                (torch.zeros(1, 3, *size),),
                str(target),
                kwargs={'mode': 'tensor'},
                opset_version=_OPSET,
                input_names=names[:1],
                output_names=names[1:],
                dynamic_axes={name: {0: 'batch'} for name in names},
                **by_tracing,
            )
        atomic_write(path, target.read_bytes())
    except (RuntimeError, TypeError, ValueError) as error:
        raise ConfigError(
            f'`{type(model).__name__}` cannot be exported: {type(error).__name__}: '
            f'{error}'
        ) from error
    finally:
        target.unlink(missing_ok=True)
    done = len(quantized_layers(network))
    return f'{done} of {len(layers)} layers quantised' if layers else 'in float32'


def run_by_onnx(model: Any, path: str) -> None:
    """Lets onnxruntime compute the logits of a plain segmentor or classifier.

    What precedes and follows the network, such as resizing, stays the model's.

    Args:
        model: It is changed: backbone and head are not run any more.
        path: What `export_onnx` has written.

    Raises:
        ConfigError: onnxruntime is not installed, or the model is neither.
    """
    onnxruntime = _imported('onnxruntime', path)
    head = getattr(model, 'decode_head', getattr(model, 'head', None))
    if not isinstance(head, nn.Module) or hasattr(head, 'bbox_coder'):
        raise ConfigError(
            f'`{type(model).__name__}` is neither a segmentor with one `decode_head` '
            'nor a classifier with a `head`, whose logits ONNX could give.'
        )
    providers = ['CPUExecutionProvider']
    session = onnxruntime.InferenceSession(path, providers=providers)
    wanted = session.get_inputs()[0].shape[1:]

    def logits(inputs: Tensor, *_: Any) -> Tensor:
        if [*inputs.shape[1:]] != wanted:
            raise ShapeError(
                f'{path!r} takes pictures {wanted}, but these are '
                f'{[*inputs.shape[1:]]}; export with their `--size`.'
            )
        (found,) = session.run(None, {_INPUT: inputs.cpu().numpy()})
        return torch.from_numpy(found).to(inputs.device)

    model.extract_feat = lambda inputs, *_, **__: inputs
    head.forward = logits


def _imported(name: str, path: str) -> Any:
    """Returns a package of the extra `onnx`."""
    try:
        return import_module(name)
    except ImportError as error:
        raise ConfigError(
            f'{path!r} needs {name}: install `mmkd_ext[onnx]`.'
        ) from error

