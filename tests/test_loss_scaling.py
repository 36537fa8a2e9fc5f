"""Loss scaling: Keras's rule on the CPU and on an emulated GPU; skipped steps change nothing, what overflows is found."""

import numpy as np
import pytest

import fastconv
from fastconv import models, optimizers
from fastconv.testing.mixed_networks import IMAGES, LABELS, built, cnn, mlp

RNG = np.random.default_rng(20261121)
FORWARD = pytest.mark.parametrize("gpu", ["forward"], indirect=True)


def scaled_model(optimizer, stack=cnn):
    """On the CPU, in float32: the scale's rule is the same there."""
    return built(stack, "float32", optimizer)


def step(model, weight=1.0):
    model.train_on_batch(IMAGES, LABELS, sample_weight=np.full(12, weight))
    return model.optimizer.dynamic_scale, model.optimizer.step_counter, model.optimizer.iterations


def bits_of(model):
    return [w.tobytes() for w in model.get_weights()]


@pytest.mark.thread_unsafe(reason="its parameters are optimizers")
@pytest.mark.parametrize("inner", [optimizers.SGD(0.05, momentum=0.9), optimizers.Adam(0.01, clipnorm=0.5)])
def test_a_scale_of_a_power_of_two_changes_no_bit(inner):
    plain, scaled = (
        scaled_model(inner),
        scaled_model(optimizers.LossScaleOptimizer(optimizers.get(optimizers.serialize(inner)))),
    )
    for model in (plain, scaled):
        losses_seen = model.fit(IMAGES, LABELS, batch_size=5, epochs=2, shuffle=False, verbose=0).history["loss"]
        assert losses_seen[1] < losses_seen[0]
    fixed = scaled_model(
        optimizers.get({"class_name": type(inner).__name__, "config": inner.get_config() | {"loss_scale_factor": 64}})
    )
    fixed.fit(IMAGES, LABELS, batch_size=5, epochs=2, shuffle=False, verbose=0)
    assert bits_of(plain) == bits_of(scaled) == bits_of(fixed)
    assert scaled.optimizer.iterations == plain.optimizer.iterations == 6


def test_the_scale_grows_and_shrinks_by_kerass_rule():
    model = scaled_model(optimizers.LossScaleOptimizer(optimizers.SGD(0.01), initial_scale=8.0, dynamic_growth_steps=3))
    assert [step(model) for _ in range(4)] == [(8, 1, 1), (8, 2, 2), (16, 0, 3), (16, 1, 4)]
    before = bits_of(model)
    model.optimizer.dynamic_scale = 2.0**127  # with this weight, gradients beyond float32
    model.optimizer.step_counter = 2
    assert step(model, 1e4) == (2.0**126, 0, 4)
    after = bits_of(model)
    changed = [w.name for w, b, a in zip(model.weights, before, after, strict=True) if a != b]
    assert changed == ["moving_mean", "moving_variance"]  # the forward pass's, as in Keras
    while model.optimizer.iterations == 4:
        step(model, 1e4)
    assert bits_of(model) != after and model.optimizer.dynamic_scale < 2.0**125
    assert model.optimizer.step_counter == 1


@pytest.mark.thread_unsafe(reason="its parameters are optimizers")
@pytest.mark.parametrize(
    "inner",
    [
        lambda: optimizers.Adam(0.01),
        lambda: optimizers.Adam(0.01, use_ema=True, ema_momentum=0.5, ema_overwrite_frequency=2),
        lambda: optimizers.Lookahead("adam", sync_period=2),
    ],
)
def test_a_skipped_step_leaves_the_slots_alone(inner):
    """Steps, one of them skipped, end where the same steps without it end."""
    ends = []
    for skips in (False, True):
        model = scaled_model(optimizers.LossScaleOptimizer(inner()), mlp)
        step(model)
        if skips:
            model.optimizer.dynamic_scale, scale = 2.0**127, model.optimizer.dynamic_scale
            assert step(model, 1e4)[2] == 1
            model.optimizer.dynamic_scale = scale
        step(model)
        ends.append(bits_of(model))
    assert ends[0] == ends[1]


def test_a_loss_that_is_not_finite_is_an_error_all_the_same():
    model = scaled_model(optimizers.LossScaleOptimizer(optimizers.SGD(0.01)))
    before, scale = model.trainable_weights[0].numpy(), model.optimizer.dynamic_scale
    with pytest.raises(fastconv.NonFiniteLossError):
        model.train_on_batch(np.where(IMAGES > 0, 3e38, -3e38).astype(np.float32), LABELS)
    np.testing.assert_array_equal(model.trainable_weights[0].numpy(), before)
    assert (model.optimizer.dynamic_scale, model.optimizer.iterations) == (scale, 0)


def test_too_large_a_fixed_scale_is_an_error_and_changes_nothing():
    for optimizer in (
        optimizers.SGD(0.01, loss_scale_factor=2.0**127),
        optimizers.MultiOptimizer(optimizers.OptimizerMap("sgd"), loss_scale_factor=2.0**127),
    ):
        model = scaled_model(optimizers.get(optimizers.serialize(optimizer)), mlp)
        before = bits_of(model)
        with pytest.raises(
            fastconv.NonFiniteLossError, match=r"gradients of the scaled loss .* loss_scale_factor=1\.70"
        ):
            step(model, 1e4)
        assert bits_of(model) == before
    with pytest.raises(ValueError, match=r"outermost.*leave loss_scale_factor out"):
        optimizers.LossScaleOptimizer(optimizers.Adam(loss_scale_factor=2))


@FORWARD
def test_float16_needs_the_scale_and_overflows_with_too_much_of_it(on_gpu):
    """Gradients of 1e-9 vanish in float16; a scale of 2^24 makes others infinite, until it has been halved enough."""
    ends = {}
    for scale in (None, 2.0**24):
        model = built(mlp, "mixed_float16", optimizers.SGD(1e6), auto_scale_loss=False)
        if scale is not None:
            model.compile(optimizers.LossScaleOptimizer(optimizers.SGD(1e6), scale), "sparse_categorical_crossentropy")
        before = [w.copy() for w in model.get_weights()]
        model.train_on_batch(IMAGES, LABELS, sample_weight=np.full(12, 1e-7))
        ends[scale] = before, model
    for (before, model), moved in zip(ends.values(), (False, True), strict=True):
        kernel = model.get_weights()[0]
        assert np.array_equal(kernel, before[0]) != moved
    model = ends[2.0**24][1]
    before = bits_of(model)
    assert step(model)[::2] == (2.0**23, 1)
    assert bits_of(model) == before
    while model.optimizer.iterations == 1:
        step(model)
    assert bits_of(model) != before and np.isfinite(model.get_weights()[0]).all()


@FORWARD
def test_compile_scales_the_loss_of_float16_alone(on_gpu):
    for policy, scaled in (("mixed_float16", True), ("mixed_bfloat16", False), ("float32", False)):
        model = built(mlp, policy, "adam")
        assert isinstance(model.optimizer, optimizers.LossScaleOptimizer) == scaled
        assert built(mlp, policy, "adam", auto_scale_loss=False).optimizer.waits_for_verdict is False
    given = optimizers.LossScaleOptimizer(optimizers.SGD(), 4.0)
    assert built(mlp, "mixed_float16", given).optimizer is given


def test_the_wrapper_speaks_for_what_it_wraps():
    inner = optimizers.Adam(0.5)
    outer = optimizers.LossScaleOptimizer(inner, initial_scale=4.0, dynamic_growth_steps=7, name="scaled")
    outer.learning_rate = 0.25
    outer.iterations = 3
    assert (inner.learning_rate, inner.iterations) == (0.25, 3)
    copy = optimizers.get(optimizers.serialize(outer))
    assert copy.get_config() == outer.get_config()
    assert isinstance(copy.inner_optimizer, optimizers.Adam) and copy.name == "scaled"


@pytest.mark.parametrize(
    ("make", "error", "words"),
    [
        (lambda: optimizers.LossScaleOptimizer(3), TypeError, "optimizer.*3"),
        (lambda: optimizers.get("LossScaleOptimizer"), TypeError, "made of other optimizers"),
        (
            lambda: optimizers.LossScaleOptimizer(optimizers.LossScaleOptimizer(optimizers.SGD())),
            ValueError,
            "loss scale must be outermost.*LossScaleOptimizer",
        ),
        (
            lambda: optimizers.Lookahead(optimizers.LossScaleOptimizer("sgd")),
            ValueError,
            "loss scale must be outermost",
        ),
        (lambda: optimizers.LossScaleOptimizer(optimizers.SGD(), 0), ValueError, "initial_scale.*0"),
        (
            lambda: optimizers.LossScaleOptimizer(optimizers.SGD(), dynamic_growth_steps=0),
            ValueError,
            "growth_steps.*0",
        ),
        (
            lambda: optimizers.LossScaleOptimizer(optimizers.SGD()).set_state({"iterations": 1}),
            TypeError,
            "dynamic_scale",
        ),
        (lambda: optimizers.SGD().set_state({"iterations": 1, "dynamic_scale": 2.0}), ValueError, "SGD.*dynamic_scale"),
    ],
)
def test_what_a_loss_scale_refuses(make, error, words):
    with pytest.raises(error, match=words):
        make()


def test_the_scale_is_saved(tmp_path):
    model = scaled_model(optimizers.LossScaleOptimizer(optimizers.Adam(0.01), 64.0, dynamic_growth_steps=2))
    for _ in range(3):
        step(model)
    model.save(tmp_path / "scaled.safetensors")
    copy = models.load_model(tmp_path / "scaled.safetensors")
    assert copy.optimizer.state() == {"iterations": 3, "dynamic_scale": 128.0, "step_counter": 1}
    step(model), step(copy)
    assert bits_of(model) == bits_of(copy)


@pytest.mark.parametrize("place", (None, 0, 4095, 4096, 9998))
@pytest.mark.parametrize("bad", (np.nan, np.inf, -np.inf))
def test_unscaling_finds_what_is_not_finite(place, bad, isa):
    from fastconv import _cpu

    for dtype in (np.float32, np.float64):
        g = RNG.normal(size=9999).astype(dtype)
        if place is not None:
            g[place] = bad
        wanted, total = g * dtype(0.125), np.ones(1, dtype)
        spec = _cpu.VectorSpec.make(g.dtype.name, "unscale", g.shape)
        _cpu.run("unscale", spec, [np.array([0.125]), g, total])
        np.testing.assert_array_equal(g, wanted)
        assert np.isnan(total[0]) if place is not None else total[0] == 0


@pytest.mark.parametrize("bad", (np.nan, np.inf))
def test_unscaling_finds_it_on_a_gpu(bad, gpu, cuda_module):
    from fastconv import _cpu

    for n in (1, 777, 20003):
        for place in (None, 0, n - 1):
            g = RNG.normal(size=n).astype(np.float32)
            if place is not None:
                g[place] = bad
            there, total = gpu.asarray(g), gpu.empty((1,), np.float32)
            spec = _cpu.VectorSpec.make("float32", "unscale", g.shape)
            workspace = gpu.empty((cuda_module.workspace_bytes("unscale", spec) + 1,), np.uint8)
            cuda_module.run("unscale", spec, [gpu.asarray(np.array([0.5])), there, total], workspace.data.ptr, 0)
            np.testing.assert_array_equal(there.get(), g * np.float32(0.5))
            assert np.isnan(total.get()[0]) if place is not None else total.get()[0] == 0
