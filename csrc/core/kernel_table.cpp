// kernel_table.cpp — entries in rows of one per element type.
#include "core/kernel_table.h"

#include <algorithm>
#include <iterator>

#include "core/signature.h"

namespace fc {
namespace {

constexpr DType kTypes[] = {DType::f32, DType::f64, DType::f16, DType::bf16};  // f64: CPU; 16 bits: CUDA
constexpr size_t kTypeCount = std::size(kTypes);

// The column of an element type; kTypeCount if no kernel computes in it.
size_t column_of(DType dtype) {
  return static_cast<size_t>(std::find(std::begin(kTypes), std::end(kTypes), dtype) - std::begin(kTypes));
}

}  // namespace

KernelTable::KernelTable() : entries_(kTypeCount * kKernelCount) {}

Kernel& KernelTable::at(std::string_view name, DType dtype) {
  const size_t column = column_of(dtype);
  if (column == kTypeCount) throw std::logic_error(text_of("no kernel computes in ", name_of(dtype)));
  return entries_[kTypeCount * static_cast<size_t>(kernel_from_name(std::string(name))) + column];
}

const Kernel& KernelTable::at(KernelId id, DType dtype) const {
  static const Kernel none;
  const size_t column = column_of(dtype);
  return column == kTypeCount ? none : entries_[kTypeCount * static_cast<size_t>(id) + column];
}

}  // namespace fc
