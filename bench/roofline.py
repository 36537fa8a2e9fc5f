"""The picture: convolutions and matrix products under the roof of the machine, memory-bound operations beside copies."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from results import Row, best_peer, ours
from targets import gflops, gigabytes

_LOOKS = {"fastconv": ("o", "tab:red"), "fastconv strict": ("^", "tab:orange"), "PyTorch": ("x", "tab:blue")}


def draw(content: dict[str, Any], path: Path) -> None:
    """Writes an SVG; the same results give the same picture."""
    import matplotlib

    matplotlib.use("svg")
    from matplotlib import pyplot

    with pyplot.rc_context({"svg.hashsalt": "fastconv", "font.size": 9}):
        figure, (roof, bars) = pyplot.subplots(1, 2, figsize=(11, 5), layout="constrained", width_ratios=(3, 2))
        _roofline(roof, [row for row in content["rows"] if "flops" in row], content["ceilings"])
        _bandwidth(bars, [row for row in content["rows"] if row.get("place") == "beyond"], content["ceilings"])
        figure.savefig(path, format="svg", metadata={"Date": None})
        pyplot.close(figure)


def _roofline(axes: Any, rows: list[Row], ceilings: dict[str, float]) -> None:
    for label, (marker, colour) in _LOOKS.items():
        points = [(row, who) for row in rows if (who := _who(row, label))]
        intensity = [row["flops"] / row["bytes"] for row, _ in points]
        rates = [gflops(row, who) for row, who in points]
        axes.loglog(intensity, rates, marker, color=colour, label=label, markersize=5, fillstyle="none")
    low, high = 0.3, 2000
    for place, style in (("beyond", "-"), ("inside", "--")):
        corner = ceilings["gflops"] / ceilings[place]
        roof = [low * ceilings[place], ceilings["gflops"], ceilings["gflops"]]
        axes.plot([low, corner, high], roof, "k" + style, linewidth=1, label=f"copies {place} the caches, FMA peak")
    axes.set(xlabel="FLOP per byte that must move", ylabel="GFLOP/s (direct convolution's FLOPs)", xlim=(low, high))
    axes.xaxis.set_major_formatter("{x:g}")
    axes.set_yticks([20, 50, 100, 200, 500, 1000], [20, 50, 100, 200, 500, 1000])
    axes.minorticks_off()
    axes.set_title("Above the peak: Winograd does fewer multiplications", fontsize=9)
    axes.legend(fontsize=8)


def _bandwidth(axes: Any, rows: list[Row], ceilings: dict[str, float]) -> None:
    names = [row["name"].removesuffix(", beyond").replace("forward+backward", "f+b") for row in rows]
    for shift, label in ((-0.2, "fastconv"), (0.2, "PyTorch")):
        rates = [gigabytes(row, who) for row in rows if (who := _who(row, label))]
        places = [i + shift for i in range(len(rates))]
        axes.barh(places, rates, height=0.4, color=_LOOKS[label][1], label=label)
    axes.axvline(ceilings["beyond"], color="k", linewidth=1, label="copies")
    axes.set_yticks(range(len(names)), names)
    axes.invert_yaxis()
    axes.set(xlabel="GB/s of what must move, arrays of 64 MiB")
    axes.legend(fontsize=8, loc="lower right")


def _who(row: Row, label: str) -> str | None:
    """The contestant that a label stands for: fastconv's own, or the best of the peer's modes."""
    if label == "PyTorch":
        return best_peer(row)
    return label if label in ours(row) else None
