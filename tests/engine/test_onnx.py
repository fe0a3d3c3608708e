"""A quantised student in ONNX, and what onnxruntime makes of it."""

from __future__ import annotations

import sys
from collections import Counter

import pytest
import torch

from mmkd_ext.algorithms.quantized import Quantized, quantized_layers
from mmkd_ext.engine.onnx import export_onnx, run_by_onnx
from mmkd_ext.errors import ConfigError, ShapeError
from mmkd_ext.testing.toy import ToyModel, toy_batch


def trained(seed=0):
    """A toy whose layers know the ranges of two batches."""
    torch.manual_seed(seed)
    model = Quantized(dict(type='mmkd_ext.ToyModel'), skip=['head_shared'])
    for _ in range(2):
        model(**toy_batch(), mode='loss')
    return model.eval()


@pytest.fixture(scope='module')
def exported(tmp_path_factory):
    pytest.importorskip('onnx')
    model, path = trained(), str(tmp_path_factory.mktemp('onnx') / 'toy.onnx')
    size = tuple(toy_batch()['inputs'].shape[2:])
    return model, path, export_onnx(model, path, size)


def test_every_quantised_layer_has_its_nodes(exported):
    onnx = pytest.importorskip('onnx')
    model, path, said = exported
    count = len(quantized_layers(model))
    assert said == f'{count} of {count} layers quantised'
    graph = onnx.load(path).graph
    kinds = Counter(node.op_type for node in graph.node)
    # an input and the weights each; the auxiliary head is not part of what predicts
    assert kinds['QuantizeLinear'] == kinds['DequantizeLinear'] == 2 * (count - 1)
    assert not kinds['BatchNormalization']


def test_onnxruntime_computes_what_the_fake_integers_gave(exported):
    onnxruntime = pytest.importorskip('onnxruntime')
    model, path, _ = exported
    x = toy_batch()['inputs']
    x = torch.cat([x, x.flip(0)])  # the batch is free
    session = onnxruntime.InferenceSession(path, providers=['CPUExecutionProvider'])
    (found,) = session.run(None, {'input': x.numpy()})
    with torch.no_grad():
        wanted = model(x, mode='tensor')
    # a number on the edge between two integers may fall on either side
    error = (torch.from_numpy(found) - wanted).norm() / wanted.norm()
    assert error < 0.005
    for layer in quantized_layers(model).values():
        layer.input_range.zero_()
    with torch.no_grad():
        assert (model(x, mode='tensor') - wanted).norm() / wanted.norm() > error


def test_a_float_model_is_exported_as_it_is(tmp_path):
    pytest.importorskip('onnx')
    path = tmp_path / 'x.onnx'
    assert export_onnx(ToyModel(), str(path), (16, 16)) == 'in float32'
    assert [one.name for one in tmp_path.iterdir()] == ['x.onnx']


class Segmentor(torch.nn.Module):
    """What `run_by_onnx` needs of one."""

    def __init__(self, toy):
        super().__init__()
        self.toy, self.decode_head = toy, toy.head

    def extract_feat(self, inputs):
        raise AssertionError('the backbone must not run')

    def forward(self, inputs):
        return self.decode_head.forward(self.extract_feat(inputs))


def test_a_segmentor_predicts_by_onnxruntime(exported):
    pytest.importorskip('onnxruntime')
    model, path, _ = exported
    segmentor, x = Segmentor(trained(seed=1)), toy_batch()['inputs']
    run_by_onnx(segmentor, path)
    with torch.no_grad():
        torch.testing.assert_close(
            segmentor(x), model(x, mode='tensor'), rtol=0.01, atol=0.01
        )
    with pytest.raises(ShapeError, match='--size'):
        segmentor(torch.zeros(1, 3, 4, 4))


def test_what_has_no_head_for_it_is_refused():
    pytest.importorskip('onnxruntime')
    with pytest.raises(ConfigError, match='neither a segmentor'):
        run_by_onnx(torch.nn.Identity(), 'x.onnx')


def test_a_missing_package_is_named_with_what_brings_it(monkeypatch):
    monkeypatch.setitem(sys.modules, 'onnx', None)
    with pytest.raises(ConfigError, match=r'needs onnx: install `mmkd_ext\[onnx\]`'):
        export_onnx(ToyModel(), 'x.onnx', (16, 16))
