"""Settings of convolutions and poolings that must be refused: bad_inputs.md A and D, on the reference and on every
instruction set, for plain, depthwise and transposed convolutions, and where a layer is constructed."""

import numpy as np
import pytest

from fastconv import _cpu, layers, ops, reference
from fastconv.testing.refusal import assert_refused


@pytest.fixture(params=["reference", *_cpu.available_isas()])
def lib(request):
    """The reference, or the ops on one instruction set."""
    before = _cpu.current_isa()
    if request.param != "reference":
        _cpu.select_isa(request.param)
    yield reference if request.param == "reference" else ops
    _cpu.select_isa(before)


def f32(*shape):
    return np.zeros(shape, np.float32)


X, W, DEPTHWISE, TRANSPOSED = f32(2, 8, 8, 3), f32(3, 3, 3, 4), f32(3, 3, 1, 6), f32(3, 3, 4, 3)
CONVOLUTIONS = {
    "conv2d": lambda lib, k: lib.conv2d(X, W, **k),
    "depthwise": lambda lib, k: lib.conv2d(X, DEPTHWISE, **{"groups": 3, **k}),
    "conv2d_transpose": lambda lib, k: lib.conv2d_transpose(X, TRANSPOSED, **k),
    "conv2d_backward": lambda lib, k: lib.conv2d_backward(f32(2, 6, 6, 4), X, W, **k),
    "conv2d_transpose_backward": lambda lib, k: lib.conv2d_transpose_backward(f32(2, 10, 10, 4), X, TRANSPOSED, **k),
}

# What a pair of window settings may not be: (id, value, error, words after the argument's name).
PAIRS = [
    ("negative", -1, ValueError, "at least .*-1"),
    ("negative in one axis", (1, -1), ValueError, "-1"),
    ("three", (1, 1, 1), ValueError, "2 ints.*got 3"),
    ("empty", (), ValueError, "2 ints.*got 0"),
    ("one", [2], ValueError, "2 ints.*got 1"),
    ("float", 1.0, TypeError, "must be an int.*float"),
    ("float in a pair", (1, 2.0), TypeError, "must be an int.*float"),
    ("numpy float", np.float32(1), TypeError, "must be an int.*float32"),
    ("str", "2", TypeError, "must be an int.*str"),
    ("bytes", b"2", TypeError, "must be an int.*bytes"),
    ("bool", True, TypeError, "must be an int.*bool"),
    ("numpy bool", np.bool_(True), TypeError, "must be an int.*bool"),
    ("object", object, TypeError, "must be an int.*type"),
    ("nan", float("nan"), TypeError, "must be an int.*float"),
    ("2**31", 2**31, ValueError, "too large.*2147483648"),
    ("2**62", 2**62, ValueError, "too large"),
    ("2**63", 2**63, ValueError, "too large"),
    ("2**200", 2**200, ValueError, "too large"),
    ("-2**31", -(2**31), ValueError, "at least"),
    ("-2**63", -(2**63), ValueError, "at least"),
]
ZERO = [("zero", 0, ValueError, "at least 1.*0"), ("zero in one axis", (1, 0), ValueError, r"at least 1.*\(1, 0\)")]
GEOMETRY = [
    *[(name, *line) for name in ("stride", "dilation") for line in [*PAIRS, *ZERO]],
    *[("padding", *line) for line in PAIRS if line[0] not in ("str", "bytes")],
    ("stride", "None", None, TypeError, "must be an int.*NoneType"),
    ("dilation", "None", None, TypeError, "must be an int.*NoneType"),
    ("padding", "None", None, TypeError, "must be .*NoneType"),
    ("padding", "upper case", "SAME", ValueError, "one of valid, same, same_lower|'same'"),
    ("padding", "unknown mode", "full", ValueError, "one of valid, same, same_lower|'same'"),
    ("padding", "no mode", "", ValueError, "one of valid, same, same_lower|'same'"),
    ("padding", "three pairs", ((1, 1),) * 3, ValueError, "2 ints.*got 3|got 3"),
    ("padding", "half a pair", ((1, 1), (1,)), ValueError, "2 ints.*got 1"),
    ("padding", "negative pair", ((1, 1), (1, -1)), ValueError, "at least 0.*-1"),
    ("padding", "float pair", ((1, 1), (1, 1.5)), TypeError, "must be an int.*float"),
    ("groups", "zero", 0, ValueError, "at least 1.*0"),
    ("groups", "negative", -1, ValueError, "at least 1.*-1"),
    ("groups", "-2**63", -(2**63), ValueError, "at least 1"),
    ("groups", "2**31", 2**31, ValueError, "too large|divi"),
    ("groups", "float", 1.0, TypeError, "must be an int.*float"),
    ("groups", "bool", True, TypeError, "must be an int.*bool"),
    ("groups", "pair", (1, 1), TypeError, "must be an int.*tuple"),
    ("groups", "None", None, TypeError, "must be an int.*NoneType"),
    ("groups", "no divisor", 2, ValueError, "C=3, groups=2|in channels 3"),
]


def _ids(table):
    return [" ".join(map(str, line[:2])) for line in table]


@pytest.mark.parametrize("argument,kind,value,error,words", GEOMETRY, ids=_ids(GEOMETRY))
@pytest.mark.parametrize("convolution", CONVOLUTIONS)
def test_convolution_refuses(lib, convolution, argument, kind, value, error, words):
    assert_refused(lambda: CONVOLUTIONS[convolution](lib, {argument: value}), error, f"{argument}.*({words})")


@pytest.mark.parametrize("value", [np.int8(1), np.uint64(1), np.array(1), [1, 1], (np.int32(1), 1)], ids=repr)
def test_anything_with_index_is_an_int(lib, value):
    assert lib.conv2d(X, W, stride=value).shape == (2, 6, 6, 4)
    assert lib.max_pool2d(X, 2, stride=value).shape == (2, 7, 7, 3)


TRANSPOSE_ONLY = [
    ("output_padding as large as the stride", {"output_padding": 1}, "output_padding must be smaller.*stride"),
    ("negative output_padding", {"stride": 2, "output_padding": -1}, "output_padding.*at least 0.*-1"),
    ("padding eats everything", {"padding": 9}, "padding"),
    ("2**31 cells", {"stride": 2**31 - 1}, "too large|between"),
    ("same and output_padding", {"stride": 2, "padding": "same", "output_padding": 1}, "output_padding"),
]


@pytest.mark.parametrize("settings,words", [t[1:] for t in TRANSPOSE_ONLY], ids=[t[0] for t in TRANSPOSE_ONLY])
def test_transposed_convolution_refuses(lib, settings, words):
    assert_refused(lambda: lib.conv2d_transpose(X, TRANSPOSED, **settings), ValueError, words)


SHAPES = [
    ("A27", lambda lib: lib.conv2d(X, f32(2, 2, 3, 4), dilation=2**62), "dilation"),
    ("A27b", lambda lib: lib.conv2d(X, f32(2, 2, 3, 4), dilation=2**31 - 1), "larger than padded input"),
    ("A32", lambda lib: lib.conv2d(X, f32(3, 3, 3, 6), groups=3), "w.*in channels.*1"),
    ("A33", lambda lib: lib.conv2d(f32(2, 8, 8, 4), f32(3, 3, 2, 3), groups=2), "groups must divide.*out channels 3"),
    ("A35", lambda lib: lib.conv2d(f32(2, 2, 2, 3), W), r"kernel \(3, 3\) larger than padded input \(2, 2\)"),
    ("A36", lambda lib: lib.conv2d(X, W, dilation=4), r"kernel \(3, 3\) larger than padded input \(8, 8\)"),
    ("A36b", lambda lib: lib.conv2d(X, W, dilation=(1, 5), padding=(0, 1)), r"larger than padded input \(8, 10\)"),
]


@pytest.mark.parametrize("call,words", [s[1:] for s in SHAPES], ids=[s[0] for s in SHAPES])
def test_window_does_not_fit(lib, call, words):
    assert_refused(lambda: call(lib), ValueError, words)


@pytest.mark.parametrize("name", ["strides", "dilation_rate", "paddings", "group"])
def test_unknown_keyword(lib, name):
    for op, w in (("conv2d", W), ("conv2d_transpose", TRANSPOSED)):
        assert_refused(lambda op=op, w=w: getattr(lib, op)(X, w, **{name: 2}), TypeError, f"unexpected keyword.*{name}")
    assert_refused(lambda: lib.max_pool2d(X, **{name: 2}), TypeError, f"unexpected keyword.*{name}")


# D. pooling

POOLS = ("max_pool2d", "min_pool2d", "avg_pool2d", "sum_pool2d")
POOLING = [
    *[(name, *line) for name in ("pool_size", "stride", "dilation") for line in [*PAIRS, *ZERO]],
    *[("padding", *line) for line in PAIRS if line[0] not in ("str", "bytes")],
    ("pool_size", "None", None, TypeError, "must be an int.*NoneType"),
    ("pool_size", "too large for x", 9, ValueError, r"\(9, 9\) larger than padded input \(8, 8\)"),
    ("pool_size", "D7", 1250999896764, ValueError, "too large"),
    ("padding", "as wide as the window", 2, ValueError, "smaller than the window"),
    ("padding", "upper case", "SAME", ValueError, "one of valid, same, same_lower|'same'"),
    ("padding", "negative pair", ((0, 0), (0, -1)), ValueError, "at least 0.*-1"),
    ("ceil_mode", "int", 1, TypeError, "int|=1"),
    ("ceil_mode", "None", None, TypeError, "None"),
]


@pytest.mark.parametrize("argument,kind,value,error,words", POOLING, ids=_ids(POOLING))
def test_pooling_refuses(lib, argument, kind, value, error, words):
    for op in POOLS:
        settings = {"pool_size": 2, argument: value}
        assert_refused(lambda op=op, k=settings: getattr(lib, op)(X, **k), error, rf"\[{op}\].*{argument}.*({words})")
        dy = f32(2, 4, 4, 3)
        assert_refused(
            lambda op=op, k=settings, dy=dy: getattr(lib, f"{op}_backward")(dy, X, **k), error, f"{argument}.*({words})"
        )


def test_average_pooling_refuses(lib):
    for value in (1, None, "yes"):
        assert_refused(lambda v=value: lib.avg_pool2d(X, count_include_pad=v), TypeError, "count_include_pad")


def test_a_window_without_a_real_cell(lib):
    x = f32(1, 1, 1, 2)
    assert_refused(
        lambda: lib.max_pool2d(x, 2, padding=1, stride=1, dilation=2), ValueError, "real cell|smaller than the window"
    )


# The same rules where a layer is constructed.

LAYERS = {
    "Conv2D": lambda **k: layers.Conv2D(**{"filters": 4, "kernel_size": 3, **k}),
    "DepthwiseConv2D": lambda **k: layers.DepthwiseConv2D(**{"kernel_size": 3, **k}),
    "Conv2DTranspose": lambda **k: layers.Conv2DTranspose(**{"filters": 4, "kernel_size": 3, **k}),
}
COUNTS = [line for line in [*PAIRS, *ZERO] if not isinstance(line[1], (tuple, list))]
CONSTRUCTION = [
    *[(name, *line) for name in ("kernel_size", "strides", "dilation_rate") for line in [*PAIRS, *ZERO]],
    *[("padding", *line) for line in PAIRS if line[0] not in ("str", "bytes")],
    ("padding", "upper case", "SAME", ValueError, "one of valid, same, same_lower"),
    ("padding", "three pairs", ((1, 1),) * 3, ValueError, "2 ints.*got 3"),
    ("data_format", "channels first", "channels_first", ValueError, "channels_last.*channels_first"),
    ("activation", "unknown", "reluu", ValueError, "one of .*relu.*reluu"),
    ("activation", "number", 3, TypeError, "name or a function.*3"),
    ("initializer", "unknown", "glorot", ValueError, "one of .*GlorotUniform.*glorot"),
    ("initializer", "number", 3, TypeError, "name.*got 3"),
    ("use_bias", "str", "yes", TypeError, "True or False.*yes"),
    ("trainable", "int", 1, TypeError, "True or False.*1"),
    ("name", "number", 3, TypeError, "str.*3"),
    ("name", "empty", "", ValueError, "''"),
    ("dtype", "unknown", "float16", ValueError, "float32.*float16"),
    ("dtype", "class", np.float32, TypeError, "float32"),
    ("stride", "misspelt keyword", 2, TypeError, "unexpected keyword.*did you mean `strides`"),
    ("input_shape", "zero", (0, 8, 3), ValueError, "positive|at least 1"),
    ("input_shape", "float", (8.0, 8, 3), TypeError, "int.*8.0"),
    ("input_shape", "str", "8", TypeError, "int"),
]


@pytest.mark.parametrize("argument,kind,value,error,words", CONSTRUCTION, ids=_ids(CONSTRUCTION))
@pytest.mark.parametrize("layer", LAYERS)
def test_convolution_layer_refuses(layer, argument, kind, value, error, words):
    assert_refused(
        lambda: LAYERS[layer](**{"kernel_initializer" if argument == "initializer" else argument: value}),
        error,
        f"{argument}.*({words})|{words}.*{argument}",
    )


@pytest.mark.parametrize("kind,value,error,words", COUNTS, ids=[line[0] for line in COUNTS])
def test_counts_of_layers(kind, value, error, words):
    for name, make in (
        ("filters", lambda v: layers.Conv2D(v, 3)),
        ("groups", lambda v: layers.Conv2D(4, 3, groups=v)),
        ("filters", lambda v: layers.Conv2DTranspose(v, 3)),
        ("depth_multiplier", lambda v: layers.DepthwiseConv2D(3, depth_multiplier=v)),
        ("units", lambda v: layers.Dense(v)),
    ):
        assert_refused(lambda make=make: make(value), error, f"{name}.*({words})")


POOL_LAYERS = [
    *[(name, *line) for name in ("pool_size", "strides") for line in [*PAIRS, *ZERO]],
    ("padding", "unknown mode", "Same", ValueError, "one of valid, same, same_lower"),
    ("padding", "negative", -1, ValueError, "at least 0"),
    ("ceil_mode", "int", 1, TypeError, "True or False"),
    ("data_format", "channels first", "channels_first", ValueError, "channels_last"),
]


@pytest.mark.parametrize("argument,kind,value,error,words", POOL_LAYERS, ids=_ids(POOL_LAYERS))
def test_pooling_layer_refuses(argument, kind, value, error, words):
    for layer in (layers.MaxPooling2D, layers.MinPooling2D, layers.AveragePooling2D, layers.SumPooling2D):
        assert_refused(
            lambda layer=layer: layer(**{argument: value}), error, f"{argument}.*({words})|{words}.*{argument}"
        )


OTHER_LAYERS = [
    ("Dropout rate 1", lambda: layers.Dropout(1.0), ValueError, "rate.*1.0"),
    ("Dropout rate -1", lambda: layers.Dropout(-0.1), ValueError, "rate.*-0.1"),
    ("Dropout rate nan", lambda: layers.Dropout(float("nan")), ValueError, "rate.*nan"),
    ("Dropout rate str", lambda: layers.Dropout("0.5"), TypeError, "rate.*str"),
    ("Dropout rate bool", lambda: layers.Dropout(True), TypeError, "rate.*bool"),
    ("BatchNormalization axis", lambda: layers.BatchNormalization(axis=1), ValueError, "axis.*1"),
    ("BatchNormalization momentum", lambda: layers.BatchNormalization(momentum=1.5), ValueError, "momentum.*1.5"),
    ("BatchNormalization epsilon", lambda: layers.BatchNormalization(epsilon=-1.0), ValueError, "epsilon.*-1"),
    ("BatchNormalization zero epsilon", lambda: layers.BatchNormalization(epsilon=0), ValueError, "epsilon.*0"),
    ("BatchNormalization epsilon str", lambda: layers.BatchNormalization(epsilon="a"), TypeError, "epsilon.*str"),
    ("BatchNormalization center", lambda: layers.BatchNormalization(center="a"), TypeError, "center.*True or False"),
    ("LayerNormalization epsilon", lambda: layers.LayerNormalization(epsilon=float("inf")), ValueError, "epsilon"),
    ("Rescaling scale", lambda: layers.Rescaling("a"), TypeError, "scale.*str"),
    ("Rescaling nan", lambda: layers.Rescaling(float("nan")), ValueError, "scale.*nan"),
    ("LeakyReLU slope", lambda: layers.LeakyReLU("a"), TypeError, "negative_slope.*str"),
    ("ELU alpha", lambda: layers.ELU(float("nan")), ValueError, "alpha.*nan"),
    ("GELU approximate", lambda: layers.GELU(1), TypeError, "approximate"),
    ("ReLU slope", lambda: layers.ReLU(negative_slope="a"), TypeError, "negative_slope"),
    ("PReLU axes", lambda: layers.PReLU(shared_axes=[1.5]), TypeError, "shared_axes.*float"),
    ("Softmax axis", lambda: layers.Softmax(axis=1.5), TypeError, "axis.*float"),
    ("Softmax of the batch", lambda: layers.Softmax(axis=0)(layers.Input((3,))), ValueError, "axis=0"),
    ("Activation", lambda: layers.Activation("nope"), ValueError, "activation.*nope"),
    ("Concatenate axis", lambda: layers.Concatenate(axis=0), ValueError, "axis.*0"),
    ("Concatenate axis float", lambda: layers.Concatenate(axis=1.0), TypeError, "axis.*float"),
    ("ZeroPadding2D mode", lambda: layers.ZeroPadding2D("same"), TypeError, "padding.*same"),
    ("ZeroPadding2D negative", lambda: layers.ZeroPadding2D(-1), ValueError, "padding.*-1"),
    ("Cropping2D mode", lambda: layers.Cropping2D("same"), TypeError, "cropping.*same"),
    ("Cropping2D negative", lambda: layers.Cropping2D(-1), ValueError, "-1"),
    ("Cropping1D float", lambda: layers.Cropping1D(1.5), TypeError, "cropping.*float"),
    ("ZeroPadding1D negative", lambda: layers.ZeroPadding1D((0, -1)), ValueError, "padding.*-1"),
    ("Conv1D kernel_size pair", lambda: layers.Conv1D(4, (3, 3)), TypeError, "kernel_size.*tuple"),
    ("Conv1D kernel_size", lambda: layers.Conv1D(4, 0), ValueError, "kernel_size.*0"),
    ("Conv1D padding", lambda: layers.Conv1D(4, 3, padding="Same"), ValueError, "padding.*Same"),
    ("Conv1D channels first", lambda: layers.Conv1D(4, 3, data_format="channels_first"), ValueError, "channels_last"),
    (
        "SeparableConv2D multiplier",
        lambda: layers.SeparableConv2D(4, 3, depth_multiplier=0),
        ValueError,
        "multiplier.*0",
    ),
    ("MaxPooling1D padding", lambda: layers.MaxPooling1D(2, padding=1), TypeError, "padding.*ZeroPadding1D"),
    ("MaxPooling1D size", lambda: layers.MaxPooling1D(0), ValueError, "pool_size.*0"),
    ("Reshape float", lambda: layers.Reshape((2.0, 3)), TypeError, "target_shape.*float"),
    ("Reshape two free", lambda: layers.Reshape((-1, -1)), ValueError, "target_shape.*-1"),
    ("Reshape zero", lambda: layers.Reshape((0, 3)), ValueError, "target_shape.*0"),
    ("Input nothing", lambda: layers.Input(), ValueError, "shape must be given"),
    ("Input fixed batch", lambda: layers.Input(batch_shape=(32, 8)), ValueError, "batch.*32"),
    ("Input negative", lambda: layers.Input((-1,)), ValueError, "-1"),
    ("GlobalMaxPooling2D", lambda: layers.GlobalMaxPooling2D(keepdims=1), TypeError, "keepdims"),
]


@pytest.mark.parametrize("call,error,words", [c[1:] for c in OTHER_LAYERS], ids=[c[0] for c in OTHER_LAYERS])
def test_other_layers_refuse(call, error, words):
    assert_refused(call, error, words)


def test_layers_refuse_at_build_what_only_the_shape_shows():
    x = layers.Input((8, 8, 3))
    assert_refused(lambda: layers.Conv2D(4, 3, groups=2)(x), ValueError, "groups.*C=3")
    assert_refused(lambda: layers.Conv2D(4, 3, groups=3)(x), ValueError, "divide.*4")
    assert_refused(lambda: layers.Conv2D(4, 9)(x), ValueError, r"kernel \(9, 9\) larger than padded input \(8, 8\)")
    assert_refused(lambda: layers.MaxPooling2D(9)(x), ValueError, r"\(9, 9\) larger than padded input \(8, 8\)")
    assert_refused(lambda: layers.Conv2D(4, 3)(layers.Input((8,))), ValueError, "rank 4 expected.*got 2")
    assert_refused(lambda: layers.Conv1D(4, 3)(x), ValueError, "rank 3 expected.*got 4")
    assert_refused(lambda: layers.Conv1D(4, 9)(layers.Input((8, 3))), ValueError, r"kernel \(1, 9\) larger than")
    assert_refused(lambda: layers.GlobalMaxPooling1D()(x), ValueError, "rank 3 expected.*got 4")
    assert_refused(lambda: layers.Cropping2D(4)(x), ValueError, "leave cells.*8")
    assert_refused(lambda: layers.Dense(4)(x), ValueError, "rank 2 expected.*got 4.*Flatten")
    assert_refused(lambda: layers.Reshape((5, -1))(x), ValueError, "target_shape|shape.*192")
    assert_refused(lambda: layers.Add()([x]), ValueError, "at least 2")
    assert_refused(lambda: layers.Add()(x), ValueError, "list of at least 2")
    assert_refused(lambda: layers.Add()([x, layers.Input((7, 8, 3))]), ValueError, "broadcast.*8.*7")
    assert_refused(lambda: layers.Concatenate()([x, layers.Input((7, 8, 3))]), ValueError, "agree on every axis")
    assert_refused(lambda: layers.Concatenate(axis=4)([x, x]), ValueError, "axis.*4")
