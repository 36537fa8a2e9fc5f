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
// shape) and returns their addresses in call order: of NumPy arrays, and of arrays on a device.
std::vector<void*> tensor_addresses(KernelId id, const Spec& spec, const py::sequence& arrays);
std::vector<void*> device_addresses(KernelId id, const Spec& spec, const py::sequence& arrays);

// What both do, with address(signature, argument, spec, array) for each array that is given.
template <class Address>
std::vector<void*> addresses_of(KernelId id, const Spec& spec, const py::sequence& arrays,
                                const Address& address) {
  const Signature& signature = signature_of(id);
  if (!spec_fits(id, spec))
    throw TypeError(text_of("[", signature.kernel, "] got a spec of another operation."));
  const size_t count = signature.arguments.size();
  if (arrays.size() != count) {
    throw TypeError(text_of("[", signature.kernel, "] takes ", count, " tensors (", signature.text, "), got ",
                            arrays.size(), "."));
  }
  std::vector<void*> addresses(count);
  for (size_t i = 0; i < count; ++i) {
    const Argument& argument = signature.arguments[i];
    if (!py::handle(arrays[i]).is_none()) {
      addresses[i] = address(signature, argument, spec, arrays[i]);
    } else if (!argument.optional) {
      throw TypeError(
          text_of("[", signature.kernel, "] ", argument.name, " must not be None. Pass an array."));
    }
  }
  return addresses;
}

}  // namespace fc::bind
