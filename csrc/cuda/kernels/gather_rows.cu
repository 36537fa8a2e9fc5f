// gather_rows.cu — takes a batch out of a data set on the device.
//
// Math       y[i, j] = source[rows[i], j], converted to y's type
// Shapes     source: an address (1), read on the device, of an array (any, width)   rows (count)   y (count,
// width) Grid/Block a thread per unit of y: the widest of 16, 4 and 1 bytes that rows are made of; bytes that
// become
//            floats four at a time where rows are made of fours
// Shared memory none
// Registers  no spills
// Numerics   a byte is exact in every float type
// Workspace  none
// Edges      no rows, nothing is launched. Whoever gives the rows has checked them
#include "cuda/device/chunk.cuh"
#include "cuda/device/divider.cuh"
#include "cuda/kernels.h"
#include "cuda/table.h"

namespace fc::cuda {
namespace {

constexpr int kThreads = 256;

// Units of a row are contiguous in either array; `from` counts units of the source, `to` of y.
template <class From, class To, class Convert>
__device__ __forceinline__ void gather(const uint64_t* source, const int64_t* rows, To* y, int64_t units,
                                       const WideDivider& by_width, const Convert& convert) {
  const int64_t i = global_thread();
  if (i >= units) return;
  const int64_t row = by_width.quotient(i), column = i - row * by_width.divisor;
  const From* from = reinterpret_cast<const From*>(*source);
  y[i] = convert(from[rows[row] * by_width.divisor + column]);
}

template <class Unit>
__global__ void __launch_bounds__(kThreads)
    copy_rows_kernel(const uint64_t* source, const int64_t* rows, Unit* y, int64_t units,
                     const __grid_constant__ WideDivider by_width) {
  gather<Unit>(source, rows, y, units, by_width, [](const Unit& unit) { return unit; });
}

template <int V, class T>
__global__ void __launch_bounds__(kThreads)
    widen_rows_kernel(const uint64_t* source, const int64_t* rows, Chunk<T, V>* y, int64_t units,
                      const __grid_constant__ WideDivider by_width) {
  gather<Chunk<uint8_t, V>>(source, rows, y, units, by_width, [](const Chunk<uint8_t, V>& bytes) {
    Chunk<T, V> values;
#pragma unroll
    for (int k = 0; k < V; ++k) values.v[k] = Narrow<T>::from(static_cast<float>(bytes.v[k]));
    return values;
  });
}

// Queues `kernel` where a row of `size` of its elements is made of units of `per_unit` of them.
template <class Unit>
bool gather_in(void (*kernel)(const uint64_t*, const int64_t*, Unit*, int64_t, WideDivider),
               const GatherSpec& s, int64_t size, int64_t per_unit, const uint64_t* source,
               const int64_t* rows, void* y, const Context& context) {
  if (size % per_unit != 0 || reinterpret_cast<uintptr_t>(y) % alignof(Unit) != 0) return false;
  const int64_t width = size / per_unit, units = s.count * width;
  launch(kernel, dim3(static_cast<unsigned>(ceil_div(units, kThreads))), dim3(kThreads), 0, context, source,
         rows, static_cast<Unit*>(y), units, WideDivider(width, units));
  return true;
}

template <class T>
void widen_rows(const GatherSpec& s, const uint64_t* source, const int64_t* rows, void* y,
                const Context& context) {
  static_cast<void>(gather_in(widen_rows_kernel<4, T>, s, s.width, 4, source, rows, y, context) ||
                    gather_in(widen_rows_kernel<1, T>, s, s.width, 1, source, rows, y, context));
}

void gather_rows(const Spec& spec, void* const* tensors, const Context& context) {
  const auto& s = static_cast<const GatherSpec&>(spec);
  const auto* source = static_cast<const uint64_t*>(tensors[0]);
  const auto* rows = static_cast<const int64_t*>(tensors[1]);
  void* y = tensors[2];
  if (s.count * s.width == 0) return;
  if (s.from == s.dtype) {
    const int64_t bytes = s.width * size_of(s.dtype);
    static_cast<void>(gather_in(copy_rows_kernel<uint4>, s, bytes, 16, source, rows, y, context) ||
                      gather_in(copy_rows_kernel<uint32_t>, s, bytes, 4, source, rows, y, context) ||
                      gather_in(copy_rows_kernel<uint8_t>, s, bytes, 1, source, rows, y, context));
  } else if (s.dtype == DType::f32) {
    widen_rows<float>(s, source, rows, y, context);
  } else if (s.dtype == DType::f16) {
    widen_rows<half>(s, source, rows, y, context);
  } else {
    widen_rows<bfloat16>(s, source, rows, y, context);
  }
}

}  // namespace

GatherSpec GatherSpec::make(DType from, DType to, int64_t count, int64_t width) {
  const bool floats = to == DType::f32 || to == DType::f16 || to == DType::bf16;
  FC_CHECK(from == to || (from == DType::u8 && floats),
           "[gather_rows] only bytes become floats: expected uint8 or ", name_of(to), ", got ", name_of(from),
           ". Convert the data set.");
  GatherSpec s;
  s.dtype = to;
  s.from = from;
  s.count = count;
  s.width = width;
  return s;
}

std::string GatherSpec::text() const {
  return text_of(count, "x", width, "_", name_of(from));
}
double GatherSpec::flops(std::string_view) const {
  return 0;
}
bool GatherSpec::find_shape(std::string_view, Shape&) const {
  return false;
}

Kernel gather_rows_kernel() {
  return {&gather_rows, nullptr};
}

}  // namespace fc::cuda
