"""The reference against PyTorch in float64, wherever PyTorch has the same operation."""

from functools import partial

import numpy as np
import pytest

from fastconv import reference
from fastconv.testing.cases import Case, case_id, cases, random_cases
from fastconv.testing.compare import random_inputs

torch = pytest.importorskip("torch", reason="the peer that the reference is compared with")
F = torch.nn.functional
torch.set_num_threads(1)  # the problems are small, and waking a second thread takes longer than they do
_CLOSE = {"rtol": 1e-11, "atol": 1e-12}


def _nchw(x):
    return torch.tensor(np.ascontiguousarray(np.moveaxis(x, -1, 1)))


def _nhwc(t):
    return np.moveaxis(t.detach().numpy(), 1, -1)


def _leaf(t):
    return t.clone().requires_grad_(True)


def _pair(v):
    return (v, v) if isinstance(v, int) else tuple(v)


def _pads(case: Case):
    """((top, bottom), (left, right)) of a case, by TensorFlow's published "same" rule, restated here."""
    given = case.kwargs.get("padding", 0)
    if not isinstance(given, str):
        rows, cols = _pair(given)
        return _pair(rows), _pair(cols)
    if given == "valid":
        return (0, 0), (0, 0)
    window = case.shapes["w"][:2] if "w" in case.shapes else _pair(case.kwargs["pool_size"])
    stride = case.kwargs.get("stride") or (1 if "w" in case.shapes else window)
    pads = []
    for n, k, s, d in zip(
        case.shapes["x"][1:3], window, _pair(stride), _pair(case.kwargs.get("dilation", 1)), strict=True
    ):
        eff = (k - 1) * d + 1
        total = max(eff - s, 0) if n % s == 0 else max(eff - n % s, 0)
        if case.op == "conv2d_transpose":
            total = max(eff - s, 0)
        pads.append((total // 2, total - total // 2) if given == "same" else (total - total // 2, total // 2))
    return tuple(pads)


_CONVS = [c.small() for c in cases("conv2d") if "bench" not in c.tags and "activation" not in c.kwargs]


@pytest.mark.parametrize("case", _CONVS + random_cases("conv2d", 100, seed=21), ids=case_id)
def test_conv2d(case):
    inputs = random_inputs(case, np.random.default_rng(0), np.float64)
    kwargs = case.kwargs
    (top, bottom), (left, right) = _pads(case)
    x = _leaf(_nchw(inputs["x"]))
    w = _leaf(torch.tensor(inputs["w"].transpose(3, 2, 0, 1).copy()))
    b = _leaf(torch.tensor(inputs["bias"])) if "bias" in inputs else None
    y = F.conv2d(
        F.pad(x, (left, right, top, bottom)),
        w,
        b,
        _pair(kwargs.get("stride", 1)),
        0,
        _pair(kwargs.get("dilation", 1)),
        kwargs.get("groups", 1),
    )
    mine = reference.conv2d(*inputs.values(), **kwargs)
    np.testing.assert_allclose(mine, _nhwc(y), **_CLOSE)
    dy = np.random.default_rng(1).uniform(-1, 1, mine.shape)
    y.backward(_nchw(dy))
    dx, dw, db = reference.conv2d_backward(dy, *inputs.values(), **kwargs)
    np.testing.assert_allclose(dx, _nhwc(x.grad), **_CLOSE)
    np.testing.assert_allclose(dw, w.grad.numpy().transpose(2, 3, 1, 0), **_CLOSE)
    if b is not None:
        np.testing.assert_allclose(db, b.grad.numpy(), **_CLOSE)


@pytest.mark.parametrize(
    "case", [*cases("conv2d_transpose"), *random_cases("conv2d_transpose", 60, seed=22)], ids=case_id
)
def test_conv2d_transpose(case):
    inputs = random_inputs(case, np.random.default_rng(0), np.float64)
    kwargs = case.kwargs
    pads = _pads(case)
    groups, stride = kwargs.get("groups", 1), _pair(kwargs.get("stride", 1))
    # PyTorch pads both sides alike: compute without pads and crop. A "same" whose kernel is shorter than its
    # stride has rows that no tap reaches; they hold the bias alone.
    extra = _pair(kwargs.get("output_padding", 0))
    x = _leaf(_nchw(inputs["x"]))
    w = _leaf(torch.tensor(inputs["w"].transpose(3, 2, 0, 1).copy()))
    b = _leaf(torch.tensor(inputs["bias"])) if "bias" in inputs else None
    full = F.conv_transpose2d(x, w, None, stride, 0, 0, groups, _pair(kwargs.get("dilation", 1)))
    extents = []
    for i in range(2):
        n = case.shapes["x"][1 + i]
        extent = full.shape[2 + i] - sum(pads[i]) + extra[i]
        extents.append(n * stride[i] if kwargs.get("padding") in ("same", "same_lower") else extent)
    full = F.pad(full, (0, 50, 0, 50))
    (top, _), (left, _) = pads
    y = full[:, :, top : top + extents[0], left : left + extents[1]]
    if b is not None:
        y = y + b[:, None, None]
    mine = reference.conv2d_transpose(*inputs.values(), **kwargs)
    np.testing.assert_allclose(mine, _nhwc(y), **_CLOSE)
    dy = np.random.default_rng(1).uniform(-1, 1, mine.shape)
    y.backward(_nchw(dy))
    dx, dw, db = reference.conv2d_transpose_backward(dy, *inputs.values(), **kwargs)
    np.testing.assert_allclose(dx, _nhwc(x.grad), **_CLOSE)
    np.testing.assert_allclose(dw, w.grad.numpy().transpose(2, 3, 1, 0), **_CLOSE)
    if b is not None:
        np.testing.assert_allclose(db, b.grad.numpy(), **_CLOSE)


@pytest.mark.parametrize(
    "stride,padding,output_padding,dilation,groups", [(3, 1, 2, 1, 1), (2, 2, 1, 2, 3), (4, 0, 3, 3, 1)]
)
def test_conv2d_transpose_output_padding(stride, padding, output_padding, dilation, groups):
    """PyTorch's own output_padding, groups and dilation, without the crop of the test above."""
    rng = np.random.default_rng(3)
    x, w, b = (
        rng.uniform(-1, 1, (2, 4, 5, 6)),
        rng.uniform(-1, 1, (3, 2, 4, 6)),
        rng.uniform(-1, 1, 4 * groups),
    )
    y = F.conv_transpose2d(
        _nchw(x),
        torch.tensor(w.transpose(3, 2, 0, 1).copy()),
        torch.tensor(b),
        stride,
        padding,
        output_padding,
        groups,
        dilation,
    )
    mine = reference.conv2d_transpose(
        x,
        w,
        b,
        stride=stride,
        padding=padding,
        output_padding=output_padding,
        dilation=dilation,
        groups=groups,
    )
    np.testing.assert_allclose(mine, _nhwc(y), **_CLOSE)


def _symmetric(case: Case) -> bool:
    """What PyTorch's pooling can express: one pad per axis, of at most half the window."""
    window = _pair(case.kwargs["pool_size"])
    return "batch" not in case.name and all(
        a == b and 2 * a <= k for (a, b), k in zip(_pads(case), window, strict=True)
    )


def _pool_cases(op):
    found = [c.small() for c in cases(op)] + random_cases(op, 250, seed=23)
    found = [c for c in found if _symmetric(c) and c.shapes["x"][0] > 0]
    assert len(found) > 40
    return found


@pytest.mark.parametrize("case", _pool_cases("max_pool2d"), ids=case_id)
def test_max_pool2d(case):
    _compare_pool(case, lambda x, k, s, p, d, ceil: F.max_pool2d(x, k, s, p, d, ceil))


@pytest.mark.parametrize(
    "case",
    [c for c in _pool_cases("avg_pool2d") if _pair(c.kwargs.get("dilation", 1)) == (1, 1)],
    ids=case_id,
)
def test_avg_pool2d(case):
    include = case.kwargs.get("count_include_pad", False)
    _compare_pool(case, lambda x, k, s, p, d, ceil: F.avg_pool2d(x, k, s, p, ceil, include))


def _compare_pool(case, pool):
    x = np.random.default_rng(0).integers(-3, 4, case.shapes["x"]).astype(np.float64)  # many ties
    kwargs = case.kwargs
    window = _pair(kwargs["pool_size"])
    padding = tuple(before for before, _ in _pads(case))
    leaf = _leaf(_nchw(x))
    y = pool(
        leaf,
        window,
        _pair(kwargs.get("stride") or window),
        padding,
        _pair(kwargs.get("dilation", 1)),
        kwargs.get("ceil_mode", False),
    )
    mine = getattr(reference, case.op)(x, **kwargs)
    np.testing.assert_allclose(mine, _nhwc(y), **_CLOSE)
    dy = np.random.default_rng(1).uniform(-1, 1, mine.shape)
    y.backward(_nchw(dy))
    (dx,) = getattr(reference, f"{case.op}_backward")(dy, x, **kwargs)
    np.testing.assert_allclose(dx, _nhwc(leaf.grad), **_CLOSE)


_X = np.concatenate([np.linspace(-12, 12, 97), [-3.0, 0.0, 3.0, 6.0, 1e-9, -1e-9, 40.0, -40.0]])


@pytest.mark.parametrize(
    "name,peer,kwargs",
    [
        ("relu", F.relu, {}),
        ("relu6", F.relu6, {}),
        ("leaky_relu", lambda x: F.leaky_relu(x, 0.2), {}),
        ("leaky_relu", lambda x: F.leaky_relu(x, 0.01), {"negative_slope": 0.01}),
        ("elu", F.elu, {}),
        ("elu", lambda x: F.elu(x, 0.5), {"alpha": 0.5}),
        ("selu", F.selu, {}),
        ("gelu", F.gelu, {}),
        ("gelu", lambda x: F.gelu(x, approximate="tanh"), {"approximate": True}),
        ("silu", F.silu, {}),
        ("hard_sigmoid", F.hardsigmoid, {}),
        ("hard_swish", F.hardswish, {}),
        ("sigmoid", torch.sigmoid, {}),
        ("tanh", torch.tanh, {}),
        ("softplus", lambda x: F.softplus(x, threshold=1000), {}),
        ("softmax", lambda x: F.softmax(x, -1), {}),
        ("log_softmax", lambda x: F.log_softmax(x, -1), {}),
    ],
)
def test_activation(name, peer, kwargs):
    x = _leaf(torch.tensor(_X.reshape(7, 15)))
    y = peer(x)
    np.testing.assert_allclose(getattr(reference, name)(_X.reshape(7, 15), **kwargs), y.detach().numpy(), **_CLOSE)
    dy = np.random.default_rng(0).uniform(-1, 1, (7, 15))
    y.backward(torch.tensor(dy))
    (dx,) = getattr(reference, f"{name}_backward")(dy, _X.reshape(7, 15), **kwargs)
    # PyTorch's hardsigmoid holds 1/6 in float32.
    np.testing.assert_allclose(dx, x.grad.numpy(), rtol=1e-7, atol=1e-12)


@pytest.mark.parametrize("training", [False, True])
def test_batch_norm(training):
    rng = np.random.default_rng(0)
    x, gamma, beta, mean = (rng.uniform(-2, 2, s) for s in ((4, 5, 6, 3), 3, 3, 3))
    var, dy = rng.uniform(0.5, 2, 3), rng.uniform(-1, 1, x.shape)
    t, g, b = _leaf(_nchw(x)), _leaf(torch.tensor(gamma)), _leaf(torch.tensor(beta))
    running = torch.tensor(mean), torch.tensor(var)
    y = F.batch_norm(t, *running, g, b, training, 0.01, 1e-3)  # PyTorch's momentum is one minus Keras's
    y.backward(_nchw(dy))
    mine = reference.batch_norm(x, gamma, beta, mean, var, training=training)
    if training:
        mine, new_mean, new_var = mine
        np.testing.assert_allclose(new_mean, running[0].numpy(), **_CLOSE)
        np.testing.assert_allclose(new_var, var * 0.99 + 0.01 * x.var(axis=(0, 1, 2)), **_CLOSE)  # biased, as Keras
    np.testing.assert_allclose(mine, _nhwc(y), **_CLOSE)
    dx, dgamma, dbeta, *none = reference.batch_norm_backward(dy, x, gamma, beta, mean, var, training=training)
    np.testing.assert_allclose(dx, _nhwc(t.grad), **_CLOSE)
    np.testing.assert_allclose(dgamma, g.grad.numpy(), **_CLOSE)
    np.testing.assert_allclose(dbeta, b.grad.numpy(), **_CLOSE)
    assert none == [None, None]


def test_layer_norm():
    rng = np.random.default_rng(0)
    x, gamma, beta = (rng.uniform(-2, 2, s) for s in ((4, 5, 7), 7, 7))
    t, g, b = (_leaf(torch.tensor(v)) for v in (x, gamma, beta))
    y = F.layer_norm(t, (7,), g, b, 1e-3)
    np.testing.assert_allclose(reference.layer_norm(x, gamma, beta), y.detach().numpy(), **_CLOSE)
    dy = rng.uniform(-1, 1, x.shape)
    y.backward(torch.tensor(dy))
    for mine, theirs in zip(reference.layer_norm_backward(dy, x, gamma, beta), (t, g, b), strict=True):
        np.testing.assert_allclose(mine, theirs.grad.numpy(), **_CLOSE)


_LABELS = np.array([0, 2, 1, 2])


@pytest.mark.parametrize(
    "name,kwargs,peer",
    [
        ("mean_squared_error", {}, lambda t, p: F.mse_loss(p, t, reduction="none").mean(-1)),
        ("mean_absolute_error", {}, lambda t, p: F.l1_loss(p, t, reduction="none").mean(-1)),
        ("huber", {"delta": 0.7}, lambda t, p: F.huber_loss(p, t, "none", 0.7).mean(-1)),
        ("binary_crossentropy", {}, lambda t, p: F.binary_cross_entropy(p, t, reduction="none").mean(-1)),
        (
            "binary_crossentropy",
            {"from_logits": True},
            lambda t, p: F.binary_cross_entropy_with_logits(p, t, reduction="none").mean(-1),
        ),
        (
            "categorical_crossentropy",
            {"from_logits": True},
            lambda t, p: F.cross_entropy(p, t, reduction="none"),
        ),
        (
            "categorical_crossentropy",
            {"from_logits": True, "label_smoothing": 0.2},
            lambda t, p: F.cross_entropy(p, t, reduction="none", label_smoothing=0.2),
        ),
        (
            "categorical_crossentropy",
            {},
            lambda t, p: F.nll_loss(torch.log(p / p.sum(-1, True)), t.argmax(-1), reduction="none"),
        ),
        ("kl_divergence", {}, lambda t, p: F.kl_div(p.log(), t.clamp(1e-7), reduction="none").sum(-1)),
    ],
)
def test_loss(name, kwargs, peer):
    rng = np.random.default_rng(0)
    t = np.eye(3)[_LABELS]
    p = rng.uniform(0.1, 0.9, (4, 3)) if not kwargs.get("from_logits") else rng.uniform(-3, 3, (4, 3))
    leaf = _leaf(torch.tensor(p))
    loss = peer(torch.tensor(t), leaf)
    np.testing.assert_allclose(getattr(reference, name)(t, p, **kwargs), loss.detach().numpy(), **_CLOSE)
    dy = rng.uniform(-1, 1, 4)
    loss.backward(torch.tensor(dy))
    none, dp = getattr(reference, f"{name}_backward")(dy, t, p, **kwargs)
    assert none is None
    np.testing.assert_allclose(dp, leaf.grad.numpy(), **_CLOSE)
    if name == "categorical_crossentropy" and "label_smoothing" not in kwargs:
        for labels in (_LABELS, _LABELS[:, None]):
            sparse = reference.sparse_categorical_crossentropy(labels, p, **kwargs)
            np.testing.assert_allclose(sparse, loss.detach().numpy(), **_CLOSE)
            _, ds = reference.sparse_categorical_crossentropy_backward(dy, labels, p, **kwargs)
            np.testing.assert_allclose(ds, dp, **_CLOSE)


def _torch_steps(make, w, gradients):
    leaf = _leaf(torch.tensor(w))
    optimizer = make([leaf])
    for g in gradients:
        leaf.grad = torch.tensor(g)
        optimizer.step()
    return leaf.detach().numpy()


def test_optimizers_agree_where_pytorch_has_keras_rule():
    """SGD and Adagrad with constant learning rates; Adam with a tiny epsilon, whose place differs."""
    rng = np.random.default_rng(0)
    w, gradients = rng.uniform(-1, 1, 7), rng.uniform(-1, 1, (5, 7))
    optim = torch.optim
    for keywords in ({"momentum": 0.9}, {"momentum": 0.9, "nesterov": True}):
        mine, v = w, np.zeros(7)
        for g in gradients:
            mine, v = reference.sgd_step(mine, g, v, learning_rate=0.1, **keywords)
        peer = _torch_steps(partial(optim.SGD, lr=0.1, **keywords), w, gradients)
        np.testing.assert_allclose(mine, peer, **_CLOSE)
    mine, m, v = w, np.zeros(7), np.zeros(7)
    for t, g in enumerate(gradients, 1):
        mine, m, v = reference.adamw_step(mine, g, m, v, step=t, epsilon=1e-300, weight_decay=0.01)
    peer = _torch_steps(lambda p: optim.AdamW(p, 0.001, eps=1e-300, weight_decay=0.01), w, gradients)
    np.testing.assert_allclose(mine, peer, **_CLOSE)
    mine, a = w, np.full(7, 0.1)
    for g in gradients:
        mine, a = reference.adagrad_step(mine, g, a, epsilon=1e-300)
    peer = _torch_steps(lambda p: optim.Adagrad(p, 0.001, initial_accumulator_value=0.1, eps=1e-300), w, gradients)
    np.testing.assert_allclose(mine, peer, **_CLOSE)
    mine, v, b, a = w, *np.zeros((3, 7))
    for g in gradients:
        mine, v, b, a = reference.rmsprop_step(mine, g, v, b, a, epsilon=1e-300, centered=True, momentum=0.5)
    peer = _torch_steps(lambda p: optim.RMSprop(p, 0.001, 0.9, eps=1e-300, centered=True, momentum=0.5), w, gradients)
    np.testing.assert_allclose(mine[1:], peer[1:], rtol=1e-6)
    mine, a, d = w, *np.zeros((2, 7))
    for g in gradients:
        mine, a, d = reference.adadelta_step(mine, g, a, d, learning_rate=1.0)
    peer = _torch_steps(lambda p: optim.Adadelta(p, 1.0, 0.95, 1e-7), w, gradients)
    np.testing.assert_allclose(mine, peer, **_CLOSE)
