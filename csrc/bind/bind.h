// bind.h — the parts of the Python module, each in a file of its own.
#pragma once

#include <pybind11/pybind11.h>

#include <vector>

#include "core/signature.h"

namespace fc::bind {

namespace py = pybind11;

void bind_specs(py::module_& m);
void bind_run(py::module_& m);

// Checks the arrays of one kernel call against its signature and spec (kind, dtype, layout, writability,
// shape) and returns their addresses in call order.
std::vector<void*> tensor_addresses(KernelId id, const Spec& spec, const py::sequence& arrays);

}  // namespace fc::bind
