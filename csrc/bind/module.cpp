// module.cpp — the extension module fastconv._cpu.
#include <pybind11/stl.h>

#include "bind/bind.h"
#include "bind/errors.h"
#include "bind/gil.h"
#include "core/numerics.h"
#include "cpu/dispatch.h"
#include "cpu/threads.h"

namespace fc::bind {
PYBIND11_MODULE(_cpu, m, py::mod_gil_not_used()) {
  m.doc() = "fastconv's C++ kernels for the CPU; use fastconv.ops instead.";
  py::register_exception_translator(&translate_errors);
  bind_specs(m);
  bind_run(m);
  m.def("available_isas", &cpu::available_isas,
        "Instruction sets of this build that this machine runs, slowest first.");
  m.def("current_isa", &cpu::current_isa, "The instruction set in use.");
  m.def("select_isa", &cpu::select_isa, py::arg("isa"), "Uses another instruction set from now on.");
  m.def("set_precision", &set_precision, py::arg("precision"),
        "\"fast\" or \"strict\", for specs made from now on.");
  m.def("prefer_conv2d", &prefer_conv2d, py::arg("algorithm"),
        "For tests and benches: the algorithm that convolutions made from now on take wherever they can.");
  m.def(
      "numerics",
      [] {
        const Numerics n = current_numerics();
        return py::make_tuple(name_of(n.precision), name_of(n.preferred));
      },
      "(precision, preferred convolution algorithm): what specs made now will remember.");
  m.def(
      "peak_flops",
      [](bool wide, double seconds) {
        double rate = 0;
        without_lock(
            [&] { rate = cpu::peak_flops(wide ? DType::f64 : DType::f32, cpu::threads(), seconds); });
        return rate;
      },
      py::arg("wide"), py::arg("seconds"),
      "Multiply-adds per second, times two, of all threads: float64 if wide, else float32.");
  m.def(
      "peak_split_flops",
      [](double seconds) {
        double rate = 0;
        without_lock([&] { rate = cpu::peak_split_flops(cpu::threads(), seconds); });
        return rate;
      },
      py::arg("seconds"),
      "float32 operations per second by matrix tiles, in fast precision, of all threads; 0 without tiles.");
  m.def("get_num_threads", &cpu::threads);
  m.def("set_num_threads", &cpu::set_threads, py::arg("n"));
  m.attr("compiler") = __VERSION__;
  m.attr("version") = FASTCONV_VERSION;
}

}  // namespace fc::bind
