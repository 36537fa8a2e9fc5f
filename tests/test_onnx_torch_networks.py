"""Networks as image recognition has them in PyTorch, by both of its exporters: read, written again, and trained."""

import io
import warnings

import numpy as np
import pytest

import fastconv

onnx = pytest.importorskip("onnx", reason="reads ONNX files; pip install 'fastconv[onnx]'")
torch = pytest.importorskip("torch", reason="exports networks of PyTorch; pip install torch")
runtime = pytest.importorskip("onnxruntime", reason="runs ONNX files; pip install onnxruntime")

nn, F = torch.nn, torch.nn.functional


def block(channels, out, size=3, stride=1, groups=1):
    conv = nn.Conv2d(channels, out, size, stride, size // 2, groups=groups, bias=False)
    return nn.Sequential(conv, nn.BatchNorm2d(out), nn.ReLU())


class Then(nn.Module):
    """A module, and a function of its result."""

    def __init__(self, module, function):
        super().__init__()
        self.module, self.function = module, function

    def forward(self, x):
        return self.function(self.module(x))


class DenseNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 3, 2, 1, bias=False)
        self.layers = nn.ModuleList(
            [nn.Sequential(nn.BatchNorm2d(8 + 4 * i), nn.ReLU(), nn.Conv2d(8 + 4 * i, 4, 3, 1, 1)) for i in range(3)]
        )
        self.transition = nn.Sequential(
            nn.BatchNorm2d(20), nn.ReLU(), nn.Conv2d(20, 10, 1, bias=False), nn.AvgPool2d(2, 2)
        )
        self.head = nn.Linear(10, 5)

    def forward(self, x):
        found = [self.stem(x)]
        for layer in self.layers:
            found.append(layer(torch.cat(found, 1)))
        x = F.relu(self.transition(torch.cat(found, 1)))
        return self.head(torch.flatten(F.adaptive_avg_pool2d(x, (1, 1)), 1))


class Fire(nn.Module):
    def __init__(self, channels, squeezed, out):
        super().__init__()
        self.squeeze = nn.Conv2d(channels, squeezed, 1)
        self.one, self.three = nn.Conv2d(squeezed, out, 1), nn.Conv2d(squeezed, out, 3, padding=1)

    def forward(self, x):
        x = F.relu(self.squeeze(x))
        return torch.cat([F.relu(self.one(x)), F.relu(self.three(x))], 1)


class Shuffle(nn.Module):
    """ShuffleNetV2's unit: half of the channels pass by, then all are shuffled."""

    def __init__(self, channels, stride):
        super().__init__()
        half, self.stride = channels // 2, stride
        inside = channels if stride > 1 else half
        self.short = (
            nn.Sequential(block(channels, channels, 3, 2, channels), block(channels, half, 1)) if stride > 1 else None
        )
        self.deep = nn.Sequential(block(inside, half, 1), block(half, half, 3, stride, half), block(half, half, 1))

    def forward(self, x):
        if self.short is None:
            kept, x = x.chunk(2, dim=1)
            y = torch.cat((kept, self.deep(x)), 1)
        else:
            y = torch.cat((self.short(x), self.deep(x)), 1)
        n, c, h, w = y.size()
        return y.view(n, 2, c // 2, h, w).transpose(1, 2).contiguous().view(n, c, h, w)


class UNet(nn.Module):
    def __init__(self, mode):
        super().__init__()
        self.down, self.deep, self.across = block(3, 6), block(6, 12), block(12, 6)
        corners = {} if mode == "nearest" else {"align_corners": True}
        up = nn.Upsample(scale_factor=2, mode=mode, **corners) if mode else nn.ConvTranspose2d(12, 12, 2, 2)
        self.up = nn.Sequential(up, nn.Conv2d(12, 6, 1))
        self.head = nn.Conv2d(6, 2, 1)

    def forward(self, x):
        a = self.down(x)
        y = self.up(self.deep(F.max_pool2d(a, 2)))
        rows, columns = a.size(2) - y.size(2), a.size(3) - y.size(3)
        y = F.pad(y, [columns // 2, columns - columns // 2, rows // 2, rows - rows // 2])
        return self.head(self.across(torch.cat([a, y], 1)))


class Spatial(nn.Module):
    """CBAM's attention to places."""

    def __init__(self):
        super().__init__()
        self.conv, self.gate = nn.Conv2d(3, 4, 1), nn.Conv2d(2, 1, 7, padding=3)

    def forward(self, x):
        y = self.conv(x)
        return y * torch.sigmoid(self.gate(torch.cat([y.mean(1, keepdim=True), y.amax(1, keepdim=True)], 1)))


class Patches(nn.Module):
    """Images as sequences of patches, a block of layers on them, and their mean."""

    def __init__(self):
        super().__init__()
        self.patch, self.norm = nn.Conv2d(3, 8, 4, 4), nn.LayerNorm(8)
        self.grow, self.head = nn.Linear(8, 8), nn.Linear(8, 5)

    def forward(self, x):
        y = self.patch(x).flatten(2).transpose(1, 2)
        return self.head((y + F.gelu(self.grow(self.norm(y)))).mean(1))


class Rows(nn.Module):
    """Digits, row by row: the result of the last step, or the states after it."""

    def __init__(self, kind, states=False, **keywords):
        super().__init__()
        self.steps, self.states = getattr(nn, kind)(8, 6, batch_first=True, **keywords), states
        self.both = bool(keywords.get("bidirectional"))
        self.head = nn.Linear(12 if self.both else 6, 5)

    def forward(self, x):
        y, h = self.steps(x)
        if not self.states:
            return self.head(y[:, -1, :])
        h = h[0] if isinstance(h, tuple) else h
        return self.head(torch.cat([h[-2], h[-1]], 1) if self.both else h[-1])


class ImageRows(nn.Module):
    """A convolution whose rows a recurrent layer of two directions reads."""

    def __init__(self):
        super().__init__()
        self.conv, self.head = nn.Conv2d(3, 4, 3, padding=1), nn.Linear(12, 5)
        self.steps = nn.LSTM(64, 6, batch_first=True, bidirectional=True)

    def forward(self, x):
        y, _ = self.steps(F.relu(self.conv(x)).permute(0, 2, 1, 3).flatten(2))
        return F.log_softmax(self.head(y), -1)


def resized(**keywords):
    return lambda: Then(nn.Conv2d(3, 4, 3), lambda x: F.interpolate(x, **keywords))


def behind_conv(function):
    return lambda: Then(nn.Conv2d(3, 4, 3, padding=1), function)


IMAGES, SEQUENCES, LINES, VOLUMES = (2, 3, 16, 16), (2, 8, 8), (2, 3, 9), (2, 2, 6, 8, 8)
NETWORKS = {
    "densenet": (DenseNet, IMAGES),
    "squeezenet": (lambda: nn.Sequential(
        nn.Conv2d(3, 8, 3, 2), nn.ReLU(), nn.MaxPool2d(3, 2, ceil_mode=True), Fire(8, 4, 6), Fire(12, 4, 8), nn.Dropout(),
        nn.Conv2d(16, 5, 1), nn.ReLU(), nn.AdaptiveAvgPool2d((1, 1)), nn.Flatten(),
    ), IMAGES),
    "shufflenet v2": (lambda: Then(nn.Sequential(block(3, 8, 3, 2), Shuffle(8, 2), Shuffle(8, 1)), lambda x: x.mean([2, 3])), IMAGES),
    **{f"unet {mode}": (lambda m=mode: UNet(m), IMAGES) for mode in (None, "nearest", "bilinear", "bicubic")},
    "attention to places": (Spatial, IMAGES),
    "patches": (Patches, IMAGES),
    "rows of images": (ImageRows, IMAGES),
    **{f"{kind} of digits": (lambda k=kind: Rows(k), SEQUENCES) for kind in ("LSTM", "GRU")},
    **{f"{kind} both ways": (lambda k=kind: Rows(k, bidirectional=True), SEQUENCES) for kind in ("LSTM", "GRU")},
    "GRU of three layers, both ways, states": (lambda: Rows("GRU", True, num_layers=3, bidirectional=True), SEQUENCES),
    "LSTM of two layers, states": (lambda: Rows("LSTM", True, num_layers=2), SEQUENCES),
    "bilinear": (resized(size=(9, 11), mode="bilinear"), IMAGES),
    "bicubic": (resized(size=(20, 24), mode="bicubic"), IMAGES),
    "bicubic by corners": (resized(size=(20, 24), mode="bicubic", align_corners=True), IMAGES),
    "nearest": (resized(size=(9, 21), mode="nearest"), IMAGES),
    "scales": (resized(scale_factor=1.45, mode="bilinear"), IMAGES),
    "a shortcut of padded channels": (behind_conv(lambda x: F.pad(x[:, :, ::2, 1::2], (0, 0, 0, 0, 2, 2))), IMAGES),
    "parts of channels": (behind_conv(lambda x: torch.cat([*torch.split(x, [1, 3], 1)[::-1], F.glu(x, 1), x[:, 1:3]], 1)), IMAGES),
    "pixel shuffle": (behind_conv(nn.Sequential(nn.PixelShuffle(2), nn.PixelUnshuffle(4))), IMAGES),
    "pads": (behind_conv(nn.Sequential(
        nn.ReflectionPad2d((2, 1, 0, 1)), nn.ReplicationPad2d(1), nn.ConstantPad2d(1, 0.5), nn.CircularPad2d(2),
    )), IMAGES),
    "reductions": (behind_conv(lambda x: (x - x.mean(1, keepdim=True)).sum(2) + x.amax(2) - x.amin((1, 2), keepdim=True)[:, 0]), IMAGES),
    "limits": (behind_conv(nn.Sequential(
        nn.Hardtanh(-2, 0.3), nn.CELU(0.5), nn.Softsign(), nn.LogSigmoid(), Then(nn.Identity(), lambda x: x.clamp(max=-0.7).abs() ** 3),
    )), IMAGES),
    "normalisation": (behind_conv(nn.Sequential(
        nn.InstanceNorm2d(4, affine=True), nn.GroupNorm(2, 4), nn.LayerNorm((4, 16, 16)), nn.Softmax2d(),
    )), IMAGES),
    "groups turned around": (lambda: nn.ConvTranspose2d(3, 6, 3, 2, 1, groups=3), IMAGES),
    "lines": (lambda: nn.Sequential(nn.ConvTranspose1d(3, 4, 4, 2, 1), nn.MaxPool1d(3, 2, 1), nn.AvgPool1d(3, 2, 1)), LINES),
    "volumes": (lambda: nn.Sequential(
        nn.Conv3d(2, 4, 3, padding=1), nn.BatchNorm3d(4), nn.ReLU(), nn.MaxPool3d(2), nn.ConvTranspose3d(4, 2, 2, 2),
    ), VOLUMES),
}  # fmt: skip


def network(name):
    """With statistics that are not those of the start, and a batch of two."""
    torch.manual_seed(0)
    make, shape = NETWORKS[name]
    net = make().eval()
    for module in net.modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm):
            for tensor, limits in (
                (module.running_mean, (-0.5, 0.5)),
                (module.running_var, (0.5, 2)),
                (module.weight, (0.5, 2)),
            ):
                nn.init.uniform_(tensor, *limits)
    return net, torch.randn(*shape)


def exported(net, x, exporter):
    """The file's content; by the older exporter with an open batch."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if exporter == "newer":
            return torch.onnx.export(net, (x,), dynamo=True, verbose=False).model_proto.SerializeToString()
        file = io.BytesIO()
        axes = {"x": {0: "n"}}
        torch.onnx.export(net, (x,), file, input_names=["x"], dynamo=False, opset_version=17, dynamic_axes=axes)
    return file.getvalue()


def by_runtime(content, x):
    session = runtime.InferenceSession(content, providers=["CPUExecutionProvider"])
    return session.run(None, {session.get_inputs()[0].name: x})[0]


def last(array, shape):
    """Channels last, where the model has its samples so."""
    return array if array.shape[1:] == shape else np.moveaxis(array, 1, -1)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("exporter", ["older", "newer"])
@pytest.mark.parametrize("name", NETWORKS)
def test_there_and_back(name, exporter):
    """Read, the network predicts as onnxruntime does; so does the file that is written of it; and a step trains it."""
    if exporter == "newer":
        pytest.importorskip("onnxscript", reason="what torch.export writes ONNX with; pip install onnxscript")
    net, x = network(name)
    content = exported(net, x, exporter)
    x = x.numpy()
    expected = by_runtime(content, x)
    model = fastconv.onnx.load(content)
    x = np.moveaxis(x, 1, -1) if x.ndim == 4 else last(x, model.input_shapes()[0])
    found = model.predict(x, verbose=0)
    expected = np.moveaxis(expected, 1, -1) if expected.ndim == 4 else last(expected, found.shape[1:])
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5 * max(np.abs(expected).max(), 1))
    again = by_runtime(fastconv.onnx.to_proto(model).SerializeToString(), x)
    np.testing.assert_allclose(again, expected, rtol=0, atol=1e-5 * max(np.abs(expected).max(), 1))
    model.compile("sgd", "mse")
    before = model.get_weights()
    assert np.isfinite(model.train_on_batch(x, np.zeros_like(found)))
    moved = [not np.array_equal(a, b) for a, b in zip(before, model.get_weights(), strict=True)]
    assert any(moved) and all(np.isfinite(w).all() for w in model.get_weights())
