// conv2d_winograd.cu — 3x3 convolutions of float32 by minimal filtering, forward and gradients of x.
//
// Math       winograd.cuh; V[t][p][c] = (Bᵀ d B)[p] of tile t, U[c][p][k] = (G g Gᵀ)[p],
//            M[t][p][k] = Σ_c V[t][p][c] · U[c][p][k], y = Aᵀ M A through the epilogue. The sums are a 1x1
//            convolution of images of one pixel with 36 groups, one per point p. backward_input: dy in
//            place of x, the filter turned round, its channels and filters swapped
// Shapes     conv2d_forward.cu; stride 1, no dilation, one group, C and K multiples of 8. When it pays:
//            conv2d_winograd.h
// Grid       a thread per tile and channel (or filter), channels innermost: neighbours in memory
// Block      256 threads
// Registers  a tile's 36 numbers
// Numerics   float32; relative error (L2) about 1.2e-6 at C = 256, 3 to 6 times that of direct sums: only
//            in fast precision
// Workspace  winograd_workspace(spec): U; V and M of as many tiles as take 32 MB, a part of the L2 cache;
//            the product's
// Edges      cells outside the image are 0, results outside are dropped. An infinity makes NaN of its tile,
//            one in the filter of all results
// Source     winograd.cuh
#include "cuda/device/window_store.cuh"
#include "cuda/kernels/conv2d_winograd.h"

namespace fc::cuda {
namespace {

constexpr int kThreads = 256;

// A pass as a forward one: images (H,W,C) are read, (P,Q,K) written.
struct Extents {
  int N, H, W, C, P, Q, K;
  int pad_top, pad_left;
  Divider tiles_down, tiles_across;

  Extents(const Conv2dSpec& s, Pass pass) : N(static_cast<int>(s.N)) {
    const bool forward = pass == Pass::forward;
    const auto i = [](int64_t v) { return static_cast<int>(v); };
    H = i(forward ? s.H : s.P), W = i(forward ? s.W : s.Q), C = i(forward ? s.C : s.K);
    P = i(forward ? s.P : s.H), Q = i(forward ? s.Q : s.W), K = i(forward ? s.K : s.C);
    pad_top = i(forward ? s.pad_top : 2 - s.pad_top), pad_left = i(forward ? s.pad_left : 2 - s.pad_left);
    tiles_down = Divider(ceil_div(P, kWinogradTile)), tiles_across = Divider(ceil_div(Q, kWinogradTile));
  }
};

// The first result of a tile.
struct TileAt {
  int n, p, q;

  __device__ __forceinline__ TileAt(const Extents& e, int tile) {
    int line = e.tiles_across.divide(tile);
    q = tile * kWinogradTile;
    n = e.tiles_down.divide(line);
    p = line * kWinogradTile;
  }
};

// U, a thread per channel and filter; `turned`: of backward_input.
__global__ void __launch_bounds__(kThreads)
    winograd_filter_kernel(const float* w, int C, int K, bool turned, float* u) {
  const int k = static_cast<int>(blockIdx.x) * 32 + static_cast<int>(threadIdx.x);
  const int c = static_cast<int>(blockIdx.y) * 8 + static_cast<int>(threadIdx.y);
  if (k >= K || c >= C) return;
  float rows[3][6];
#pragma unroll
  for (int r = 0; r < 3; ++r) {
    float g[3];
#pragma unroll
    for (int s = 0; s < 3; ++s) {
      const int64_t tap = turned ? 8 - (r * 3 + s) : r * 3 + s;
      g[s] = w[turned ? (tap * K + k) * C + c : (tap * C + c) * K + k];
    }
    winograd_filter(g, rows[r]);
  }
  float* const to = u + static_cast<int64_t>(c) * kWinogradPlanes * K + k;
#pragma unroll
  for (int j = 0; j < 6; ++j) {
    const float g[3] = {rows[0][j], rows[1][j], rows[2][j]};
    float points[6];
    winograd_filter(g, points);
#pragma unroll
    for (int i = 0; i < 6; ++i) to[(i * 6 + j) * K] = points[i];
  }
}

// V of tiles [first, first + tiles).
__global__ void __launch_bounds__(kThreads)
    winograd_input_kernel(const __grid_constant__ Extents e, Divider channels, const float* x, int first,
                          int threads, float* v) {
  int c = static_cast<int>(global_thread());
  if (c >= threads) return;
  const int tile = channels.divide(c);
  const TileAt at(e, first + tile);
  const int h = at.p - e.pad_top, left = at.q - e.pad_left;
  float d[6][6];
#pragma unroll
  for (int i = 0; i < 6; ++i) {
    const bool has_line = static_cast<unsigned>(h + i) < static_cast<unsigned>(e.H);
#pragma unroll
    for (int j = 0; j < 6; ++j) {
      const bool inside = has_line && static_cast<unsigned>(left + j) < static_cast<unsigned>(e.W);
      d[i][j] = inside ? x[((at.n * e.H + h + i) * e.W + left + j) * e.C + c] : 0.0f;
    }
    winograd_input(d[i]);
  }
  float* const to = v + static_cast<int64_t>(tile) * kWinogradPlanes * e.C + c;
#pragma unroll
  for (int j = 0; j < 6; ++j) {
    float column[6];
#pragma unroll
    for (int i = 0; i < 6; ++i) column[i] = d[i][j];
    winograd_input(column);
#pragma unroll
    for (int i = 0; i < 6; ++i) to[(i * 6 + j) * e.C] = column[i];
  }
}

// A tile's sums, row by row, from its M; from a point to the next `step`.
__device__ __forceinline__ void sum_tile(const float* from, int step, float (&result)[16]) {
  float rows[6][4];
#pragma unroll
  for (int i = 0; i < 6; ++i) {
    float points[6];
#pragma unroll
    for (int j = 0; j < 6; ++j) points[j] = from[(i * 6 + j) * step];
    winograd_output(points, rows[i]);
  }
#pragma unroll
  for (int j = 0; j < 4; ++j) {
    const float points[6] = {rows[0][j], rows[1][j], rows[2][j], rows[3][j], rows[4][j], rows[5][j]};
    float column[4];
    winograd_output(points, column);
#pragma unroll
    for (int i = 0; i < 4; ++i) result[i * 4 + j] = column[i];
  }
}

// Where results go; `pooled`: of windows of 2 x 2 the largest, and which cell won. A tile has four windows.
struct TileResults {
  float* y;
  uint8_t* index;
  bool pooled;
};

// The results of tiles [first, first + tiles).
__global__ void __launch_bounds__(kThreads)
    winograd_output_kernel(const __grid_constant__ Extents e, Divider filters, const float* m, int first,
                           int threads, const __grid_constant__ Epilogue<float> epilogue, TileResults to) {
  int k = static_cast<int>(global_thread());
  if (k >= threads) return;
  const int tile = filters.divide(k);
  const TileAt at(e, first + tile);
  float result[16];
  sum_tile(m + static_cast<int64_t>(tile) * kWinogradPlanes * e.K + k, e.K, result);
  if (to.pooled) {
    const int down = e.P / 2, across = e.Q / 2;
#pragma unroll 1
    for (int window = 0; window < 4; ++window) {
      const int p = at.p / 2 + window / 2, q = at.q / 2 + window % 2;
      if (p < down && q < across) {
        const int64_t offset = static_cast<int64_t>((at.n * down + p) * across + q) * e.K + k;
        float cells[4] = {result[0], result[1], result[4], result[5]};
        store_window<1>(epilogue, k, offset, to.y, to.index, [&](unsigned, float (&v)[1]) {
          v[0] = cells[0];
          rotate(cells);
        });
      }
      const int steps = window == 1 ? 6 : 2;  // to the next window's first cell
#pragma unroll 1
      for (int i = 0; i < steps; ++i) rotate(result);
    }
    return;
  }
#pragma unroll 1
  for (int i = 0; i < 16; ++i) {
    const int p = at.p + i / 4, q = at.q + i % 4;
    if (p < e.P && q < e.Q) {
      const int64_t offset = static_cast<int64_t>((at.n * e.P + p) * e.Q + q) * e.K + k;
      float one[1] = {result[0]};
      epilogue.template apply<1>(one, k, offset);
      to.y[offset] = one[0];
    }
    rotate(result);
  }
}

// The product of `tiles` tiles.
Conv2dSpec product_of(const Conv2dSpec& s, const Extents& e, int64_t tiles) {
  Conv2dSpec g = s;
  g.N = tiles, g.H = g.W = g.P = g.Q = g.R = g.S = 1;
  g.C = int64_t{e.C} * kWinogradPlanes, g.K = int64_t{e.K} * kWinogradPlanes, g.groups = kWinogradPlanes;
  g.stride_h = g.stride_w = g.dilation_h = g.dilation_w = 1;
  g.pad_top = g.pad_bottom = g.pad_left = g.pad_right = 0;
  g.activation = {};
  return g;
}

// How tiles are cut: as many at once as have V and M in kBytes.
struct Cut {
  int64_t tiles, at_once;
  size_t u, v, m;  // floats

  Cut(const Conv2dSpec& s, Pass pass) : tiles(winograd_tiles(s, pass)) {
    constexpr int64_t kBytes = 32 << 20, kTogether = 128;
    const int64_t floats = kWinogradPlanes * (s.C + s.K);
    const int64_t most = std::max<int64_t>(kBytes / 4 / floats / kTogether, 1) * kTogether;
    at_once = std::min(tiles, most);
    u = static_cast<size_t>(kWinogradPlanes * s.C * s.K);
    const Extents e(s, pass);
    v = static_cast<size_t>(at_once * kWinogradPlanes * e.C),
    m = static_cast<size_t>(at_once * kWinogradPlanes * e.K);
  }
};

void run(const Conv2dSpec& s, Pass pass, const float* x, const float* w, const Epilogue<float>& epilogue,
         const TileResults& to, const Context& context) {
  const Extents e(s, pass);
  const Cut cut(s, pass);
  auto* const u = static_cast<float*>(context.workspace);
  float *const v = u + cut.u, *const m = v + cut.v;
  Context inner = context;
  inner.workspace = m + cut.m;
  launch(winograd_filter_kernel,
         dim3(static_cast<unsigned>(ceil_div(e.K, 32)), static_cast<unsigned>(ceil_div(e.C, 8))), dim3(32, 8),
         0, context, w, e.C, e.K, pass == Pass::backward_input, u);
  for (int64_t first = 0; first < cut.tiles; first += cut.at_once) {
    const int64_t tiles = std::min(cut.at_once, cut.tiles - first);
    const auto grid = [&](int64_t threads) {
      return dim3(static_cast<unsigned>(ceil_div(threads, kThreads)));
    };
    launch(winograd_input_kernel, grid(tiles * e.C), dim3(kThreads), 0, context, e, Divider(e.C), x,
           static_cast<int>(first), static_cast<int>(tiles * e.C), v);
    const float* const none = nullptr;
    conv2d_forward<float>(product_of(s, e, tiles), v, u, none, none, none, none, none, m, inner);
    launch(winograd_output_kernel, grid(tiles * e.K), dim3(kThreads), 0, context, e, Divider(e.K),
           static_cast<const float*>(m), static_cast<int>(first), static_cast<int>(tiles * e.K), epilogue,
           to);
  }
}

}  // namespace

size_t winograd_workspace(const Conv2dSpec& s, Pass pass) {
  const Cut cut(s, pass);
  const Extents e(s, pass);
  size_t inner = 0;
  for (const int64_t tiles : {cut.at_once, cut.tiles % cut.at_once}) {
    if (tiles > 0) inner = std::max(inner, conv2d_forward_workspace<float>(product_of(s, e, tiles), 1));
  }
  return sizeof(float) * (cut.u + cut.v + cut.m) + inner;
}

void winograd_forward(const Conv2dSpec& s, const float* x, const float* w, const Epilogue<float>& epilogue,
                      float* y, const Context& context) {
  run(s, Pass::forward, x, w, epilogue, {y, nullptr, false}, context);
}

void winograd_forward_pooled(const Conv2dSpec& s, const float* x, const float* w,
                             const Epilogue<float>& epilogue, float* y, uint8_t* index,
                             const Context& context) {
  run(s, Pass::forward, x, w, epilogue, {y, index, true}, context);
}

void winograd_backward_input(const Conv2dSpec& s, const float* dy, const float* w,
                             const Epilogue<float>& epilogue, float* dx, const Context& context) {
  run(s, Pass::backward_input, dy, w, epilogue, {dx, nullptr, false}, context);
}

}  // namespace fc::cuda
