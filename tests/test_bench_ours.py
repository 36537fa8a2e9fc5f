"""fastconv's side of the benches, which peers are compared with: what it runs is what users run."""

import numpy as np

import ours
from fastconv import layers, losses, models, ops, optimizers


def test_an_operation_gives_what_a_call_gives():
    rng = np.random.default_rng(0)
    arrays = {"x": rng.standard_normal((2, 7, 6, 3), np.float32), "w": rng.standard_normal((3, 3, 3, 4), np.float32)}
    dy = rng.standard_normal((2, 5, 4, 4), np.float32)
    y, dx = ours.operation(lambda x, w: ops.conv2d(x, w), arrays, dy, ["x"]).results()
    np.testing.assert_array_equal(y, ops.conv2d(**arrays))
    np.testing.assert_array_equal(dx, ops.conv2d_backward(dy, **arrays)[0])


def test_a_step_of_adam_is_that_of_a_training():
    """The loss is the sum of the weights times constants, so these are its gradient."""
    rng = np.random.default_rng(1)
    weights, gradient = rng.standard_normal((2, 6), np.float32)
    (after,) = ours.adam(weights, gradient).results()
    model = models.Sequential([layers.Input((6,)), layers.Dense(1, use_bias=False)])
    model.compile(optimizers.Adam(), losses.MeanAbsoluteError())
    model.set_weights([weights[:, None]])
    model.train_on_batch(-gradient[None], np.full((1, 1), 1e3, np.float32))
    np.testing.assert_allclose(model.get_weights()[0][:, 0], after, rtol=1e-6)
