"""The onnx package's backend tests: whatever is in scope passes."""

import inspect
import unittest
from pathlib import Path

import numpy as np
import pytest

import fastconv
from fastconv.onnx import backend
from fastconv.onnx.run_node import KERNELS, PLUMBING
from fastconv.testing import onnx_suite

onnx = pytest.importorskip("onnx", reason="runs ONNX files; pip install 'fastconv[onnx]'")
pytestmark = pytest.mark.filterwarnings("ignore")  # the onnx package's own


@pytest.fixture(scope="module")
def suite():
    """Every test of the package by its kind."""
    return {kind: list(onnx_suite.cases(kind)) for kind in onnx_suite.KINDS}


def failures(cases):
    found = []
    for case in cases:
        if case.excluded is None:
            try:
                onnx_suite.run(case)
            except Exception as error:
                found.append(f"{case.name}: {' '.join(str(error).split())[:200]}")
    return found


@pytest.mark.parametrize("kind", onnx_suite.KINDS)
def test_all_that_is_in_scope_passes(suite, strict, kind):
    assert failures(suite[kind]) == []


def test_nothing_that_was_promised_is_excluded(suite):
    """Group by group; later versions of the package have more tests, hardly fewer."""
    operators = onnx_suite.by_operator(suite["node"])
    for group, (promised, ops) in onnx_suite.GROUPS.items():
        cases = [case for op in ops for part in operators[op] for case in part]
        assert [case.name for case in cases if case.excluded] == [], group
        assert len(cases) >= promised, group
    for kind, promised in (("pytorch-converted", 82), ("pytorch-operator", 35)):
        assert [case.name for case in suite[kind] if case.excluded] == []
        assert len(suite[kind]) >= promised


def test_every_operator_is_one_of_onnx():
    schemas = onnx.defs.get_all_schemas_with_history()
    names = {f"{schema.domain}.{schema.name}" if schema.domain else schema.name for schema in schemas}
    assert {*KERNELS, *PLUMBING} <= names
    assert not set(KERNELS) & set(PLUMBING)


def test_the_page_names_what_there_is():
    """The counts of docs/onnx.md are from running docs/make_onnx.py; its lists of operators are compared here."""
    from fastconv.onnx import load_model, patterns
    from fastconv.onnx.export_model import EXPORTERS

    page = (Path(__file__).parents[1] / "docs/onnx.md").read_text("utf-8")
    known = {schema.name for schema in onnx.defs.get_all_schemas()}
    for table in (KERNELS, PLUMBING, EXPORTERS, patterns.OPERATORS, load_model.OPERATORS & known):
        assert ", ".join(f"`{name}`" for name in sorted(table)) in page


def test_the_packages_own_runner_takes_the_backend():
    tests = pytest.importorskip("onnx.backend.test").BackendTest(backend, __name__)
    tests.include(r"^test_(basic_conv|maxpool_2d|gemm)_.*_cpu$")
    result = unittest.TestResult()
    tests.test_suite.run(result)
    assert result.failures == result.errors == [] and result.testsRun - len(result.skipped) >= 15


def test_the_module_has_the_interface():
    base = pytest.importorskip("onnx.backend.base")
    for name, method in inspect.getmembers(base.Backend, inspect.ismethod):
        ours = inspect.signature(getattr(backend, name))
        assert list(inspect.signature(method).parameters)[: len(ours.parameters)] == list(ours.parameters), name
    assert backend.supports_device("CPU") and not backend.supports_device("CUDA:0")


def test_run_node():
    node = onnx.helper.make_node("Selu", ["x"], ["y"])
    x = np.float32([[-1, 2]])
    (y,) = backend.run_node(node, [x])
    np.testing.assert_allclose(y, fastconv.ops.selu(x), atol=1e-6)


def test_inputs_by_name_and_wrong_ones():
    helper = onnx.helper
    info = [helper.make_tensor_value_info(n, onnx.TensorProto.FLOAT, [2]) for n in ("a", "b", "y")]
    model = helper.make_model(helper.make_graph([helper.make_node("Sub", ["a", "b"], ["y"])], "g", info[:2], info[2:]))
    ready = backend.prepare(model)
    a, b = np.float32([3, 4]), np.float32([1, 5])
    np.testing.assert_array_equal(ready.run({"b": b, "a": a})[0], [2, -1])
    with pytest.raises(ValueError, match=r"expected \['a', 'b'\]"):
        ready.run([a])
    with pytest.raises(fastconv.onnx.UnsupportedNode, match="one dtype"):
        ready.run([a, b.astype(np.float64)])


def test_unknown_operators_are_all_named():
    helper = onnx.helper
    info = [helper.make_tensor_value_info(n, onnx.TensorProto.FLOAT, [2, 2]) for n in ("x", "y")]
    nodes = [
        helper.make_node("Det", ["x"], ["d"], name="one"),
        helper.make_node("Einsum", ["x"], ["y"], equation="ij->ji"),
    ]
    model = helper.make_model(helper.make_graph(nodes, "g", info[:1], info[1:]))
    with pytest.raises(fastconv.onnx.UnsupportedNode, match=r"node 0 Det 'one', node 1 Einsum"):
        backend.prepare(model)
    assert not backend.is_compatible(model)


@pytest.mark.nightly
def test_light_models_and_their_random_twins():
    """The package's expected outputs; then onnxruntime's for random weights, also of the imported model where all of its
    nodes have layers."""
    runtime = pytest.importorskip("onnxruntime", reason="runs ONNX files; pip install onnxruntime")
    runtime.set_default_logger_severity(3)
    rng, imported = np.random.default_rng(0), []
    for name, model, x, expected in onnx_suite.light_models():
        (y,) = backend.run_model(model, [x])
        np.testing.assert_allclose(y, expected, rtol=1e-3, atol=1e-7, err_msg=name)
        model = onnx_suite.with_random_weights(model, rng)
        x = rng.normal(size=x.shape).astype(np.float32)
        content = model.SerializeToString()
        session = runtime.InferenceSession(content, providers=["CPUExecutionProvider"])
        expected = session.run(None, {session.get_inputs()[0].name: x})[0]
        assert expected.std() > 0, name
        close = {"rtol": 0, "atol": 1e-4 * np.abs(expected).max(), "err_msg": name}
        np.testing.assert_allclose(backend.run_model(model, [x])[0], expected, **close)
        try:
            ours = fastconv.onnx.load(content)
        except fastconv.onnx.UnsupportedNode:
            continue
        imported.append(name)
        actual = ours.predict(np.moveaxis(x, 1, -1), verbose=0)
        actual = np.moveaxis(actual, -1, 1) if actual.ndim == 4 else actual
        np.testing.assert_allclose(actual, expected, **close)
    assert {"densenet121", "inception_v2", "resnet50", "squeezenet", "vgg19"} <= set(imported)
