// igemm.h — the loops around multiply_tile: rows of an image times a matrix B, forward and backward input.
//
// Math       out[i][j] = Σ_tap Σ_c rows[tap][i][c] · B[tap·depth + c][j], then the epilogue; per group
// Blocking   a task owns a block of rows and a run of column panels. Row blocks share one packed B and walk it in
//            blocks that stay in L2; of a single row block the first tile packs as it goes, the others fetch
//            the next block meanwhile. With a handful of rows B is streamed in place instead, kStreamDepth of
//            its rows side by side
// Threads    over (row block, group, run of panels); each output has one writer, one order of summation
// Edges      rows and panels are cut into nearly equal tiles, so there is no thin last tile; B is
//            zero-padded; taps outside the image multiply zeros, or are left out where B is not finite
#pragma once

#include "core/context.h"
#include "cpu/kernels/igemm_problem.h"

namespace fc::cpu::FC_ISA {

// Compiled once, in igemm.cpp: its tiles are the slowest part of a build.
template <class T>
size_t igemm_workspace(const Igemm<T>& p, int threads);
template <class T>
void igemm(const Igemm<T>& p, const Context& context);

}  // namespace fc::cpu::FC_ISA
