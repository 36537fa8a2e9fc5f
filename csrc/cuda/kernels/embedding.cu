// embedding.cu — rows looked up in a table, and their gradient.
//
// Math       y[i] = table[ids[i]];  dtable[r] = Σ dy[i] over ids[i] = r
// Shapes     ids (count), float32 whose fraction is dropped  table (rows,width)  y, dy (count,width)
//            dtable (rows,width) float32
// Grid/Block forward: a thread per element. Gradient: a warp per row of the table and 32 columns looks
// through
//            all ids, 32 at a time, and adds where one is its row's: no atomics, and the same order always
// Shared memory none
// Registers  no spills
// Numerics   a row is summed in float32 in the order of the ids
// Workspace  none
// Edges      an id outside the table makes a row of NaN and has no gradient; a row nobody asked for gets 0
#include "core/embedding_spec.h"
#include "cuda/device/divider.cuh"
#include "cuda/device/storage.cuh"
#include "cuda/table.h"

namespace fc::cuda {
namespace {

constexpr int kThreads = 256;

// The row that an id names, or -1: comparisons first, for NaN and what no integer holds.
__device__ __forceinline__ int64_t row_of(float id, int64_t rows) {
  return id > -1.0f && id < static_cast<float>(rows) ? static_cast<int64_t>(id) : -1;
}

template <class T>
__global__ void __launch_bounds__(kThreads)
    forward_kernel(const float* ids, const T* table, T* y, int64_t n, int64_t rows,
                   const __grid_constant__ WideDivider by_width) {
  const int64_t i = global_thread();
  if (i >= n) return;
  const int64_t at = by_width.quotient(i), column = i - at * by_width.divisor;
  const int64_t row = row_of(ids[at], rows);
  if (row < 0) {
    store(y + i, NAN);
  } else {
    y[i] = table[row * by_width.divisor + column];
  }
}

template <class T>
__global__ void __launch_bounds__(kThreads) backward_kernel(const T* dy, const float* ids, float* dtable,
                                                            int64_t count, int64_t rows, int64_t width) {
  const int lane = static_cast<int>(threadIdx.x % kWarp);
  const int64_t row = global_thread() / kWarp;
  if (row >= rows) return;
  for (int64_t column = int64_t{blockIdx.y} * kWarp + lane; column - lane < width;
       column += int64_t{gridDim.y} * kWarp) {
    float sum = 0.0f;
    for (int64_t begin = 0; begin < count; begin += kWarp) {
      const bool own = begin + lane < count && row_of(ids[begin + lane], rows) == row;
      for (uint32_t found = __ballot_sync(0xffffffffu, own); found != 0; found &= found - 1) {
        const int64_t i = begin + __ffs(static_cast<int>(found)) - 1;
        if (column < width) sum += load(dy + i * width + column);
      }
    }
    if (column < width) dtable[row * width + column] = sum;
  }
}

template <class T>
void embedding(const EmbeddingSpec& s, const float* ids, const T* table, T* y, const Context& context) {
  const int64_t n = s.count * s.width;
  if (n == 0) return;
  launch(forward_kernel<T>, dim3(static_cast<unsigned>(ceil_div(n, kThreads))), dim3(kThreads), 0, context,
         ids, table, y, n, s.rows, WideDivider(s.width, n));
}

template <class T>
void embedding_backward(const EmbeddingSpec& s, const T* dy, const float* ids, float* dtable,
                        const Context& context) {
  constexpr int64_t kMostColumns = 64;  // blocks along the columns
  const int64_t columns = ceil_div(s.width, kWarp);
  const dim3 grid(static_cast<unsigned>(ceil_div(s.rows, kThreads / kWarp)),
                  static_cast<unsigned>(columns < kMostColumns ? columns : kMostColumns));
  launch(backward_kernel<T>, grid, dim3(kThreads), 0, context, dy, ids, dtable, s.count, s.rows, s.width);
}

}  // namespace

void add_embedding(KernelTable& table) {
  FC_ADD(table, embedding);
  FC_ADD(table, embedding_backward);
}

}  // namespace fc::cuda
