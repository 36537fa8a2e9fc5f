"""The speed run of examples/: its numbers, its data, and ten steps of its network beside PyTorch's."""

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import fastconv

sys.path.insert(0, str(Path(__file__).parents[1] / "examples"))

import cifar10_recipe
import cifar10_speedrun
from cifar10_recipe import Recipe

SMALL = replace(Recipe(), batch_size=32, widths=(8, 12, 16), epochs=3.5)


@pytest.fixture
def one_thread():
    """PyTorch's many threads take minutes for small arrays where others compute too."""
    torch = pytest.importorskip("torch", reason="PyTorch is not a dependency; compared where it is installed")
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def float64():
    fastconv.set_dtype_policy("float64")
    yield
    fastconv.set_dtype_policy("float32")


def test_the_recipes_numbers_are_the_papers():
    recipe = Recipe()
    assert recipe.total_steps(50_000) == 476  # 48 batches in an epoch
    assert recipe.rate == pytest.approx(1.5) and recipe.bias_rate == pytest.approx(96)
    # its PyTorch form sums the losses of a batch: rates are 1 / 1024 of these, decay is 1024 times
    assert recipe.decay(recipe.rate) * 1024 == pytest.approx(0.0153 * 1024 / 11.5)
    assert recipe.decay(recipe.rate) * recipe.rate == pytest.approx(recipe.decay(recipe.bias_rate) * recipe.bias_rate)
    assert recipe.triangle(476) == ([0, 109, 476], [0.2, 1.0, 0.07])
    assert recipe.averaging(476, 476) == 0.95**5 and recipe.averaging(238, 476) == 0.95**5 / 8
    half = replace(recipe, batch_size=512)
    assert half.rate == recipe.rate / 2 and half.decay(half.rate) == pytest.approx(recipe.decay(recipe.rate))


def test_the_optimizer_follows_it():
    optimizer = cifar10_speedrun.optimizer(Recipe(), 476)
    kernel, beta = (optimizer.part_for(path) for path in ("conv2d/kernel", "batch_normalization_2/beta"))
    assert kernel is optimizer.part_for("whitening/bias") is optimizer.part_for("dense/kernel") is not beta
    for step, share in ((1, 0.2), (110, 1.0), (476, 0.07 + 0.93 / 367)):
        assert kernel.hyper(step)[0] == pytest.approx(1.5 * share)
        assert beta.hyper(step)[0] == pytest.approx(96 * share)
    assert optimizer.averaging.hyper(474)[:2].tolist() == [1, 0]
    assert optimizer.averaging.hyper(475)[:2].tolist() == pytest.approx([0.95**5 * (475 / 476) ** 3, 1])


def test_the_network_is_airbenchs():
    model = cifar10_speedrun.network(Recipe())
    assert sum(w.size for w in model.trainable_weights) == 1_971_352  # 1.97 million
    filters = model.layers[2].kernel.array  # 24 channels, 64 filters
    np.testing.assert_array_equal(filters[1, 1, :, :24], np.eye(24, dtype=np.float32))
    assert filters[..., :24].sum() == 24
    limit = (3 * 3 * 24) ** -0.5
    assert 0.95 * limit < np.abs(filters[..., 24:]).max() <= limit * (1 + 1e-6)


def test_whitened_patches_are_uncorrelated():
    images = cifar10_recipe.standardised(cifar10_recipe.synthetic(64)[0][0])
    filters = cifar10_recipe.whitening_filters(images, 1e-9)
    np.testing.assert_array_equal(filters[..., :12], -filters[..., 12:])
    y = fastconv.ops.conv2d(images.astype(np.float64), filters.astype(np.float64)).reshape(-1, 24)[:, :12]
    np.testing.assert_allclose(y.T @ y / len(y), np.eye(12), atol=1e-4)


def test_images_are_mirrored_in_turn_and_moved_by_two_pixels():
    flip, crop = cifar10_speedrun.augmentation(Recipe())
    assert (flip.mode, flip.alternate) == ("horizontal", True)
    assert (crop.height, crop.width, crop.padding, crop.fill_mode) == (32, 32, 2, "mirror")  # as np.pad's "reflect"
    images = np.random.default_rng(0).normal(size=(64, 32, 32, 3)).astype(np.float32)
    model = cifar10_speedrun.network(SMALL, [flip, crop])
    np.testing.assert_array_equal(crop(flip(images, training=False), training=False), images)
    assert [layer.name for layer in model.layers[:2]] == [flip.name, crop.name]
    half = cifar10_recipe.half_mirrored(images, 3)
    mirrored = (half == images[:, :, ::-1]).all((1, 2, 3))
    assert (mirrored | (half == images).all((1, 2, 3))).all() and 16 < mirrored.sum() < 48


def test_views_are_six_and_weigh_one_together():
    images = np.random.default_rng(0).normal(size=(3, 32, 32, 3)).astype(np.float32)
    weights, pictures = zip(*cifar10_recipe.views(images), strict=True)
    assert weights == (0.25, 0.25, 0.125, 0.125, 0.125, 0.125)
    np.testing.assert_array_equal(pictures[1], images[:, :, ::-1])
    np.testing.assert_array_equal(pictures[2][:, 1:, 1:], images[:, :-1, :-1])
    np.testing.assert_array_equal(pictures[4][:, :-1, :-1], images[:, 1:, 1:])
    labels = np.array([0, 1])
    answers = [(0.25, np.array([[3.0, 0], [1, 0]])), (0.75, np.array([[0, 0.5], [0, 1]]))]
    assert cifar10_recipe.accuracies(answers, labels) == (0.5, 1.0)


def test_views_are_pytorchs_too():
    torch = pytest.importorskip("torch", reason="PyTorch is not a dependency; compared where it is installed")
    import cifar10_speedrun_torch

    images = np.random.default_rng(0).normal(size=(3, 32, 32, 3)).astype(np.float32)
    theirs = cifar10_speedrun_torch.views(torch.from_numpy(images.transpose(0, 3, 1, 2)))
    for (weight, x), (their_weight, y) in zip(cifar10_recipe.views(images), theirs, strict=True):
        assert weight == their_weight
        np.testing.assert_array_equal(x, y.numpy().transpose(0, 2, 3, 1))


def _copy(model, net):
    """fastconv's weights into PyTorch's network."""
    torch = sys.modules["torch"]
    modules = [m for m in net if any(True for _ in m.parameters(recurse=False))]
    owners = [layer for layer in model.layers if layer.weights]
    for module, layer in zip(modules, owners, strict=True):
        state = {}
        for w in layer.weights:
            name = {"kernel": "weight", "beta": "bias", "moving_mean": "running_mean", "moving_variance": "running_var"}
            axes = {4: (3, 2, 0, 1), 2: (1, 0), 1: (0,)}[w.ndim]
            state[name.get(w.name, w.name)] = torch.from_numpy(w.numpy().transpose(axes).copy())
        module.load_state_dict(state, strict=False)


def test_ten_steps_are_pytorchs(float64, one_thread):
    """In float64, through two meetings of Lookahead, the change of the learning rate and the end of the whitening bias."""
    torch = pytest.importorskip("torch", reason="PyTorch is not a dependency; compared where it is installed")
    import cifar10_speedrun_torch

    steps = 10
    (images, labels), _ = cifar10_recipe.synthetic(96)
    fastconv.utils.set_random_seed(1)
    model = cifar10_speedrun.network(SMALL)
    filters = cifar10_recipe.whitening_filters(cifar10_recipe.standardised(images), SMALL.whitening_epsilon)
    model.get_layer("whitening").kernel.assign(filters)
    smooth = fastconv.losses.CategoricalCrossentropy(from_logits=True, label_smoothing=SMALL.label_smoothing)
    model.compile(cifar10_speedrun.optimizer(SMALL, steps), smooth)

    net = cifar10_speedrun_torch.network(SMALL).double()
    _copy(model, net)
    training = cifar10_speedrun_torch.Training(net, SMALL, steps)
    x_all, y_all = cifar10_recipe.standardised(images), np.eye(10)[labels]
    for step, rows in enumerate(np.random.default_rng(2).integers(0, 96, (steps, SMALL.batch_size))):
        x, y = x_all[rows], y_all[rows]
        if step == 5:
            model.get_layer("whitening").trainable = net[0].bias.requires_grad = False
            model.reset_training()
        ours = model.train_on_batch(x, y)
        theirs = training.step(
            torch.from_numpy(x.transpose(0, 3, 1, 2).astype(np.float64)), torch.from_numpy(y.argmax(1))
        )
        assert ours == pytest.approx(float(theirs), rel=1e-9), f"loss of step {step + 1}"
    model._optimizer_state.finish()
    training.finish()

    peer = cifar10_speedrun.network(SMALL)
    _copy_back(net, peer)
    ours, theirs = (
        model.weights_by_path(),
        dict(zip(model.weights_by_path(), peer.weights_by_path().values(), strict=True)),
    )
    start = cifar10_speedrun.network(SMALL)
    for (path, a), b, s in zip(ours.items(), theirs.values(), start.get_weights(), strict=True):
        # PyTorch's moving variance divides by one sample less: 288 of them in the last layers
        np.testing.assert_allclose(
            a.array, b.array, rtol=4e-3 if "variance" in path else 1e-8, atol=1e-10, err_msg=path
        )
        assert path == "whitening/kernel" or (a.array != s).any()


def _copy_back(net, model):
    modules = [m for m in net if any(True for _ in m.parameters(recurse=False))]
    for module, layer in zip(modules, [layer for layer in model.layers if layer.weights], strict=True):
        state = module.state_dict()
        for w in layer.weights:
            name = {"kernel": "weight", "beta": "bias", "moving_mean": "running_mean", "moving_variance": "running_var"}
            axes = {4: (2, 3, 1, 0), 2: (1, 0), 1: (0,)}[w.ndim]
            w.assign(state[name.get(w.name, w.name)].numpy().transpose(axes))


def test_a_run_learns():
    """A small network and drawn images, at a rate for few steps."""
    recipe = replace(SMALL, epochs=9.9, learning_rate=150.0)
    result = cifar10_speedrun.train(cifar10_recipe.synthetic(256), recipe, seed=0)
    assert result["steps"] == 80
    assert 0 < result["first_step_seconds"] < result["seconds"]
    assert result["accuracy"] > 0.6


def test_a_run_is_the_same_everywhere(device):
    """The whitening bias is frozen after three steps, slow weights are met after five."""
    (images, labels), (test_images, test_labels) = cifar10_recipe.synthetic(2)
    data = (images, labels), (test_images[:1], test_labels[:1])
    recipe = replace(SMALL, batch_size=2, widths=(8, 8, 8), epochs=6.0)

    def loss(place, policy):
        fastconv.set_device(place)
        fastconv.set_dtype_policy(policy)
        try:
            return cifar10_speedrun.train(data, recipe, seed=0)["last_loss"]
        finally:
            fastconv.set_dtype_policy("float32")

    expected = loss("cpu", "float32")
    assert loss(device, "float32") == pytest.approx(expected, rel=1e-3)
    if device != "cpu":
        assert loss(device, "mixed_bfloat16") == pytest.approx(expected, rel=3e-2)


def test_the_command_runs_both_forms_in_turn(tmp_path):
    pytest.importorskip("torch", reason="PyTorch is not a dependency; compared where it is installed")
    command = "--synthetic 40 --batch-size 8 --epochs 0.4 --width 0.1 --runs 2 --peer torch --json"
    script, report = cifar10_speedrun.__file__, tmp_path / "report.json"
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    subprocess.run([sys.executable, script, *command.split(), report], check=True, timeout=120, env=environment)
    written = json.loads(report.read_text())
    assert set(written["results"]) == {"fastconv_0", "torch_0", "fastconv_1", "torch_1"}
    assert written["command"].startswith("python examples/cifar10_speedrun.py --synthetic 40") and written["torch"]
    assert [(run["form"], run["seed"]) for run in written["runs"]] == [
        ("fastconv", 0),
        ("torch", 0),
        ("fastconv", 1),
        ("torch", 1),
    ]
    assert written["recipe"]["widths"] == [8, 26, 26] and all(run["steps"] == 2 for run in written["runs"])


def test_the_command_needs_no_pytorch(tmp_path):
    command = "--synthetic 40 --batch-size 8 --epochs 0.4 --width 0.1 --warm-up"
    done = subprocess.run(
        [sys.executable, "-X", "importtime", cifar10_speedrun.__file__, *command.split()],
        check=True,
        timeout=120,
        capture_output=True,
        text=True,
    )
    assert done.stdout.startswith("form fastconv seed 0 steps 2") and "torch" not in done.stderr
