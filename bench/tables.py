"""The rows of a results file as Markdown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from results import Row, best_peer, disturbed, ours, ratio
from targets import Target, ceiling, gflops, gigabytes, targets

GROUPS = {
    "convolution": "Convolutions",
    "dense": "Matrix products",
    "memory": "Bound by the memory's bandwidth",
    "training": "Training steps",
    "training, busy": "Training steps beside one busy process",
    "inference": "Inference",
    "peak memory": "Peak memory of a training step",
}


def promises(content: dict[str, Any]) -> str:
    """What was promised, what was reached, and whether that is enough."""
    lines = [
        "| ratio to the best peer, unless a share | target | by minimum | by median | met | least at |",
        "|---|--:|--:|--:|:-:|---|",
    ]
    for target, reached in zip(targets(content["ceilings"]), _reached(content), strict=True):
        where = target.least_row(_undisturbed(content))
        lines.append(f"| {_promise(target)} | {' | '.join(reached)} | {where['name'] if where else ''} |")
    return "\n".join(lines)


def comparison(contents: Mapping[str, dict[str, Any]]) -> str:
    """The same on several machines, side by side; ``contents`` by what a machine is called."""
    lines = [
        f"| ratio to the best peer, unless a share | target | {' | '.join(f'{k}, by minimum | by median | met' for k in contents)} |",
        f"|---|--:|{'--:|--:|:-:|' * len(contents)}",
    ]
    columns = [_reached(content) for content in contents.values()]
    for target, *cells in zip(targets(next(iter(contents.values()))["ceilings"]), *columns, strict=True):
        lines.append(f"| {_promise(target)} | {' | '.join(c for machine in cells for c in machine)} |")
    return "\n".join(lines)


def _undisturbed(content: dict[str, Any]) -> list[Row]:
    return [row for row in content["rows"] if not disturbed(row)]


def _promise(target: Target) -> str:
    return f"{target.text} | {_figure(target.least, target.percent)}"


def _reached(content: dict[str, Any]) -> list[tuple[str, str, str]]:
    """Of each target: by minimum, by median, whether it is met by minimum."""
    rows, cells = _undisturbed(content), []
    for target in targets(content["ceilings"]):
        least, median = (target.reached(rows, statistic) for statistic in ("min", "median"))
        met = "" if least is None else "yes" if least >= target.least else "no"
        cells.append((_figure(least, target.percent), _figure(median, target.percent), met))
    return cells


def everything(content: dict[str, Any]) -> str:
    """One table per group."""
    parts = []
    for group, title in GROUPS.items():
        rows = [row for row in content["rows"] if row["group"] == group]
        if rows:
            parts.append(f"## {title}\n\n{_table(rows, content['ceilings'])}")
    return "\n\n".join(parts)


def machine(content: dict[str, Any]) -> str:
    """One sentence on where and with what."""
    environment, ceilings = content["environment"], content["ceilings"]
    config, versions = environment["config"], environment["versions"]
    peers = ", ".join(f"{n} {versions[n]}" for n in ("torch", "onnxruntime") if versions.get(n))
    noisy = sum(map(disturbed, content["rows"]))
    warning = (
        f" Other processes disturbed {noisy} of {len(content['rows'])} rows, which count for no target."
        if noisy
        else ""
    )
    return (
        f"{environment['cpu']}, {config['threads']} threads, {config['isa']}; measured ceilings: {ceilings['gflops']:.0f} "
        f"GFLOP/s of fused multiply-adds, {ceilings['beyond']:.0f} GB/s of copies beyond the caches, "
        f"{ceilings['inside']:.0f} GB/s inside; {peers}.{warning}"
    )


def _table(rows: Sequence[Row], ceilings: dict[str, float]) -> str:
    lines = [
        "| | fastconv | rate | of the ceiling | best peer | | ratio by minimum | by median |",
        "|---|--:|--:|--:|--:|---|--:|--:|",
    ]
    for row in rows:
        for mine in ours(row):
            name = row["name"] if mine == "fastconv" else f"{row['name']}, {mine.removeprefix('fastconv ')}"
            name += " (disturbed)" if disturbed(row) else ""
            peer = best_peer(row)
            cells = [
                *(name, _amount(row, mine), *_rate(row, mine, ceilings), _amount(row, peer), peer),
                *(f"{ratio(row, mine, statistic):.2f}" for statistic in ("min", "median")),
            ]
            lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def _amount(row: Row, who: str) -> str:
    """The least time or size, with three digits that count."""
    least = row["measured"][who]["min"]
    if row["unit"] == "bytes":
        return f"{least / 2**20:.1f} MiB"
    return f"{_three_digits(least * 1e3)} ms" if least >= 1e-3 else f"{_three_digits(least * 1e6)} µs"


def _three_digits(value: float) -> str:
    return f"{value:.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def _rate(row: Row, who: str, ceilings: dict[str, float]) -> tuple[str, str]:
    """Per second, and per cent of what the machine can do."""
    if "flops" in row:
        rate, unit = gflops(row, who), "GFLOP/s"
    elif "place" in row:
        rate, unit = gigabytes(row, who), "GB/s"
    elif "images" in row:
        return f"{row['images'] / row['measured'][who]['min']:,.0f} images/s", ""
    else:
        return "", ""
    return f"{rate:.0f} {unit}", f"{100 * rate / ceiling(row, ceilings):.0f} %"


def _figure(value: float | None, percent: bool) -> str:
    if value is None:
        return ""
    return f"{100 * value:.0f} %" if percent else f"{value:.2f}"
