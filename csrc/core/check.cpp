// check.cpp — text and checked arithmetic behind every error message.
#include "core/check.h"

namespace fc {

std::string to_text(const Shape& shape) {
  std::string text = "(";
  for (size_t i = 0; i < shape.size(); ++i) {
    text += std::to_string(shape[i]);
    if (i + 1 < shape.size()) text += ", ";
  }
  return text + (shape.size() == 1 ? ",)" : ")");
}

int64_t checked_product(const std::string& op, const char* what, int64_t a, int64_t b) {
  int64_t product;
  FC_CHECK(!__builtin_mul_overflow(a, b, &product), "[", op, "] ", what,
           " is too large: expected a size below 2**63, got ", a, " * ", b, ". Use smaller extents.");
  return product;
}

int64_t checked_count(const std::string& op, const char* what, const Shape& shape) {
  int64_t count = 1;
  for (const int64_t extent : shape) count = checked_product(op, what, count, extent);
  checked_product(op, what, count, 8);  // bytes of the widest element
  return count;
}

}  // namespace fc
