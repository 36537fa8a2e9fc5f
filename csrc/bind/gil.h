// gil.h — kernels run without the interpreter's lock; between two of them the user may interrupt.
#pragma once

#include <pybind11/pybind11.h>
#include <unistd.h>

#include <chrono>

namespace fc::bind {

inline bool interpreter_is_ending() {
#if PY_VERSION_HEX >= 0x030d0000
  return Py_IsFinalizing() != 0;
#else
  return _Py_IsFinalizing() != 0;
#endif
}

// Takes the lock back. A daemon thread that asks for it while the interpreter ends would be unwound by
// Python, through C++ frames and destructors that must not throw, and that aborts the process; so it sleeps
// here until the process is gone, as Python itself does since 3.14.
inline void take_lock_back(PyThreadState* state) {
  while (interpreter_is_ending()) pause();
  PyEval_RestoreThread(state);
}

// work() without the lock; unlike py::gil_scoped_release it takes the lock back outside of a destructor.
template <class Work>
void without_lock(const Work& work) {
  PyThreadState* const state = PyEval_SaveThread();
  try {
    work();
  } catch (...) {
    take_lock_back(state);
    throw;
  }
  take_lock_back(state);
}

// Called without the lock, between kernels and parts of long ones: raises KeyboardInterrupt (or whatever a
// signal handler raises) a fraction of a second after the signal. Taking the lock costs more than a small
// kernel, hence the clock.
class Interrupts {
 public:
  void operator()() {
    const Clock::time_point now = Clock::now();
    if (now - last_ < std::chrono::milliseconds(50)) return;
    last_ = now;
    if (interpreter_is_ending()) return;
    const pybind11::gil_scoped_acquire lock;
    if (PyErr_CheckSignals() != 0) throw pybind11::error_already_set();
  }

 private:
  using Clock = std::chrono::steady_clock;
  Clock::time_point last_ = Clock::now();
};

}  // namespace fc::bind
