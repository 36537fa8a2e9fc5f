"""Places boxes that edges connect in layers: Sugiyama, Tagawa and Toda 1981, IEEE Trans. SMC 11(2), in its four steps.

1. Rank: a box lies below all that it depends on (longest path); a source moves down to just above its first reader.
2. Edges over several ranks get a bend in each rank between.
3. Order within ranks: sweeps that sort by the mean of the neighbours' places; the order with the fewest crossings is kept.
4. Coordinates: sweeps that move every box towards the mean of its neighbours as far as the boxes beside it allow, which is a
   least-squares problem under order constraints, solved exactly by pooling (Ayer et al. 1955).

Pure geometry: knows sizes and edges, nothing of models. The same input gives the same picture.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

__all__ = ["Placement", "place"]

Point = tuple[float, float]

_BESIDE, _BETWEEN = 28.0, 34.0  # gaps between boxes of a rank, and between ranks
_BEND = 10.0  # the width that a passing edge keeps free
_ORDER_SWEEPS, _PLACE_SWEEPS = 12, 12


@dataclass(frozen=True)
class Placement:
    """Where everything lies; the picture begins at (0, 0).

    Attributes:
        centres: of each box.
        routes: of each edge, from the lower side of its source over its bends to the upper side of its target.
        width, height: of the picture.
    """

    centres: list[Point]
    routes: list[list[Point]]
    width: float
    height: float


def place(sizes: Sequence[tuple[float, float]], edges: Sequence[tuple[int, int]]) -> Placement:
    """Places boxes of ``sizes`` (width, height), so that ``edges`` (source, target), which form no circle, lead downwards."""
    ranks = _ranks(len(sizes), edges)
    chains, widths, rank_of = _with_bends(sizes, edges, ranks)
    links = [pair for chain in chains for pair in itertools.pairwise(chain)]
    order = _ordered(rank_of, links)
    x = _coordinates(order, widths, links)
    left = min((x[i] - widths[i] / 2 for i in range(len(widths))), default=0.0)
    x = [value - left for value in x]
    tops, height = _tops(sizes, ranks)
    centres = [(x[i], tops[ranks[i]][0] + tops[ranks[i]][1] / 2) for i in range(len(sizes))]
    routes = _routes(sizes, edges, chains, x, centres, tops, rank_of)
    width = max((x[i] + widths[i] / 2 for i in range(len(widths))), default=0.0)
    return Placement(centres, routes, width, height)


def _ranks(count: int, edges: Sequence[tuple[int, int]]) -> list[int]:
    """The longest way from a source; boxes are numbered so that edges lead from lower to higher numbers."""
    ranks = [0] * count
    for source, target in sorted(edges):
        ranks[target] = max(ranks[target], ranks[source] + 1)
    has_source = {target for _, target in edges}
    for box in range(count):
        readers = [ranks[t] for s, t in edges if s == box]
        if box not in has_source and readers:
            ranks[box] = min(readers) - 1
    return ranks


def _with_bends(
    sizes: Sequence[tuple[float, float]], edges: Sequence[tuple[int, int]], ranks: list[int]
) -> tuple[list[list[int]], list[float], list[int]]:
    """Each edge as a chain of boxes and bends, one per rank; the widths and ranks of boxes and bends."""
    widths, rank_of = [width for width, _ in sizes], list(ranks)
    chains = []
    for source, target in edges:
        between = range(ranks[source] + 1, ranks[target])
        bends = list(range(len(widths), len(widths) + len(between)))
        widths += [_BEND] * len(bends)
        rank_of += between
        chains.append([source, *bends, target])
    return chains, widths, rank_of


def _neighbours(count: int, links: Sequence[tuple[int, int]]) -> tuple[list[list[int]], list[list[int]]]:
    above: list[list[int]] = [[] for _ in range(count)]
    below: list[list[int]] = [[] for _ in range(count)]
    for upper, lower in links:
        above[lower].append(upper)
        below[upper].append(lower)
    return above, below


def _ordered(rank_of: list[int], links: Sequence[tuple[int, int]]) -> list[list[int]]:
    """The boxes and bends of each rank from left to right."""
    order: list[list[int]] = [[] for _ in range(max(rank_of, default=-1) + 1)]
    for item, rank in enumerate(rank_of):
        order[rank].append(item)
    above, below = _neighbours(len(rank_of), links)
    best, fewest = [list(row) for row in order], _crossings(order, below)
    for sweep in range(_ORDER_SWEEPS):
        if not fewest:
            break
        down = sweep % 2 == 0
        for row in order if down else reversed(order):
            position = {item: i for other in order for i, item in enumerate(other)}
            fixed = above if down else below

            def wanted(item: int, fixed: list[list[int]] = fixed, position: dict[int, int] = position) -> float:
                return sum(position[n] for n in fixed[item]) / len(fixed[item]) if fixed[item] else position[item]

            row.sort(key=wanted)
        crossings = _crossings(order, below)
        if crossings < fewest:
            best, fewest = [list(row) for row in order], crossings
    return best


def _crossings(order: list[list[int]], below: list[list[int]]) -> int:
    count = 0
    for upper, lower in itertools.pairwise(order):
        position = {item: i for i, item in enumerate(lower)}
        ends = [sorted(position[n] for n in below[item]) for item in upper]
        for i, left in enumerate(ends):
            for right in ends[i + 1 :]:
                count += sum(b < a for a in left for b in right)
    return count


def _coordinates(order: list[list[int]], widths: list[float], links: Sequence[tuple[int, int]]) -> list[float]:
    above, below = _neighbours(len(widths), links)
    x = [0.0] * len(widths)
    for row in order:
        _spread(row, [0.0] * len(row), widths, x)
    for sweep in range(_PLACE_SWEEPS):
        down = sweep % 2 == 0
        fixed = above if down else below
        for row in order if down else reversed(order):
            wanted = [sum(x[n] for n in fixed[i]) / len(fixed[i]) if fixed[i] else x[i] for i in row]
            _spread(row, wanted, widths, x)
    return x


def _spread(row: list[int], wanted: list[float], widths: list[float], x: list[float]) -> None:
    """Puts a rank as near to ``wanted`` as its gaps allow: the least sum of squares, by pooling what would overlap."""
    offsets, start = [], 0.0
    for previous, item in zip([None, *row], row, strict=False):
        start += 0 if previous is None else (widths[previous] + widths[item]) / 2 + _BESIDE
        offsets.append(start)
    blocks: list[list[float]] = []  # (sum of wishes, how many): the mean is the block's place
    for wish, offset in zip(wanted, offsets, strict=True):
        blocks.append([wish - offset, 1])
        while len(blocks) > 1 and blocks[-2][0] / blocks[-2][1] > blocks[-1][0] / blocks[-1][1]:
            total, count = blocks.pop()
            blocks[-1][0] += total
            blocks[-1][1] += count
    places = [total / count for total, count in blocks for _ in range(int(count))]
    for item, base, offset in zip(row, places, offsets, strict=True):
        x[item] = base + offset


def _tops(sizes: Sequence[tuple[float, float]], ranks: list[int]) -> tuple[list[tuple[float, float]], float]:
    """``(top, height)`` of each rank, and the height of all."""
    heights = [0.0] * (max(ranks, default=-1) + 1)
    for (_, height), rank in zip(sizes, ranks, strict=True):
        heights[rank] = max(heights[rank], height)
    tops, y = [], 0.0
    for height in heights:
        tops.append((y, height))
        y += height + _BETWEEN
    return tops, max(y - _BETWEEN, 0.0)


def _routes(
    sizes: Sequence[tuple[float, float]],
    edges: Sequence[tuple[int, int]],
    chains: list[list[int]],
    x: list[float],
    centres: list[Point],
    tops: list[tuple[float, float]],
    rank_of: list[int],
) -> list[list[Point]]:
    starts = _ports([(edge[0], x[chain[1]]) for edge, chain in zip(edges, chains, strict=True)], sizes, centres)
    ends = _ports([(edge[1], x[chain[-2]]) for edge, chain in zip(edges, chains, strict=True)], sizes, centres)
    routes = []
    for i, ((source, target), chain) in enumerate(zip(edges, chains, strict=True)):
        route = [(starts[i], centres[source][1] + sizes[source][1] / 2)]
        for bend in chain[1:-1]:
            top, height = tops[rank_of[bend]]
            route += [(x[bend], top), (x[bend], top + height)]
        routes.append([*route, (ends[i], centres[target][1] - sizes[target][1] / 2)])
    return routes


def _ports(touches: list[tuple[int, float]], sizes: Sequence[tuple[float, float]], centres: list[Point]) -> list[float]:
    """Where edges touch a box: side by side in the order of where they come from, around its middle."""
    ports = [0.0] * len(touches)
    by_box: dict[int, list[int]] = {}
    for i, (box, _) in enumerate(touches):
        by_box.setdefault(box, []).append(i)
    for box, members in by_box.items():
        members.sort(key=lambda i: touches[i][1])
        gap = min(26.0, 0.8 * sizes[box][0] / len(members))
        for k, i in enumerate(members):
            ports[i] = centres[box][0] + (k - (len(members) - 1) / 2) * gap
    return ports
