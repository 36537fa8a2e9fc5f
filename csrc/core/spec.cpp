// spec.cpp — what every spec has in common.
#include "core/spec.h"

namespace fc {

Spec::~Spec() = default;

const char* name_of(DType t) {
  switch (t) {
    case DType::f32:
      return "float32";
    case DType::f64:
      return "float64";
    case DType::f16:
      return "float16";
    case DType::bf16:
      return "bfloat16";
    case DType::u8:
      return "uint8";
    case DType::i32:
      return "int32";
    case DType::i64:
      return "int64";
    case DType::u64:
      return "uint64";
  }
  return "unknown";
}

Shape Spec::shape(std::string_view name) const {
  Shape shape;
  if (find_shape(name, shape)) return shape;
  if (name.size() > 1 && name[0] == 'd' && find_shape(name.substr(1), shape)) return shape;
  throw std::logic_error(text_of("spec ", text(), " has no tensor named '", name, "'"));
}

}  // namespace fc
