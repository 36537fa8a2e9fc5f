"""What was promised (issue 3), and how each promise is read off the rows of a results file.

A ratio is the best time of the peer's modes divided by ours, both measured in turn in one run.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from results import Row, ratio

Measure = Callable[[Row, str], float]  # (row, "min" or "median")
STRICT = "fastconv strict"


@dataclass(frozen=True)
class Target:
    """``combine`` of ``measure`` over the rows that ``applies`` picks must reach ``least``."""

    text: str
    applies: Callable[[Row], bool]
    least: float
    combine: Callable[[Sequence[float]], float]
    measure: Measure = lambda row, statistic: ratio(row, statistic=statistic)
    percent: bool = False

    def reached(self, rows: Iterable[Row], statistic: str = "min") -> float | None:
        """None where nothing was measured."""
        values = [self.measure(row, statistic) for row in rows if self.applies(row)]
        return self.combine(values) if values else None

    def least_row(self, rows: Iterable[Row]) -> Row | None:
        """Where a least value is: None for means, and where nothing was measured."""
        picked = [row for row in rows if self.applies(row)] if self.combine is min else []
        return min(picked, key=lambda row: self.measure(row, "min"), default=None)


def geometric_mean(values: Sequence[float]) -> float:
    return math.exp(sum(map(math.log, values)) / len(values))


def gflops(row: Row, who: str, statistic: str = "min") -> float:
    return row["flops"] / row["measured"][who][statistic] / 1e9


def gigabytes(row: Row, who: str, statistic: str = "min") -> float:
    return row["bytes"] / row["measured"][who][statistic] / 1e9


def ceiling(row: Row, ceilings: dict[str, float], statistic: str = "min") -> float:
    """GFLOP/s or GB/s of the machine: as measured in turn with the row, or else, in older files, at best in that run."""
    if most := row.get("ceiling"):
        return most["amount"] / most[statistic] / 1e9
    return ceilings["gflops" if "flops" in row else row["place"]]


def targets(ceilings: dict[str, float]) -> list[Target]:
    """All of them; shares are of the machine's measured ceilings."""
    return [*_convolutions(ceilings), *_operations(ceilings), *_networks()]


def _in_group(group: str, *words: str) -> Callable[[Row], bool]:
    """Rows of a group whose names hold all the words."""
    return lambda row: row["group"] == group and all(word in row["name"] for word in words)


def _strict(row: Row, statistic: str) -> float:
    return ratio(row, STRICT, statistic)


def _plain_3x3(*directions: str) -> Callable[[Row], bool]:
    """3x3, stride 1, at least 32 channels in and out."""

    def applies(row: Row) -> bool:
        return (
            row["group"] == "convolution"
            and (row["window"], row["stride"]) == (3, 1)
            and min(row["channels"]) >= 32
            and row["name"].split()[1] in directions
        )

    return applies


def _large(row: Row) -> bool:
    """3x3 or 1x1, stride 1, at least 64 channels in and out."""
    return (
        row["group"] == "convolution" and row["stride"] == 1 and row["window"] in (1, 3) and min(row["channels"]) >= 64
    )


def _convolutions(ceilings: dict[str, float]) -> list[Target]:
    every = _in_group("convolution")

    def share_of_peak(row: Row, statistic: str) -> float:
        return gflops(row, STRICT, statistic) / ceiling(row, ceilings, statistic)

    return [
        Target("convolutions, geometric mean", every, 2.0, geometric_mean),
        Target("convolutions, least", every, 1.0, min),
        Target(
            "3x3, forward and backward-input, geometric mean",
            _plain_3x3("forward", "backward_input"),
            2.5,
            geometric_mean,
        ),
        Target("3x3, backward-weight, geometric mean", _plain_3x3("backward_weight"), 3.5, geometric_mean),
        Target("strict convolutions, geometric mean", every, 1.25, geometric_mean, _strict),
        Target("strict convolutions, least", every, 0.95, min, _strict),
        Target("strict large 3x3 and 1x1, least share of the FMA peak", _large, 0.9, min, share_of_peak, percent=True),
    ]


def _operations(ceilings: dict[str, float]) -> list[Target]:
    def share_of_copies(row: Row, statistic: str) -> float:
        return gigabytes(row, "fastconv", statistic) / ceiling(row, ceilings, statistic)

    def beyond(row: Row) -> bool:
        return row["group"] == "memory" and row["place"] == "beyond"

    return [
        Target("dense, least", _in_group("dense"), 1.0, min),
        Target("memory-bound, least", _in_group("memory"), 1.0, min),
        Target("beyond the cache, least share of the copy bandwidth", beyond, 0.8, min, share_of_copies, percent=True),
    ]


def _networks() -> list[Target]:
    made: list[Target] = []
    steps = {"mlp": 1.3, "mnist-cnn": 3.0, "cifar-cnn": 2.7, "resnet-20": 2.5}
    for group in ("training", "training, busy"):
        for name, least in steps.items():
            made.append(Target(f"{group}, {name}", _large_batch(group, name), least, min))
        made.append(Target(f"{group}, batch 1, least", _batch_of_one(group), 8.0, min))
    for name, least in {"vgg": 1.6, "resnet-18": 1.2, "mnist-cnn": 2.0, "cifar-cnn": 2.0}.items():
        text = f"inference over onnxruntime, {name}, least"
        made.append(Target(text, _in_group("inference", name), least, min, _over_onnxruntime))
    made.append(
        Target("PyTorch's peak memory of a training step over ours, least", _in_group("peak memory"), 1 / 0.8, min)
    )
    return made


def _batch_of_one(group: str) -> Callable[[Row], bool]:
    return lambda row: row["group"] == group and row["images"] == 1


def _large_batch(group: str, name: str) -> Callable[[Row], bool]:
    return lambda row: row["group"] == group and row["images"] > 1 and row["name"].startswith(name)


def _over_onnxruntime(row: Row, statistic: str) -> float:
    return ratio(row, "fastconv", statistic, prefix="onnxruntime")
