// launches.h — how many kernels have been launched: by which a test knows which way work was done.
#pragma once

#include <cstdint>

namespace fc::cuda::emulation {

uint64_t launches_run();

}  // namespace fc::cuda::emulation
