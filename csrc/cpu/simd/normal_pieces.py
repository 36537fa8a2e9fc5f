"""Writes normal_pieces.h, the tables that normal.h looks up: `python normal_pieces.py | clang-format > normal_pieces.h`.

Each piece has the polynomial that meets the function at the Chebyshev nodes of the piece; its coefficients are fitted in
float64 and rounded to float32 once.
"""

import math

import numpy as np

SQUARE, LINEAR = 0.3125, 1.40625  # y lies in piece round(SQUARE y^2 + LINEAR y): the further out, the shorter
PIECES, DEGREE = 32, 7

HEADER = f"""\
// normal_pieces.h — written by normal_pieces.py: the normal distribution's lower tail in {PIECES} polynomial pieces.
#pragma once

namespace fc::cpu::FC_ISA {{

struct NormalPieces {{
static constexpr int kPieces = {PIECES}, kTerms = {DEGREE + 1};
// y >= 0 lies in piece round(kSquare y^2 + kLinear y), the last of which ends beyond kEnd.
static constexpr float kSquare = {SQUARE}f, kLinear = {LINEAR}f, kEnd = 8;

using Table = float[kTerms][kPieces];  // a row for each power, the highest first
"""


def cdf(x):
    return math.erfc(-x / math.sqrt(2)) / 2


def slope(x):
    """The derivative of x cdf(x)."""
    return cdf(x) + x * math.exp(-x * x / 2) / math.sqrt(2 * math.pi)


def edge(u):
    """Where SQUARE y^2 + LINEAR y = u."""
    return (math.sqrt(LINEAR * LINEAR + 4 * SQUARE * u) - LINEAR) / (2 * SQUARE)


def pieces():
    """The centre and the half width of each piece; the centres are so short that y - centre is exact."""
    for i in range(PIECES):
        low, high = edge(max(i - 0.5, 0)), edge(i + 0.5)
        centre = round((low + high) / 2 * 4096) / 4096
        yield centre, max(high - centre, centre - low)


def coefficients(function, centre, half):
    """Of function(-y) in powers of y - centre, the highest first."""
    nodes = np.cos(np.pi * (2 * np.arange(DEGREE + 1) + 1) / (2 * (DEGREE + 1)))
    values = [function(-(centre + half * node)) for node in nodes]
    return np.linalg.solve(np.vander(nodes), values) / half ** np.arange(DEGREE, -1, -1)


def row(values):
    numbers = [f"{v:.9g}" for v in np.float32(values)]
    return "{" + ", ".join(n + ("f" if set(n) & set(".e") else ".0f") for n in numbers) + "}"


def table(name, function):
    columns = np.transpose([coefficients(function, centre, half) for centre, half in pieces()])
    return f"alignas(64) static constexpr Table {name} = {{{', '.join(row(values) for values in columns)}}};"


if __name__ == "__main__":
    print(HEADER)
    print(f"alignas(64) static constexpr float kCentre[kPieces] = {row([centre for centre, _ in pieces()])};")
    print("// The cumulative distribution at -y and the derivative of x cdf(x) at x = -y, in powers of y - centre.")
    print(table("kCdf", cdf))
    print(table("kSlope", slope))
    print("};\n\n}  // namespace fc::cpu::FC_ISA")
