// numerics.h — what a caller lets kernels do to its numbers; every spec remembers the setting it was made
// under.
#pragma once

#include <cstdint>
#include <string>

namespace fc {

enum class Precision : uint8_t {
  fast,    // algorithms with a larger, published error bound may be chosen
  strict,  // as exact as one product and one sum per term in the tensor's own precision
};

enum class Conv2dAlgorithm : uint8_t {
  automatic,  // by cost, see conv2d_algorithm.h
  direct,     // implicit GEMM, igemm.h
  depthwise,  // one filter per channel, depthwise.h
  col2im,     // all taps of a filter row at once, conv2d_col2im.cpp: few input channels
  lines,      // a line of results at a time, lines.h: few input channels
  winograd,   // minimal filtering, winograd.h
  amx,        // implicit GEMM on matrix tiles of split bfloat16
};

struct Numerics {
  Precision precision = Precision::fast;
  Conv2dAlgorithm preferred = Conv2dAlgorithm::automatic;  // for tests and benches: taken wherever it can be
};

const char* name_of(Precision precision);
const char* name_of(Conv2dAlgorithm algorithm);

// The process's setting, by name; ValueError for a name that is not known.
Numerics current_numerics();
void set_precision(const std::string& name);
void prefer_conv2d(const std::string& name);

}  // namespace fc
