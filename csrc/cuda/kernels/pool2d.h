// pool2d.h — the kernel of pooling that another one may be followed by.
#pragma once

#include "core/context.h"
#include "core/pool2d_spec.h"

namespace fc::cuda {

template <class T>
void pool2d_forward(const Pool2dSpec& s, const T* x, T* y, uint8_t* index, const Context& context);

}  // namespace fc::cuda
