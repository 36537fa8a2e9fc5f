"""Named convolutions: typical ones, tails, hazards, and the layers of real networks."""

from __future__ import annotations

from typing import Any

from .case import Case

_SIZES = (
    1,
    2,
    3,
    5,
    7,
    8,
    9,
    15,
    16,
    17,
    31,
    33,
)  # around the lanes and register tiles of every instruction set


def conv(name: str, x: tuple, k: int, window: Any, *tags: str, bias: bool = True, **kwargs: Any) -> Case:
    """A convolution of ``x (N, H, W, C)`` to ``k`` channels."""
    r, s = (window, window) if isinstance(window, int) else window
    shapes = {"x": x, "w": (r, s, x[3] // kwargs.get("groups", 1), k)}
    if bias:
        shapes["bias"] = (k,)
    return Case("conv2d", name, shapes, kwargs, frozenset(tags))


def transpose(name: str, x: tuple, k: int, window: Any, *tags: str, bias: bool = True, **kwargs: Any) -> Case:
    """A transposed convolution of ``x (N, H, W, C)`` to ``k`` channels."""
    r, s = (window, window) if isinstance(window, int) else window
    shapes = {"x": x, "w": (r, s, k // kwargs.get("groups", 1), x[3])}
    if bias:
        shapes["bias"] = (k,)
    return Case("conv2d_transpose", name, shapes, kwargs, frozenset(tags))


def _typical() -> list[Case]:
    return [
        conv("3x3", (2, 8, 9, 3), 4, 3, "typical"),
        conv("3x3.p1", (2, 8, 8, 4), 8, 3, "typical", padding=1),
        conv("3x3.same", (2, 7, 8, 4), 8, 3, "typical", padding="same"),
        conv("3x3.relu", (2, 8, 8, 4), 8, 3, "typical", padding="same", activation="relu"),
        conv("3x3.tanh", (1, 6, 6, 3), 5, 3, "typical", activation="tanh"),
        conv("5x5.s2", (2, 11, 12, 3), 6, 5, "typical", stride=2, padding=2),
        conv("1x1", (2, 5, 7, 16), 24, 1, "typical"),
        conv("1x1.s2", (2, 8, 8, 16), 8, 1, "typical", stride=2),
        conv("1x7", (2, 6, 12, 5), 7, (1, 7), "typical", padding=(0, 3)),
        conv("7x1", (2, 12, 6, 5), 7, (7, 1), "typical", padding=(3, 0)),
        conv("no_bias", (2, 8, 8, 3), 8, 3, "typical", bias=False),
        conv("first.7x7.s2", (1, 18, 19, 3), 16, 7, "typical", stride=2, padding=3),
        conv("first.one_channel", (2, 14, 13, 1), 24, 3, "typical", activation="relu"),
    ]


def _tails() -> list[Case]:
    cases = [conv(f"c{c}", (1, 6, 5, c), 8, 3, "tail", padding=1) for c in _SIZES]
    cases += [conv(f"k{k}", (1, 6, 5, 3), k, 3, "tail", padding=1) for k in _SIZES]
    cases += [conv(f"c{n}.k{n}", (2, 4, 4, n), n, 1, "tail") for n in _SIZES]
    cases += [conv(f"w{w}", (1, 3, w, 8), 16, 3, "tail", padding=1) for w in _SIZES]
    cases += [conv(f"h{h}", (1, h, 4, 8), 16, (3, 2), "tail", padding=(1, 1)) for h in _SIZES]
    cases += [conv(f"narrow.c{c}", (1, 6, 5, c), 16, 5, "tail", padding=2) for c in (5, 6, 7, 8)]
    cases += [conv(f"narrow.k{k}", (1, 6, 5, 16), k, 5, "tail", padding=2) for k in (5, 6, 7, 8)]
    cases += [conv("row_blocks", (2, 20, 20, 5), 40, 3, "tail", padding=1)]
    cases += [conv(f"depthwise.c{c}", (1, 6, 7, c), c, 3, "tail", groups=c, padding=1) for c in _SIZES]
    return cases


def _hazards() -> list[Case]:
    return [
        conv("stride>window", (2, 9, 11, 3), 5, 2, "hazard", stride=(3, 4)),
        conv("stride>image", (2, 4, 5, 3), 5, 3, "hazard", stride=50),
        conv("one_pixel", (3, 1, 1, 5), 7, 1, "hazard"),
        conv("one_pixel.p1", (3, 1, 1, 5), 7, 3, "hazard", padding=1),
        conv("one_output", (2, 5, 4, 6), 9, (5, 4), "hazard"),
        conv("one_channel", (2, 9, 9, 1), 8, 3, "hazard"),
        conv("one_channel.one_filter", (2, 9, 9, 1), 1, 3, "hazard"),
        conv("depthwise", (2, 7, 7, 12), 12, 3, "hazard", groups=12, padding=1),
        conv("depthwise.x2", (2, 7, 7, 5), 10, 3, "hazard", groups=5, padding="same"),
        conv("depthwise.x3.s2", (2, 9, 8, 4), 12, 5, "hazard", groups=4, stride=2, padding="same"),
        conv("depthwise.d2", (1, 9, 9, 8), 8, 3, "hazard", groups=8, dilation=2, padding="same"),
        conv("depthwise.5x5", (1, 8, 7, 12), 12, 5, "hazard", groups=12, padding=2),
        conv("depthwise.5x5.s2", (1, 9, 8, 4), 4, 5, "hazard", groups=4, stride=2, padding=((1, 2), (2, 2))),
        conv("groups2", (2, 6, 6, 6), 8, 3, "hazard", groups=2, padding=1),
        conv("groups3", (2, 6, 6, 9), 15, 3, "hazard", groups=3),
        conv("asymmetric", (2, 6, 7, 3), 5, 3, "hazard", padding=((0, 2), (3, 1))),
        conv("asymmetric.s2", (2, 7, 6, 3), 5, (3, 4), "hazard", padding=((2, 0), (0, 3)), stride=(2, 3)),
        conv("pad>window", (1, 4, 4, 3), 4, 2, "hazard", padding=((3, 0), (0, 4))),
        conv("same.s2.even", (2, 8, 8, 3), 5, 3, "hazard", padding="same", stride=2),
        conv("same.s2.odd", (2, 7, 9, 3), 5, 3, "hazard", padding="same", stride=2),
        conv("same.s3", (2, 10, 11, 3), 5, 5, "hazard", padding="same", stride=3),
        conv("same.even_window", (2, 7, 7, 3), 5, (2, 4), "hazard", padding="same"),
        conv("same.1x1.s2", (2, 7, 8, 3), 5, 1, "hazard", padding="same", stride=2),
        conv("same_lower", (2, 7, 8, 3), 5, (2, 4), "hazard", padding="same_lower"),
        conv("same_lower.s2", (2, 8, 7, 3), 5, 3, "hazard", padding="same_lower", stride=2),
        conv("valid", (2, 7, 8, 3), 5, 3, "hazard", padding="valid"),
        conv("d2", (2, 9, 10, 3), 5, 3, "hazard", dilation=2),
        conv("d2x3.p", (2, 9, 10, 3), 5, 3, "hazard", dilation=(2, 3), padding=(2, 3)),
        conv("dilation>image", (1, 3, 3, 4), 5, 3, "hazard", dilation=4, padding=4),
        conv("same.d2.s2", (2, 9, 10, 3), 5, 3, "hazard", dilation=2, padding="same", stride=2),
        conv("window>image", (2, 3, 2, 4), 5, 5, "hazard", padding=2),
        conv("one_filter.few_pixels", (2, 1, 2, 8), 1, 3, "hazard", padding=2),  # whose w lies like its own transpose
        conv("one_filter.few_pixels.s2", (2, 5, 2, 15), 1, (4, 1), "hazard", padding="same", stride=(2, 4)),
        conv("window>image.even", (2, 2, 3, 4), 5, (6, 4), "hazard", padding=((2, 3), (1, 2))),
        conv("empty_batch", (0, 6, 6, 3), 5, 3, "hazard", padding=1),
        conv("empty_batch.depthwise", (0, 6, 6, 4), 4, 3, "hazard", groups=4),
    ]


def _networks() -> list[Case]:
    """Layers of published networks; the ones tagged "bench" are measured against PyTorch."""
    bench = ("network", "bench")
    cases = [
        conv("bench.mnist1", (128, 28, 28, 1), 32, 3, *bench),
        conv("bench.mnist2", (128, 26, 26, 32), 64, 3, *bench),
        conv("bench.lenet2", (128, 12, 12, 6), 16, 5, *bench),
        conv("bench.cifar1", (128, 32, 32, 3), 32, 3, *bench, padding=1),
        conv("bench.cifar2", (64, 32, 32, 32), 32, 3, *bench, padding=1),
        conv("bench.cifar3", (64, 16, 16, 32), 64, 3, *bench, padding=1),
        conv("bench.cifar4", (64, 16, 16, 64), 64, 3, *bench, padding=1),
        conv("bench.vgg2", (32, 32, 32, 64), 64, 3, *bench, padding=1),
        conv("bench.vgg4", (32, 16, 16, 128), 128, 3, *bench, padding=1),
        conv("bench.vgg6", (32, 8, 8, 256), 256, 3, *bench, padding=1),
        conv("bench.r18_1", (4, 224, 224, 3), 64, 7, *bench, stride=2, padding=3),
        conv("bench.r18_2", (4, 56, 56, 64), 64, 3, *bench, padding=1),
        conv("bench.r18_3", (4, 28, 28, 128), 128, 3, *bench, padding=1),
        conv("bench.r18_4", (4, 14, 14, 256), 256, 3, *bench, padding=1),
        conv("bench.r18_5", (4, 7, 7, 512), 512, 3, *bench, padding=1),
        conv("bench.r18_3s", (4, 56, 56, 64), 128, 3, *bench, stride=2, padding=1),
        conv("bench.pw1", (8, 28, 28, 128), 256, 1, *bench),
        conv("bench.pw2", (4, 56, 56, 64), 256, 1, *bench),
        conv("bench.dw1", (8, 56, 56, 128), 128, 3, *bench, groups=128, padding=1),
        conv("bench.dw2", (8, 28, 28, 256), 256, 3, *bench, groups=256, stride=2, padding=1),
        conv("lenet.c1", (64, 28, 28, 1), 6, 5, "network", padding=2),
        conv("lenet.c3", (64, 14, 14, 6), 16, 5, "network"),
        conv("lenet.c5", (64, 5, 5, 16), 120, 5, "network"),
    ]
    vgg = ((32, 3, 64), (32, 64, 64), (16, 64, 128), (16, 128, 128), (8, 128, 256), (8, 256, 256))
    cases += [
        conv(f"cifar_vgg.c{i}", (32, n, n, c), k, 3, "network", padding="same") for i, (n, c, k) in enumerate(vgg, 1)
    ]
    resnet = (  # name, extent, in, out, window, stride
        ("c1", 224, 3, 64, 7, 2),
        ("c2", 56, 64, 64, 3, 1),
        ("c3.down", 56, 64, 128, 3, 2),
        ("c3.skip", 56, 64, 128, 1, 2),
        ("c3", 28, 128, 128, 3, 1),
        ("c4.down", 28, 128, 256, 3, 2),
        ("c4", 14, 256, 256, 3, 1),
        ("c5.down", 14, 256, 512, 3, 2),
        ("c5", 7, 512, 512, 3, 1),
    )
    cases += [
        conv(f"resnet18.{name}", (1, n, n, c), k, r, "network", bias=False, stride=s, padding=r // 2)
        for name, n, c, k, r, s in resnet
    ]
    mobilenet = (  # name, extent, in, out, window, stride, groups
        ("stem", 224, 3, 32, 3, 2, 1),
        ("b1.dw", 112, 32, 32, 3, 1, 32),
        ("b1.project", 112, 32, 16, 1, 1, 1),
        ("b2.expand", 112, 16, 96, 1, 1, 1),
        ("b2.dw", 112, 96, 96, 3, 2, 96),
        ("b3.dw", 56, 144, 144, 3, 1, 144),
        ("b7.dw", 14, 384, 384, 3, 1, 384),
        ("b17.dw", 7, 960, 960, 3, 1, 960),
        ("last", 7, 320, 1280, 1, 1, 1),
    )
    cases += [
        conv(
            f"mobilenet_v2.{name}",
            (1, n, n, c),
            k,
            r,
            "network",
            bias=False,
            stride=s,
            padding=r // 2,
            groups=g,
        )
        for name, n, c, k, r, s, g in mobilenet
    ]
    return cases


def _transposed() -> list[Case]:
    cases = [
        transpose("2x2.s2", (2, 4, 5, 3), 6, 2, "typical", stride=2),
        transpose("3x3", (2, 5, 5, 4), 8, 3, "typical"),
        transpose("3x3.same", (2, 5, 6, 4), 8, 3, "typical", padding="same"),
        transpose("3x3.same.s2", (2, 5, 4, 4), 8, 3, "typical", padding="same", stride=2),
        transpose("4x4.s2.p1", (2, 4, 4, 8), 4, 4, "typical", stride=2, padding=1),
        transpose("same_lower.s2", (1, 4, 5, 3), 5, 3, "hazard", padding="same_lower", stride=2),
        transpose("same.stride>window", (1, 4, 5, 3), 5, 2, "hazard", padding="same", stride=3),
        transpose("valid.stride>window", (1, 4, 5, 3), 5, 2, "hazard", padding="valid", stride=(3, 4)),
        transpose("output_padding", (2, 4, 5, 3), 4, 3, "hazard", stride=(2, 3), padding=1, output_padding=(1, 2)),
        transpose("asymmetric", (2, 5, 4, 3), 4, 4, "hazard", stride=2, padding=((0, 2), (3, 1))),
        transpose("dilation", (1, 4, 5, 3), 4, 3, "hazard", stride=2, dilation=(2, 3), padding=2),
        transpose("groups2", (2, 4, 4, 6), 4, 3, "hazard", groups=2, stride=2, padding=1),
        transpose("depthwise", (2, 4, 5, 5), 5, 3, "hazard", groups=5, padding=1),
        transpose("one_pixel", (2, 1, 1, 7), 3, 4, "hazard"),
        transpose("no_bias", (2, 4, 4, 3), 5, 3, "hazard", bias=False),
        transpose("empty_batch", (0, 4, 4, 3), 5, 3, "hazard", stride=2),
    ]
    cases += [transpose(f"c{n}.k{n}", (1, 4, 3, n), n, 3, "tail", stride=2, padding=1) for n in _SIZES]
    return cases


CASES = [*_typical(), *_tails(), *_hazards(), *_networks(), *_transposed()]
