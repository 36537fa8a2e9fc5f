// run.cpp — one kernel now (run), or a list of them to run many times (Program).
#include <pybind11/numpy.h>
#include <pybind11/stl.h>

#include <atomic>
#include <optional>

#include "bind/bind.h"
#include "bind/gil.h"
#include "core/cost.h"
#include "core/program.h"
#include "cpu/dispatch.h"
#include "cpu/threads.h"

namespace fc::bind {
namespace {

Kernel find_kernel(KernelId id, const Spec& spec) {
  const Kernel kernel = cpu::kernels().at(id, spec.dtype);
  if (!kernel.run) {
    throw std::runtime_error(text_of("[", signature_of(id).kernel, "] this build has no kernel for ",
                                     name_of(spec.dtype), " on ", cpu::current_isa(), "."));
  }
  return kernel;
}

size_t workspace_bytes(const Kernel& kernel, const Spec& spec, int threads) {
  return kernel.workspace ? kernel.workspace(spec, threads) : 0;
}

// Whether the user may end a call in the middle: it takes more than a tenth of a second on some machine, and
// writes nothing but results, which are then thrown away.
bool is_interruptible(KernelId id, const Spec& spec, const std::vector<void*>& tensors) {
  constexpr double kShort = double{1 << 28};  // operations, or bytes
  for (const Argument& argument : signature_of(id).arguments) {
    if (argument.updated) return false;
  }
  const Cost cost = cost_of(id, spec, tensors.data(), "");
  return cost.flops > kShort || cost.bytes > kShort;
}

void run(const std::string& name, const Spec& spec, const py::sequence& arrays) {
  const KernelId id = kernel_from_name(name);
  const Kernel kernel = find_kernel(id, spec);
  const std::vector<void*> tensors = tensor_addresses(id, spec, arrays);
  thread_local Buffer spare;
  Buffer workspace = std::move(spare);  // so that a signal's handler that comes here finds another one
  const int threads = cpu::threads();
  const Context context{workspace.at_least(workspace_bytes(kernel, spec, threads)), threads};
  without_lock([&] {
    if (!is_interruptible(id, spec, tensors)) return kernel.run(spec, tensors.data(), context);
    const Interrupt interrupt = Interrupts();
    const Interruptible scope(interrupt);
    kernel.run(spec, tensors.data(), context);
  });
  spare = std::move(workspace);
}

std::string algorithm_of(const Kernel& kernel, const Spec& spec) {
  return kernel.algorithm ? kernel.algorithm(spec) : "";
}

// A program and the arrays that its steps point into.
struct BoundProgram {
  Program program;
  py::list arrays;
  std::atomic<bool> running = false;

  void add(const std::string& name, std::shared_ptr<Spec> spec, const py::sequence& tensors,
           std::optional<py::array_t<uint8_t>> room) {
    const KernelId id = kernel_from_name(name);
    const Kernel kernel = find_kernel(id, *spec);
    Program::Step step{name, kernel, spec, tensor_addresses(id, *spec, tensors)};
    step.interruptible = is_interruptible(id, *spec, step.tensors);
    if (room) {
      step.room = room->mutable_data();
      step.room_bytes = static_cast<size_t>(room->nbytes());
      arrays.append(*room);
    }
    program.add(std::move(step));
    arrays.append(tensors);
  }

  void add_guard(const py::array& scalar) {
    const bool wide = scalar.dtype().equal(py::dtype::of<double>());
    FC_CHECK(scalar.size() == 1 && (wide || scalar.dtype().equal(py::dtype::of<float>())),
             "[add_guard] scalar must be one float32 or float64.");
    program.add_guard(wide ? DType::f64 : DType::f32, scalar.data());
    arrays.append(scalar);
  }

  // work(threads) without the lock. Other threads wait for their turn in Python; this one may come again, in
  // a handler of a signal, and would change the memory that the first run works on.
  template <class Work>
  void exclusively(const Work& work) {
    if (running.exchange(true)) {
      throw std::runtime_error(
          "[run] a plan does one thing at a time: expected it to rest, got a call from a signal's handler "
          "that "
          "interrupts its run. Note in the handler that the signal came, and call the model later.");
    }
    struct Turn {
      std::atomic<bool>& running;
      ~Turn() { running = false; }
    } const turn{running};
    without_lock([&] { work(cpu::threads()); });
  }
};

}  // namespace

void bind_run(py::module_& m) {
  m.def("run", &run, py::arg("kernel"), py::arg("spec"), py::arg("tensors"),
        "Runs one kernel on arrays given in the order of its signature.");
  m.def(
      "workspace_bytes",
      [](const std::string& name, const Spec& spec) {
        return workspace_bytes(find_kernel(kernel_from_name(name), spec), spec, cpu::threads());
      },
      py::arg("kernel"), py::arg("spec"),
      "Scratch memory that the kernel needs for this problem with the threads of now.");
  m.def(
      "algorithm",
      [](const std::string& name, const Spec& spec) {
        const Kernel kernel = find_kernel(kernel_from_name(name), spec);
        return algorithm_of(kernel, spec);
      },
      py::arg("kernel"), py::arg("spec"),
      "How the kernel computes this problem; empty where there is one way.");
  m.def(
      "signatures",
      [] {
        py::dict all;
        for (int i = 0; i < kKernelCount; ++i) {
          const Signature& signature = signature_of(static_cast<KernelId>(i));
          all[py::str(signature.kernel)] = signature.text;
        }
        return all;
      },
      "Every kernel's name and its tensors, 'inputs -> outputs'.");
  m.def(
      "missing_kernels",
      [] {
        std::vector<std::string> names;
        const KernelTable& table = cpu::kernels();
        for (int i = 0; i < kKernelCount; ++i) {
          const auto id = static_cast<KernelId>(i);
          if (!table.at(id, DType::f32).run || !table.at(id, DType::f64).run)
            names.push_back(signature_of(id).kernel);
        }
        return names;
      },
      "Kernels that the selected instruction set lacks: in a whole build those that only a GPU has.");

  py::class_<BoundProgram>(m, "Program", "A flat list of kernel calls on fixed memory.")
      .def(py::init<>())
      .def("add", &BoundProgram::add, py::arg("kernel"), py::arg("spec"), py::arg("tensors"),
           py::arg("room") = py::none(),
           "Appends a call; the arrays are checked now and kept alive. `room` are bytes that the kernel may "
           "use as its workspace, where they suffice.")
      .def("add_guard", &BoundProgram::add_guard, py::arg("scalar"),
           "Makes run stop here, and return False, when the scalar is not finite.")
      .def(
          "run",
          [](BoundProgram& self) {
            bool finished = false;
            self.exclusively([&](int threads) { finished = self.program.run(threads, Interrupts()); });
            return finished;
          },
          "Runs the steps in order; False when a guard stopped it. A signal is heard between two steps, and "
          "within long ones, up to the guard: what comes after it happens whole or not at all.")
      .def(
          "run_timed",
          [](BoundProgram& self) {
            std::vector<double> seconds;
            self.exclusively([&](int threads) { seconds = self.program.run_timed(threads); });
            return seconds;
          },
          "Runs every step in order and returns the seconds of each.")
      .def("__len__", [](const BoundProgram& self) { return self.program.steps().size(); })
      .def_property_readonly(
          "steps",
          [](const BoundProgram& self) {
            std::vector<std::pair<std::string, std::string>> steps;
            for (const Program::Step& s : self.program.steps()) steps.emplace_back(s.name, s.spec->text());
            return steps;
          },
          "(kernel, problem) of each step.")
      .def_property_readonly(
          "costs",
          [](const BoundProgram& self) {
            std::vector<std::tuple<std::string, double, double, double>> costs;
            for (const Program::Step& s : self.program.steps()) {
              const std::string algorithm = algorithm_of(s.kernel, *s.spec);
              const Cost cost = cost_of(kernel_from_name(s.name), *s.spec, s.tensors.data(), algorithm);
              costs.emplace_back(algorithm, cost.flops, cost.executed, cost.bytes);
            }
            return costs;
          },
          "(algorithm, flops, flops executed, bytes) of each step.");
}

}  // namespace fc::bind
