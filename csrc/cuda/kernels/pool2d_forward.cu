// pool2d_forward.cu — maximum, minimum, average and sum over windows.
//
// Math       y[n,p,q,c] = reduce over r,s of x[n, p·sh−pt+r·dh, q·sw−pl+s·dw, c]; cells outside are left out
//            index[n,p,q,c] = r·S + s of the cell that won a maximum or minimum
// Shapes     x (N,H,W,C)  y (N,P,Q,C)  index (N,P,Q,C) of bytes; y or index may be null   C-contiguous
// Grid/Block a thread per window and 16 bytes of channels (pool2d_windows.cuh), or one channel where the
//            channels are not whole packs; the threads of a block share a window over the whole image
//            (pool2d_image.cuh)
// Numerics   sums in float32, in row-major order of the window, or a tree over the image; an average
//            divides once
// Edges      NaN wins a maximum or minimum; equals, and NaNs among themselves, go to the first cell in
//            row-major order
#include "cuda/kernels/pool2d.h"
#include "cuda/kernels/pool2d_windows.cuh"
#include "cuda/table.h"

namespace fc::cuda {
namespace {

template <int kWide, class T>
void run_wide(const Pool2dSpec& s, const T* x, T* y, uint8_t* index, const Context& context) {
  const int64_t image = s.P * s.Q * s.C;
  if (s.kind == PoolKind::avg || s.kind == PoolKind::sum) {
    const bool average = s.kind == PoolKind::avg;
    return for_windows<kWide>(context, s, x,
                              [=](int64_t n) { return Total<T, kWide>{y + n * image, average}; });
  }
  find_extremes<kWide>(context, s, x, y, index);
}

}  // namespace

template <class T>
void pool2d_forward(const Pool2dSpec& s, const T* x, T* y, uint8_t* index, const Context& context) {
  const bool extreme = s.kind == PoolKind::max || s.kind == PoolKind::min;
  if (y == nullptr && (index == nullptr || !extreme)) return;
  constexpr int kSize = Pack<T>::kSize;
  const bool packs =
      s.C % kSize == 0 && aligned_for_packs(x, y) && reinterpret_cast<uintptr_t>(index) % kSize == 0;
  const auto run = packs ? run_wide<kSize, T> : run_wide<1, T>;
  run(s, x, y, index, context);
}

template void pool2d_forward(const Pool2dSpec&, const float*, float*, uint8_t*, const Context&);
template void pool2d_forward(const Pool2dSpec&, const half*, half*, uint8_t*, const Context&);
template void pool2d_forward(const Pool2dSpec&, const bfloat16*, bfloat16*, uint8_t*, const Context&);

void add_pool2d_forward(KernelTable& table) {
  FC_ADD(table, pool2d_forward);
}

}  // namespace fc::cuda
