"""Loads the C++ extension with OpenMP threads that sleep while they wait.

GCC's runtime lets idle threads spin for milliseconds by default. When another process wants the CPU, the scheduler takes
it from the spinning threads just before the next kernel needs them, and every parallel loop loses a scheduler tick. The runtime reads its wait policy from the environment
while it is being loaded, once; so the variable is there for that moment, unless the user has set one. Only our private
copy of the runtime (cmake/bundle_openmp.cmake) is affected.
"""

from __future__ import annotations

import os

_POLICY = "OMP_WAIT_POLICY"

_chosen_by_user = _POLICY in os.environ or "GOMP_SPINCOUNT" in os.environ
if not _chosen_by_user:
    os.environ[_POLICY] = "passive"
try:
    from fastconv import _cpu as _cpu
finally:
    if not _chosen_by_user:
        del os.environ[_POLICY]
