// cuda_module.cpp — the extension module fastconv._cuda, and the test build of it that runs on the host.
//
// Specs are made by fastconv._cpu, which is always there; this module runs them on arrays of a device.
// Nothing here waits for the device.
#include <pybind11/stl.h>

#include "bind/bind.h"
#include "bind/errors.h"
#include "core/elementwise_spec.h"
#include "cuda/kernels.h"
#if defined(FC_CUDA_EMULATED)
#include "cuda/emulation/block.h"
#include "cuda/emulation/capability.h"
#include "cuda/emulation/launches.h"
#include "cuda/emulation/status.h"
#include "cuda/emulation/wgmma.h"
#define FC_CUDA_MODULE _cuda_emulated
#else
#define FC_CUDA_MODULE _cuda
#endif

namespace fc::bind {
namespace {

Kernel find_kernel(KernelId id, const Spec& spec) {
  const Kernel kernel = cuda::kernels().at(id, spec.dtype);
  if (!kernel.run) {
    throw DeviceError(text_of("[", signature_of(id).kernel, "] there must be a CUDA kernel: expected ",
                              "float32, float16 or bfloat16, got ", name_of(spec.dtype),
                              ". Convert the arrays, or copy them to the host."));
  }
  return kernel;
}

size_t workspace_bytes(const std::string& name, const Spec& spec) {
  const Kernel kernel = find_kernel(kernel_from_name(name), spec);
  return kernel.workspace ? kernel.workspace(spec, 1) : 0;
}

void run(const std::string& name, const Spec& spec, const py::sequence& arrays, uintptr_t workspace,
         uintptr_t stream) {
  cuda::begin_call();
  const KernelId id = kernel_from_name(name);
  const Kernel kernel = find_kernel(id, spec);
  const std::vector<void*> tensors = device_addresses(id, spec, arrays);
  Context context;
  context.workspace = reinterpret_cast<void*>(workspace);
  context.stream = reinterpret_cast<void*>(stream);
  kernel.run(spec, tensors.data(), context);
}

DType dtype_named(const std::string& name) {
  for (const DType t : {DType::f32, DType::f64, DType::f16, DType::bf16, DType::u8, DType::i32, DType::i64}) {
    if (name == name_of(t)) return t;
  }
  throw TypeError("[dtype] no element type is named " + name + ".");
}

// A program and the arrays that its steps point into.
struct BoundProgram {
  cuda::DeviceProgram program;
  py::list arrays;

  void add(const std::string& name, std::shared_ptr<Spec> spec, const py::sequence& tensors) {
    const KernelId id = kernel_from_name(name);
    program.add({name, find_kernel(id, *spec), spec, device_addresses(id, *spec, tensors)});
    arrays.append(tensors);
  }
  void add_gather(uintptr_t source, uintptr_t rows, uintptr_t y, const std::string& from,
                  const std::string& to, int64_t count, int64_t width) {
    const auto spec = std::make_shared<cuda::GatherSpec>(
        cuda::GatherSpec::make(dtype_named(from), dtype_named(to), count, width));
    program.add(
        {"gather_rows",
         cuda::gather_rows_kernel(),
         spec,
         {reinterpret_cast<void*>(source), reinterpret_cast<void*>(rows), reinterpret_cast<void*>(y)}});
  }
  void add_guard(const py::object& scalar) {
    program.add_guard(static_cast<const float*>(
        device_addresses(KernelId::fill, FillSpec::make(DType::f32, {1}, 0), py::make_tuple(scalar))[0]));
    arrays.append(scalar);
  }
};

}  // namespace

PYBIND11_MODULE(FC_CUDA_MODULE, m) {
  m.doc() = "fastconv's CUDA kernels; use fastconv.ops on CuPy arrays instead.";
  py::register_local_exception_translator(&translate_errors);
  py::module_::import("fastconv._cpu");  // has the classes of the specs

  m.def("run", &run, py::arg("kernel"), py::arg("spec"), py::arg("tensors"), py::arg("workspace"),
        py::arg("stream"),
        "Queues one kernel on arrays given in the order of its signature. `workspace` is the address of at "
        "least workspace_bytes(kernel, spec) bytes, `stream` that of a cudaStream_t.");
  m.def("workspace_bytes", &workspace_bytes, py::arg("kernel"), py::arg("spec"),
        "Scratch memory that the kernel needs for this problem.");
  m.def(
      "missing_kernels",
      [](const std::string& dtype) {
        const KernelTable& table = cuda::kernels();
        const DType type = dtype_named(dtype);
        std::vector<std::string> names;
        for (int i = 0; i < kKernelCount; ++i) {
          const auto id = static_cast<KernelId>(i);
          if (!table.at(id, type).run) names.push_back(signature_of(id).kernel);
        }
        return names;
      },
      py::arg("dtype"), "Kernels of kernels.inc that this build does not have for an element type.");
  m.def(
      "devices",
      [] {
        cuda::begin_call();
        py::list all;
        for (const cuda::DeviceInfo& d : cuda::devices()) {
          py::dict entry;
          entry["name"] = d.name;
          entry["compute_capability"] = py::make_tuple(d.major, d.minor);
          entry["multiprocessors"] = d.multiprocessors;
          entry["memory_bytes"] = d.memory_bytes;
          all.append(entry);
        }
        return all;
      },
      "What the driver shows; DeviceError with CUDA's own words where there is none.");

  m.def("bytes_from", &cuda::bytes_from, py::arg("address"),
        "Bytes of device memory from an address to the end of its allocation; 0 if it is no device memory.");

  py::class_<BoundProgram>(m, "Program", "A flat list of kernel calls on fixed device memory.")
      .def(py::init<>())
      .def("add", &BoundProgram::add, py::arg("kernel"), py::arg("spec"), py::arg("tensors"),
           "Appends a call; the arrays are checked now and kept alive.")
      .def("add_gather", &BoundProgram::add_gather, py::arg("source"), py::arg("rows"), py::arg("y"),
           py::arg("from_dtype"), py::arg("dtype"), py::arg("count"), py::arg("width"),
           "y[i] = source[rows[i]] for `count` rows of `width` elements; the arguments are addresses: of the "
           "source's address, of int64 row numbers, of y. Of one type, or bytes that become floats.")
      .def("add_guard", &BoundProgram::add_guard, py::arg("scalar"),
           "Where the scalar is not finite, the steps that follow write nothing, nor do later runs'.")
      .def_property_readonly("workspace_bytes",
                             [](const BoundProgram& self) { return self.program.workspace_bytes(); })
      .def(
          "run",
          [](const BoundProgram& self, uintptr_t workspace, uintptr_t state, uintptr_t stream) {
            cuda::begin_call();
            self.program.run(reinterpret_cast<void*>(workspace), reinterpret_cast<cuda::RunState*>(state),
                             reinterpret_cast<void*>(stream));
          },
          py::arg("workspace"), py::arg("state"), py::arg("stream"),
          "Queues every step. `state` is the address of two int32 on the device: whether to proceed, which "
          "is "
          "0 once a guard has refused and until the caller writes 1, and how many runs passed their guards.")
      .def(
          "capture",
          [](BoundProgram& self, uintptr_t workspace, uintptr_t state, uintptr_t stream) {
            cuda::begin_call();
            self.program.capture(reinterpret_cast<void*>(workspace), reinterpret_cast<cuda::RunState*>(state),
                                 reinterpret_cast<void*>(stream));
          },
          py::arg("workspace"), py::arg("state"), py::arg("stream"),
          "Records a run as one graph, on a stream that is not the legacy default one. Nothing runs.")
      .def(
          "replay",
          [](const BoundProgram& self, uintptr_t stream) {
            cuda::begin_call();
            if (!self.program.captured()) throw std::logic_error("replay before capture");
            self.program.replay(reinterpret_cast<void*>(stream));
          },
          py::arg("stream"), "Queues the recorded run with a single launch.")
      .def("__len__", [](const BoundProgram& self) { return self.program.steps().size(); })
      .def_property_readonly(
          "steps",
          [](const BoundProgram& self) {
            std::vector<std::pair<std::string, std::string>> steps;
            for (const auto& s : self.program.steps()) steps.emplace_back(s.name, s.spec->text());
            return steps;
          },
          "(kernel, problem) of each step.");

#if defined(FC_CUDA_EMULATED)
  m.def(
      "set_order",
      [](const std::string& order) {
        using cuda::emulation::Order;
        cuda::emulation::set_order(order == "reversed"   ? Order::reversed
                                   : order == "shuffled" ? Order::shuffled
                                                         : Order::forward);
      },
      py::arg("order"),
      "\"forward\", \"reversed\" or \"shuffled\": in which order threads and blocks take turns.");
  m.def(
      "set_pending_error", [](int code) { cuda::emulation::pending = static_cast<cudaError_t>(code); },
      py::arg("code"), "Makes cudaGetLastError return this number, as other code's failure would.");
  m.def(
      "set_capability", [](int capability) { cuda::emulation::capability_in_force = capability; },
      py::arg("capability"), "75, 80 or 90: the compute capability by which kernels are chosen.");
  m.def("launches_run", &cuda::emulation::launches_run, "How many kernels have been launched.");
  m.def("products_run", &cuda::emulation::products_run,
        "How many products of Hopper's tensor cores have run.");
#endif
}

}  // namespace fc::bind
