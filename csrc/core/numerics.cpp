// numerics.cpp — names of the settings, and the one in force.
#include "core/numerics.h"

#include <atomic>

#include "core/check.h"

namespace fc {
namespace {

std::atomic<Precision> precision_in_force{Precision::fast};
std::atomic<Conv2dAlgorithm> conv2d_in_force{Conv2dAlgorithm::automatic};

constexpr const char* kPrecisions[] = {"fast", "strict"};
constexpr const char* kConv2dAlgorithms[] = {"automatic", "direct",   "depthwise", "col2im",
                                             "lines",     "winograd", "amx"};

template <class Enum, size_t n>
Enum from_name(const char* what, const std::string& name, const char* const (&names)[n]) {
  std::string known;
  for (size_t i = 0; i < n; ++i) {
    if (name == names[i]) return static_cast<Enum>(i);
    known += (i ? ", " : "") + std::string(names[i]);
  }
  throw ValueError(text_of("[", what, "] the name is not known: expected one of ", known, ", got '", name,
                           "'. Use one of these."));
}

}  // namespace

const char* name_of(Precision precision) {
  return kPrecisions[static_cast<int>(precision)];
}
const char* name_of(Conv2dAlgorithm algorithm) {
  return kConv2dAlgorithms[static_cast<int>(algorithm)];
}

Numerics current_numerics() {
  return {precision_in_force.load(), conv2d_in_force.load()};
}
void set_precision(const std::string& name) {
  precision_in_force.store(from_name<Precision>("set_precision", name, kPrecisions));
}
void prefer_conv2d(const std::string& name) {
  conv2d_in_force.store(from_name<Conv2dAlgorithm>("prefer_conv2d", name, kConv2dAlgorithms));
}

}  // namespace fc
