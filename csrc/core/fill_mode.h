// fill_mode.h — what lies beyond an image.
#pragma once

#include <cstdint>

namespace fc {

// Beyond an image a b c d:  k k|a b c d|k k   a a|a b c d|d d   c d|a b c d|a b   b a|a b c d|d c
//                           c b|a b c d|c b
enum class FillMode : uint8_t { constant, nearest, wrap, reflect, mirror };

}  // namespace fc
