"""Initializers: variance formulas, fans, seeds, names and configs, refusals."""

import math
import os

import numpy as np
import pytest

import fastconv.random
from fastconv import initializers, reference

SHAPES = [(300, 200), (3, 3, 40, 60), (5, 1, 32, 64)]
FORMULAS = {
    "glorot_uniform": lambda fan_in, fan_out: 2 / (fan_in + fan_out),
    "glorot_normal": lambda fan_in, fan_out: 2 / (fan_in + fan_out),
    "he_uniform": lambda fan_in, fan_out: 2 / fan_in,
    "he_normal": lambda fan_in, fan_out: 2 / fan_in,
    "lecun_uniform": lambda fan_in, fan_out: 1 / fan_in,
    "lecun_normal": lambda fan_in, fan_out: 1 / fan_in,
}
ALL = [
    initializers.Zeros(),
    initializers.Ones(),
    initializers.Constant(0.3),
    initializers.Identity(2.0),
    initializers.RandomNormal(1.0, 0.2, seed=1),
    initializers.RandomUniform(-1.0, 2.0, seed=2),
    initializers.TruncatedNormal(0.5, 0.1, seed=3),
    initializers.VarianceScaling(2.0, "fan_avg", "untruncated_normal", seed=4),
    initializers.VarianceScaling(seed=4, input_axes=[0], output_axes=[1]),
    initializers.GlorotUniform(seed=5),
    initializers.GlorotNormal(seed=5),
    initializers.HeUniform(seed=5),
    initializers.HeNormal(seed=5),
    initializers.LecunUniform(seed=5),
    initializers.LecunNormal(seed=5),
    initializers.Orthogonal(1.5, seed=6),
]


@pytest.fixture(autouse=True)
def _seeded():
    fastconv.random.seed(2024)


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("name", FORMULAS)
def test_variance_follows_the_fans(name, shape):
    values = initializers.get(name)(shape)
    expected = FORMULAS[name](*initializers.compute_fans(shape))
    count = values.size
    # Five standard errors of a variance (kurtosis <= 3) and of a mean.
    assert abs(values.var(dtype=np.float64) / expected - 1) < 5 * math.sqrt(2 / count)
    assert abs(values.mean(dtype=np.float64)) < 5 * math.sqrt(expected / count)


@pytest.mark.parametrize("name", [n for n in FORMULAS if n.endswith("uniform")])
def test_uniform_members_stay_within_their_limit(name):
    values = initializers.get(name)(SHAPES[1])
    limit = math.sqrt(3 * FORMULAS[name](*initializers.compute_fans(SHAPES[1])))
    assert 0.99 * limit < np.abs(values).max() <= limit * (1 + 1e-6)


def test_truncated_normal_is_cut_at_two_deviations():
    values = initializers.TruncatedNormal(mean=3.0, stddev=0.5)((200, 200))
    assert np.abs(values - 3).max() <= 1.0 + 1e-6
    assert values.std() == pytest.approx(0.5 * 0.8796, rel=0.02)


def test_default_random_normal_and_uniform_are_those_of_keras():
    normal, uniform = initializers.get("normal")((300, 300)), initializers.get("uniform")((300, 300))
    assert normal.std() == pytest.approx(0.05, rel=0.02) and abs(normal.mean()) < 1e-3
    assert uniform.min() >= -0.05 and uniform.max() < 0.0500001
    assert uniform.std() == pytest.approx(0.1 / math.sqrt(12), rel=0.02)


@pytest.mark.parametrize("shape", [(8, 5), (5, 8), (6, 6), (3, 3, 2, 7)], ids=str)
def test_orthogonal_has_orthonormal_rows_or_columns(shape):
    matrix = initializers.Orthogonal(gain=2.0)(shape, "float64").reshape(-1, shape[-1]) / 2
    if matrix.shape[0] < matrix.shape[1]:
        matrix = matrix.T
    np.testing.assert_allclose(matrix.T @ matrix, np.eye(matrix.shape[1]), atol=1e-12)


def test_dirac_filters_pass_an_image_through():
    x = np.random.default_rng(0).normal(size=(2, 5, 6, 3)).astype(np.float32)
    for window in ((3, 3), (1, 1), (2, 4)):
        w = initializers.Dirac(rest=initializers.RandomNormal(seed=1))((*window, 3, 5))
        y = reference.conv2d(x, w, padding="same")
        np.testing.assert_array_equal(y[..., :3], x)
        np.testing.assert_array_equal(w[..., 3:], initializers.RandomNormal(seed=1)((*window, 3, 2)))
    narrow = initializers.Dirac()((3, 3, 4, 2))
    assert narrow.sum() == 2 and narrow[1, 1, 0, 0] == narrow[1, 1, 1, 1] == 1


def test_dirac_is_pytorchs():
    torch = pytest.importorskip("torch", reason="PyTorch is not a dependency; compared where it is installed")
    for shape in ((5, 3, 3, 3), (3, 5, 3, 3), (4, 4, 1, 5)):
        theirs = torch.nn.init.dirac_(torch.empty(shape)).numpy().transpose(2, 3, 1, 0)
        np.testing.assert_array_equal(initializers.Dirac()(theirs.shape), theirs)


@pytest.mark.parametrize("rest", [None, "he_normal", initializers.VarianceScaling(1 / 3, "fan_in", "uniform", seed=3)])
def test_dirac_config_round_trip(rest):
    initializer = initializers.Dirac(rest)
    again = initializers.get(initializers.serialize(initializer))
    assert type(again.rest) is type(initializer.rest) and again.get_config() == initializer.get_config()


@pytest.mark.parametrize(
    ("shape", "fans"),
    [
        ((), (1, 1)),
        ((7,), (7, 7)),
        ((4, 9), (4, 9)),
        ((3, 5, 2, 8), (30, 120)),
        ((2, 3, 4, 5, 6), (120, 144)),
    ],
)
def test_compute_fans(shape, fans):
    assert initializers.compute_fans(shape) == fans


@pytest.mark.parametrize("initializer", ALL, ids=lambda i: type(i).__name__)
def test_config_round_trip_gives_the_same_values(initializer):
    again = initializers.get(initializers.serialize(initializer))
    assert type(again) is type(initializer) and again.get_config() == initializer.get_config()
    for dtype in ("float16", "float32", "float64"):
        values = initializer((6, 6), dtype)
        assert values.dtype == dtype and values.shape == (6, 6) and values.flags.c_contiguous
        assert values.flags.writeable and np.array_equal(values, again((6, 6), dtype))


def test_seed_none_draws_new_values_from_the_global_stream():
    initializer = initializers.HeNormal()
    first, second = initializer((4, 4)), initializer((4, 4))
    assert not np.array_equal(first, second)
    fastconv.random.seed(2024)
    assert np.array_equal(initializer((4, 4)), first)


@pytest.mark.parametrize("shape", [(0,), (3, 0), (0, 4, 2)], ids=str)
def test_empty_weights_are_empty(shape):
    for initializer in (initializers.Zeros(), initializers.HeNormal(), initializers.RandomUniform()):
        assert initializer(shape).shape == shape


def test_get_accepts_names_classes_functions_and_none():
    assert initializers.get(None) is None
    for name in ("HeNormal", "he_normal", initializers.HeNormal, initializers.HeNormal()):
        assert isinstance(initializers.get(name), initializers.HeNormal)
    ramp = initializers.get(lambda shape, dtype: np.arange(math.prod(shape), dtype=dtype).reshape(shape))
    assert np.array_equal(ramp((2, 2)), [[0, 1], [2, 3]])


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: initializers.get("glorot_unifrm"), ValueError, "Did you mean 'GlorotUniform'"),
        (lambda: initializers.get(3), TypeError, "int"),
        (lambda: initializers.get({"config": {}}), TypeError, "class_name"),
        (lambda: initializers.get({"class_name": "os.system", "config": {}}), ValueError, "os.system"),
        (lambda: initializers.Constant("0"), TypeError, "value"),
        (lambda: initializers.Constant(math.nan), ValueError, "value"),
        (lambda: initializers.RandomNormal(stddev=-1), ValueError, "stddev >= 0"),
        (lambda: initializers.RandomUniform(1.0, 0.0), ValueError, "maxval"),
        (lambda: initializers.VarianceScaling(0.0), ValueError, "scale > 0"),
        (lambda: initializers.VarianceScaling(mode="fan"), ValueError, "'fan_avg'"),
        (lambda: initializers.VarianceScaling(distribution=1), TypeError, "distribution"),
        (lambda: initializers.HeNormal(seed=1.5), TypeError, "seed"),
        (lambda: initializers.Zeros()((2, -1)), ValueError, r"shape\[1\]"),
        (lambda: initializers.Zeros()((2, 1.0)), TypeError, r"shape\[1\]"),
        (lambda: initializers.Zeros()(3), TypeError, "shape"),
        (lambda: initializers.Zeros()((2, 2), "int32"), TypeError, "dtype"),
        (lambda: initializers.Zeros()((2, 2), "nonsense"), TypeError, "dtype"),
        (lambda: initializers.HeNormal()((2**40, 2**30)), MemoryError, "bytes"),
        (lambda: initializers.Identity()((2, 2, 2)), ValueError, "2 dims"),
        (lambda: initializers.Dirac()((2, 2)), ValueError, "R, S, C, K"),
        (lambda: initializers.Dirac(rest="ones of sorts"), ValueError, "initializer"),
        (lambda: initializers.Orthogonal()((4,)), ValueError, "2 dims"),
        (lambda: initializers.get(lambda shape, dtype: np.zeros(3))((2,)), ValueError, "shape"),
        (lambda: initializers.serialize(initializers.get(lambda s, dtype: np.ones(s))), TypeError, "saved"),
    ],
)
def test_mistakes_get_one_clear_error(call, error, words):
    with pytest.raises(error, match=words) as caught:
        call()
    assert str(caught.value).startswith("[")


@pytest.mark.parametrize(
    "initializer",
    [
        initializers.Constant(1e300),
        initializers.Identity(1e300),
        initializers.Orthogonal(1e308, seed=1),
        initializers.RandomNormal(0.0, 1e300, seed=1),
        initializers.RandomUniform(-1.7e308, 1.7e308, seed=1),
        initializers.TruncatedNormal(1e300, 1e300, seed=1),
        initializers.VarianceScaling(1e300, seed=1),
    ],
    ids=lambda initializer: type(initializer).__name__,
)
def test_weights_never_begin_beyond_their_range(initializer):
    """And NumPy says nothing of its own: warnings are errors here."""
    with pytest.raises(ValueError, match=f"^\\[{type(initializer).__name__}\\] values must be finite in float32"):
        initializer((4, 4))


def test_a_function_may_mean_infinity():
    lowest = initializers.get(lambda shape, dtype: np.full(shape, -np.inf, dtype))
    np.testing.assert_array_equal(lowest((2, 3)), np.full((2, 3), -np.inf, np.float32))


def test_fans_and_limits_agree_with_keras():
    os.environ.setdefault("KERAS_BACKEND", "torch")
    keras = pytest.importorskip("keras", reason="Keras is not a dependency; compared where it is installed")
    for name in FORMULAS:
        theirs = keras.initializers.get(name)
        ours = initializers.get(name)
        for key in ("scale", "mode", "distribution"):
            assert getattr(ours, key) == getattr(theirs, key)
    for initializer in ALL:
        if not isinstance(initializer, initializers.Identity):  # Keras's own config forgets the gain
            theirs = getattr(keras.initializers, type(initializer).__name__)(**initializer.get_config())
            again = type(initializer).from_config(theirs.get_config())
            assert again.get_config() == initializer.get_config()
