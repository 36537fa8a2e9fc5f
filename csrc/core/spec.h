// spec.h — what every operation's description has in common.
//
// A spec is plain data plus the answers that only numbers need: the shape of each tensor by name, the cost of
// each kernel, and a text form that names the problem in test ids, bench rows and error messages. A spec is
// valid once made.
#pragma once

#include <string>
#include <string_view>

#include "core/check.h"

namespace fc {

enum class DType : uint8_t { f32, f64, f16, bf16, u8, i32, i64, u64 };  // f16 and bf16: CUDA only

constexpr int64_t size_of(DType t) {
  switch (t) {
    case DType::u8:
      return 1;
    case DType::f16:
    case DType::bf16:
      return 2;
    case DType::f32:
    case DType::i32:
      return 4;
    default:
      return 8;
  }
}
const char* name_of(DType t);

struct Spec {
  DType dtype = DType::f32;  // element type of every tensor whose signature names no other

  virtual ~Spec();
  // Shape of the tensor `name`; a name "dx" without a shape of its own has the shape of "x".
  Shape shape(std::string_view name) const;
  virtual std::string text() const = 0;
  // Floating-point operations of one run of `kernel` (a name of kernels.inc).
  virtual double flops(std::string_view kernel) const = 0;

 protected:
  // Shape of a tensor the spec knows by exactly this name; otherwise an empty optional is spelled by `found =
  // false`.
  virtual bool find_shape(std::string_view name, Shape& out) const = 0;
};

}  // namespace fc
