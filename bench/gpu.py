"""On a GPU, beside PyTorch: convolutions, memory-bound operations, training steps. Writes bench/results/gpu_NAME.json.

    python bench/gpu.py [--quick]

Operations: CuPy arrays and tensors, both on PyTorch's current stream; device time by CUDA events around calls that are all
queued behind a sleeping kernel, so that no launch is waited for; peer and ours in turn. Training steps: wall time from a
batch on the host to the loss on the host. PyTorch runs channels_last with cudnn.benchmark.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable, Iterator
from typing import Any

import cupy
import numpy as np
import torch
from torch.nn import functional

import environment
import fastconv
import networks
from fastconv import ops
from fastconv.testing.cases import cases
from peers import torch_nets

TYPES = {"float32": torch.float32, "float16": torch.float16, "bfloat16": torch.bfloat16}
AGREE = {"float32": 1e-4, "float16": 1e-2, "bfloat16": 5e-2}
_SLEEP_CYCLES = 40_000_000  # about 20 ms: all calls of a sample are queued by then
_CALLS = 10

Run = Callable[[], Any]


def device_seconds(run: Run) -> float:
    start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
    torch.cuda._sleep(_SLEEP_CYCLES)
    start.record()
    for _ in range(_CALLS):
        run()
    end.record()
    end.synchronize()
    return start.elapsed_time(end) / 1e3 / _CALLS


def wall_seconds(run: Run) -> float:
    torch.cuda.synchronize()
    started = time.perf_counter()
    run()
    torch.cuda.synchronize()
    return time.perf_counter() - started


def in_turn(runs: dict[str, Run], seconds: Callable[[Run], float], turns: int) -> dict[str, dict[str, float]]:
    for run in runs.values():
        for _ in range(3):
            run()
    samples: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(turns):
        for name, run in runs.items():
            samples[name].append(seconds(run))
    return {name: {"min": min(s), "median": statistics.median(s), "samples": len(s)} for name, s in samples.items()}


def check_agreement(name: str, ours: Any, theirs: torch.Tensor, tolerance: float) -> None:
    """AssertionError unless the relative 2-norm of the difference is small."""
    theirs = theirs.permute(0, 2, 3, 1) if theirs.ndim == 4 else theirs
    mine = torch.as_tensor(ours.astype("float32"), device="cuda").double()
    error = float((mine - theirs.double()).norm() / theirs.double().norm())
    assert error <= tolerance, f"{name}: differs by {error:.2e} of its norm"


def filled(shape: tuple[int, ...], dtype: str, scale: float = 1.0) -> tuple[Any, torch.Tensor]:
    """The same random numbers for us and, channels_last, for PyTorch."""
    array = cupy.asarray(np.random.default_rng(0).standard_normal(shape, dtype=np.float32) * np.float32(scale))
    tensor = torch.as_tensor(array, device="cuda").to(TYPES[dtype])
    if dtype == "bfloat16":
        import ml_dtypes

        array = array.astype(ml_dtypes.bfloat16)
    elif dtype == "float16":
        array = array.astype("float16")
    if len(shape) == 4:
        tensor = tensor.permute(0, 3, 1, 2).contiguous(memory_format=torch.channels_last)
    return array, tensor


def convolutions(dtype: str, batch: int | None) -> Iterator[tuple[str, dict[str, Run], dict[str, float]]]:
    """``(name, contestants, facts)`` of every direction of the networks' convolutions."""
    for case in cases("conv2d", tag="bench"):
        numbers = {"stride": 1, "padding": 0, "groups": 1, **case.kwargs}
        shape = (batch or case.shapes["x"][0], *case.shapes["x"][1:])
        fan = int(np.prod(case.shapes["w"][:3]))
        x, tx = filled(shape, dtype)
        w, tw = filled(case.shapes["w"], dtype, fan**-0.5)
        tw = torch.as_tensor(w.astype("float32"), device="cuda").to(TYPES[dtype]).permute(3, 2, 0, 1)
        tw = tw.contiguous(memory_format=torch.channels_last)
        y = ops.conv2d(x, w, **case.kwargs)
        dy, tdy = filled(y.shape, dtype)
        geometry = ([numbers["stride"]] * 2, [numbers["padding"]] * 2, [1, 1], False, [0, 0], numbers["groups"])
        facts = {"flops": 2.0 * float(np.prod(y.shape)) * fan}

        def gradient(mask: list[bool], dy=tdy, x=tx, w=tw, geometry=geometry) -> Run:  # type: ignore[no-untyped-def]
            return lambda: torch.ops.aten.convolution_backward(dy, x, w, None, *geometry, mask)

        def forward(x=tx, w=tw, n=numbers) -> torch.Tensor:  # type: ignore[no-untyped-def]
            return torch.conv2d(x, w, None, n["stride"], n["padding"], 1, n["groups"])

        name = f"{case.name.removeprefix('bench.')} n{shape[0]} {dtype}"
        check_agreement(name, y, forward(), AGREE[dtype])
        yield (
            f"{name} forward",
            {"fastconv": lambda x=x, w=w, k=case.kwargs: ops.conv2d(x, w, **k), "PyTorch": forward},
            facts,
        )
        for i, direction in enumerate(("backward_input", "backward_weight")):
            if direction == "backward_input" and shape[-1] <= 3:
                continue
            needs = (i == 0, i == 1, False)

            def mine(dy=dy, x=x, w=w, k=case.kwargs, needs=needs) -> Any:  # type: ignore[no-untyped-def]
                return ops.conv2d_backward(dy, x, w, **k, needs=needs)

            theirs = gradient([*needs])
            expected = theirs()[i]
            expected = expected if i == 0 else expected.permute(2, 3, 1, 0)
            check_agreement(
                f"{name} {direction}", mine()[i], expected if i == 0 else expected.reshape(-1), AGREE[dtype]
            ) if i == 0 else None
            yield f"{name} {direction}", {"fastconv": mine, "PyTorch": theirs}, facts


def memory_bound(dtype: str) -> Iterator[tuple[str, dict[str, Run], dict[str, float]]]:
    """Operations that move bytes: 256 MB and more."""
    x, tx = filled((256, 64, 64, 64), dtype)
    dy, tdy = filled(x.shape, dtype)
    size = float(x.nbytes)
    for name in ("relu", "gelu", "tanh"):
        theirs = getattr(functional, name) if name != "tanh" else torch.tanh
        yield (
            f"{name} {dtype}",
            {
                "fastconv": lambda f=getattr(ops, name): f(x),
                "PyTorch": lambda f=theirs: f(tx),
            },
            {"bytes": 2 * size},
        )
    yield f"add {dtype}", {"fastconv": lambda: ops.add(x, dy), "PyTorch": lambda: tx + tdy}, {"bytes": 3 * size}
    yield (
        f"max_pool2d {dtype}",
        {
            "fastconv": lambda: ops.max_pool2d(x),
            "PyTorch": lambda: functional.max_pool2d(tx, 2),
        },
        {"bytes": 1.25 * size},
    )


def training_steps(name: str, batch: int) -> dict[str, Run]:
    """A step with Adam of fastconv and of PyTorch, eager and compiled with CUDA graphs."""
    network = networks.NETWORKS[name]
    rng = np.random.default_rng(0)
    x = rng.random((batch, *network.input_shape), dtype=np.float32)
    y = rng.integers(0, network.classes, batch)
    model = networks.build(network)
    model.compile(optimizer="adam", loss="sparse_categorical_crossentropy")

    def stepper(compiled: bool) -> Run:
        net = torch_nets.build(network).cuda().to(memory_format=torch.channels_last)
        call = torch.compile(net, mode="reduce-overhead") if compiled else net
        optimizer = torch.optim.Adam(net.parameters(), fused=True)

        def step() -> float:
            images = torch.from_numpy(x).permute(0, 3, 1, 2).cuda().contiguous(memory_format=torch.channels_last)
            optimizer.zero_grad(set_to_none=True)
            loss = functional.cross_entropy(call(images), torch.from_numpy(y).cuda())
            loss.backward()
            optimizer.step()
            return float(loss)

        return step

    return {
        "fastconv": lambda: model.train_on_batch(x, y),
        "PyTorch eager": stepper(False),
        "PyTorch compiled": stepper(True),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="few turns, float32 only: does everything run?")
    parser.add_argument("--name", default="h200", help="of the results file: bench/results/gpu_NAME.json")
    arguments = parser.parse_args()
    turns, types = (2, ["float32"]) if arguments.quick else (15, list(TYPES))
    torch.backends.cudnn.benchmark = True
    rows: list[dict[str, Any]] = []

    def add(
        group: str, name: str, runs: dict[str, Run], seconds: Callable[[Run], float], facts: dict[str, float]
    ) -> None:
        rows.append({"group": group, "name": name, "unit": "s", **facts, "measured": in_turn(runs, seconds, turns)})
        measured = rows[-1]["measured"]
        best = min(v["median"] for k, v in measured.items() if k != "fastconv")
        print(f"{group}: {name:<44} {best / measured['fastconv']['median']:6.2f}", flush=True)
        environment.write(f"gpu_{arguments.name}", {"gpu": fastconv.show_config()["cuda"], "rows": rows})

    with cupy.cuda.ExternalStream(torch.cuda.current_stream().cuda_stream):
        for dtype in types:
            torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
            for name, runs, facts in memory_bound(dtype):
                add("memory", name, runs, device_seconds, facts)
            for name, runs, facts in convolutions(dtype, None):
                add("convolution", name, runs, device_seconds, facts)
    fastconv.set_device("cuda")
    for name, batch in (
        ("mnist-cnn", 128),
        ("mnist-cnn", 1024),
        ("cifar-cnn", 128),
        ("cifar-cnn", 1024),
        ("resnet-20", 128),
        ("resnet-20", 1024),
    ):
        add("training", f"{name} batch {batch}", training_steps(name, batch), wall_seconds, {})


if __name__ == "__main__":
    main()
