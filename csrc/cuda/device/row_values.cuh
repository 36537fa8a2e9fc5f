// row_values.cuh — the elements of a matrix's rows, each row shared out over a few lanes, a warp or a block.
//
// Grid/Block   RowLayout: kGroup threads have a row, kVec neighbours of it at a time; a block of at least 256
//              threads has kRows rows
// Registers    a row of up to kGroup * kChunks * kVec elements is read once and stays in registers; a longer
//              one stays in memory and is read as often as it is walked (kChunks = 0)
// Edges        a row beyond the last is one of no elements: its threads take part in every reduction
#pragma once

#include <type_traits>

#include "cuda/device/reduce.cuh"
#include "cuda/device/storage.cuh"

namespace fc::cuda {

template <int kGroup_, int kChunks_, int kVec_>
struct RowLayout {
  static constexpr int kGroup = kGroup_, kChunks = kChunks_, kVec = kVec_;
  static constexpr bool kInRegisters = kChunks > 0;
  static constexpr int kThreads = kGroup < 256 ? 256 : kGroup, kRows = kThreads / kGroup;
  static constexpr int kBlocks = kInRegisters ? 1 : 2;  // that a multiprocessor must hold; else ptxas spills
};

template <class Layout, class Op, class T>
__device__ __forceinline__ T reduce_row(T v, Op op) {
  if constexpr (Layout::kGroup <= 32) {
    return reduce_lanes<Layout::kGroup>(v, op);
  } else {
    return reduce_block<Layout::kGroup>(v, op);
  }
}
template <class Layout, class T>
__device__ __forceinline__ T row_sum(T v) {
  return reduce_row<Layout>(v, Sum());
}
template <class Layout, class T>
__device__ __forceinline__ T row_max(T v) {
  return reduce_row<Layout>(v, Largest());
}

// The running thread's row of kInputs matrices alike.
template <class T, class Layout, int kInputs>
class RowValues {
  static constexpr int kVec = Layout::kVec, kChunks = Layout::kChunks, kHeld = kChunks > 0 ? kChunks : 1;
  using Index = std::conditional_t<Layout::kInRegisters, int, int64_t>;  // of a column
  static constexpr int kStep = Layout::kGroup * kVec;

 public:
  int64_t row;
  bool present;

  template <class... P>
  __device__ __forceinline__ RowValues(int64_t rows, int64_t width, const P*... in)
      : row(int64_t{blockIdx.x} * Layout::kRows + threadIdx.x / Layout::kGroup),
        present(row < rows),
        width_(present ? static_cast<Index>(width) : 0),
        first_(static_cast<Index>(threadIdx.x % Layout::kGroup) * kVec),
        at_{in + (present ? row * width : 0)...} {
    if constexpr (Layout::kInRegisters) {
#pragma unroll
      for (int k = 0; k < kChunks; ++k) {
#pragma unroll
        for (int i = 0; i < kInputs; ++i) {
          if (first_ + k * kStep < width_) load_values(at_[i] + first_ + k * kStep, true, held_[k][i]);
        }
      }
    }
  }

  __device__ __forceinline__ bool leads() const { return present && first_ == 0; }

  // f(values, column) for every element of this thread, in ascending order; values[i] is of matrix i.
  template <class F>
  __device__ __forceinline__ void each(const F& f) const {
    each_chunk([&](const float (&v)[kInputs][kVec], Index column) {
#pragma unroll
      for (int j = 0; j < kVec; ++j) {
        float values[kInputs];
#pragma unroll
        for (int i = 0; i < kInputs; ++i) values[i] = v[i][j];
        f(values, column + j);
      }
    });
  }

  // out[row, column] = f(values, column)
  template <class F>
  __device__ __forceinline__ void write(T* out, int64_t width, const F& f) const {
    T* to = out + row * width;
    each_chunk([&](const float (&v)[kInputs][kVec], Index column) {
      float result[kVec];
#pragma unroll
      for (int j = 0; j < kVec; ++j) {
        float values[kInputs];
#pragma unroll
        for (int i = 0; i < kInputs; ++i) values[i] = v[i][j];
        result[j] = f(values, column + j);
      }
      store_values(to + column, true, result);
    });
  }

 private:
  template <class F>
  __device__ __forceinline__ void each_chunk(const F& f) const {
    if constexpr (Layout::kInRegisters) {
#pragma unroll
      for (int k = 0; k < kChunks; ++k) {
        if (first_ + k * kStep < width_) f(held_[k], first_ + k * kStep);
      }
    } else {
#pragma unroll 1
      for (Index column = first_; column < width_; column += kStep) {
        float v[kInputs][kVec];
#pragma unroll
        for (int i = 0; i < kInputs; ++i) load_values(at_[i] + column, true, v[i]);
        f(v, column);
      }
    }
  }

  Index width_, first_;
  const T* at_[kInputs];
  float held_[kHeld][kInputs][kVec];
};

// Calls f(RowLayout) with the layout for rows of `width`; `aligned` where every matrix may be read as packs.
template <class T, class F>
void with_row_layout(int64_t width, bool aligned, const F& f) {
  constexpr int kPack = Pack<T>::kSize;
  if (width <= 16) return f(RowLayout<8, 2, 1>());
  if (aligned && width % kPack == 0) {
    if (width <= 64) return f(RowLayout<8, 8 / kPack, kPack>());
    if (width <= 1024) return f(RowLayout<32, 32 / kPack, kPack>());
    if (width <= 8192) return f(RowLayout<256, 32 / kPack, kPack>());
    return f(RowLayout<512, 0, kPack>());
  }
  if (width <= 64) return f(RowLayout<8, 8, 1>());
  if (width <= 1024) return f(RowLayout<32, 32, 1>());
  f(RowLayout<512, 0, 1>());
}

// The same for kernels that walk a row once, or that walk short ones again where L1 has them: nothing is
// held, and the code is a quarter as long.
template <class T, class F>
void with_walked_row_layout(int64_t width, bool aligned, const F& f) {
  const auto with_vec = [&](auto vec) {
    constexpr int kVec = decltype(vec)::value;
    if (width <= 64) return f(RowLayout<8, 0, kVec>());
    if (width <= 2048) return f(RowLayout<32, 0, kVec>());
    f(RowLayout<512, 0, kVec>());
  };
  if (aligned && width % Pack<T>::kSize == 0) return with_vec(std::integral_constant<int, Pack<T>::kSize>());
  with_vec(std::integral_constant<int, 1>());
}

// Queues kernel<Layout>, which has to be a function template over RowLayout alone.
template <class Layout, class... Parameters, class... Arguments>
void launch_rows(void (*kernel)(Parameters...), Layout, const Context& context, int64_t rows,
                 Arguments... arguments) {
  if (rows == 0) return;
  launch(kernel, dim3(static_cast<unsigned>(ceil_div(rows, Layout::kRows))), dim3(Layout::kThreads), 0,
         context, arguments...);
}

}  // namespace fc::cuda
