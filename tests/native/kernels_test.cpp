// kernels_test.cpp — the kernels without Python: from many threads at once, inside loops, interrupted.
//
// Every call is computed by one thread first; whatever else happens, it must give these bits. Run it with
// `tests/native/sanitize kernels`, where a race detector watches, and with `tests/native/sanitize leaks`.
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <thread>

#include "core/conv2d_spec.h"
#include "core/elementwise_spec.h"
#include "core/embedding_spec.h"
#include "core/gemm_spec.h"
#include "core/layout_spec.h"
#include "core/loss_spec.h"
#include "core/norm_spec.h"
#include "core/penalty_spec.h"
#include "core/pool2d_spec.h"
#include "core/program.h"
#include "core/rnn_spec.h"
#include "core/signature.h"
#include "cpu/dispatch.h"

#define FC_ISA native
#include "cpu/parallel.h"

namespace {

using namespace fc;

void expect(bool holds, const std::string& what) {
  if (holds) return;
  std::fprintf(stderr, "kernels_test: %s\n", what.c_str());
  std::abort();
}

using Bytes = std::vector<unsigned char>;

struct Call {
  std::string kernel;
  std::shared_ptr<const Spec> spec;
};

template <class T>
void fill(Bytes& bytes, T (*value)(int64_t)) {
  T* const data = reinterpret_cast<T*>(bytes.data());
  for (size_t i = 0; i < bytes.size() / sizeof(T); ++i) data[i] = value(static_cast<int64_t>(i));
}

template <class T>
T fraction(int64_t i) {
  return static_cast<T>((i * 7 + 3) % 17) / 16 - static_cast<T>(0.5);
}

// Numbers between -0.5 and 0.5; of what counts or chooses, small integers that every table has.
void fill(Bytes& bytes, const std::string& name, DType dtype) {
  if (name == "ids") return fill<float>(bytes, [](int64_t i) { return static_cast<float>(i % 5); });
  if (dtype == DType::f32) return fill<float>(bytes, fraction<float>);
  if (dtype == DType::f64) return fill<double>(bytes, fraction<double>);
  if (dtype == DType::i64) return fill<int64_t>(bytes, [](int64_t i) { return i % 5; });
  std::memset(bytes.data(), 0, bytes.size());
}

// The arrays of a call; what it writes begins as other numbers than it leaves.
class Arrays {
 public:
  explicit Arrays(const Call& call) {
    for (const Argument& argument : signature_of(kernel_from_name(call.kernel)).arguments) {
      const DType dtype = argument.type_in(*call.spec);
      int64_t bytes = size_of(dtype);
      for (const int64_t extent : call.spec->shape(argument.name)) bytes *= extent;
      arrays_.emplace_back(static_cast<size_t>(bytes));
      fill(arrays_.back(), argument.name, dtype);
      written_.push_back(argument.output);
    }
    for (Bytes& array : arrays_) addresses_.push_back(array.data());
  }

  const std::vector<void*>& addresses() const { return addresses_; }

  std::vector<Bytes> results() const {
    std::vector<Bytes> results;
    for (size_t i = 0; i < arrays_.size(); ++i) {
      if (written_[i]) results.push_back(arrays_[i]);
    }
    return results;
  }

 private:
  std::vector<Bytes> arrays_;
  std::vector<bool> written_;
  std::vector<void*> addresses_;
};

Kernel kernel_of(const Call& call) {
  return cpu::kernels().at(kernel_from_name(call.kernel), call.spec->dtype);
}

std::vector<Bytes> run(const Call& call, int threads) {
  const Kernel kernel = kernel_of(call);
  const Arrays arrays(call);
  Buffer workspace;
  Context context;
  context.workspace = workspace.at_least(kernel.workspace ? kernel.workspace(*call.spec, threads) : 0);
  context.threads = threads;
  kernel.run(*call.spec, arrays.addresses().data(), context);
  return arrays.results();
}

template <class S>
void add(std::vector<Call>& calls, S spec, const std::vector<std::string>& kernels) {
  const auto shared = std::make_shared<const S>(std::move(spec));
  for (const std::string& kernel : kernels) calls.push_back({kernel, shared});
}

void add_convolutions(std::vector<Call>& calls) {
  const std::vector<std::string> all = {"conv2d_forward", "conv2d_backward_input", "conv2d_backward_weight",
                                        "conv2d_forward_moments", "conv2d_backward_input_sums"};
  const auto make = [](DType dtype, const Shape& x, const Shape& w, int64_t stride, int64_t groups) {
    return Conv2dSpec::make(dtype, x, w, {stride, stride}, {PaddingMode::same_upper}, {1, 1}, groups, {});
  };
  for (const char* algorithm : {"direct", "col2im", "winograd", "amx"}) {
    prefer_conv2d(algorithm);
    add(calls, make(DType::f32, {3, 17, 19, 16}, {3, 3, 16, 24}, 1, 1), all);
    add(calls, make(DType::f32, {1, 7, 7, 80}, {3, 3, 80, 64}, 1, 1), all);  // few tiles of many channels
  }
  prefer_conv2d("automatic");
  add(calls, make(DType::f64, {2, 17, 19, 9}, {3, 3, 9, 17}, 2, 1), all);
  add(calls, make(DType::f32, {2, 33, 35, 32}, {3, 3, 1, 32}, 1, 32), all);  // a filter per channel
  add(calls, make(DType::f32, {4, 28, 28, 1}, {5, 5, 1, 8}, 1, 1), all);     // lines
  add(calls, make(DType::f32, {2, 15, 15, 8}, {1, 1, 4, 6}, 1, 2), all);
}

void add_layers(std::vector<Call>& calls) {
  constexpr DType f32 = DType::f32;
  add(calls, GemmSpec::make_dense(f32, {65, 200}, {200, 70}, {}),
      {"dense_forward", "dense_backward_input", "dense_backward_weight"});
  add(calls, GemmSpec::make_dense(f32, {3, 600}, {600, 300}, {}), {"dense_forward_streamed"});
  for (const PoolKind kind : {PoolKind::max, PoolKind::avg}) {
    add(calls, Pool2dSpec::make(f32, kind, {4, 33, 35, 20}, {3, 3}, {2, 2}, {}, {1, 1}, false, false),
        {"pool2d_forward", "pool2d_backward_from_index"});
  }
  add(calls, Pool2dSpec::make(f32, PoolKind::max, {4, 33, 35, 20}, {2, 2}, {2, 2}, {}, {1, 1}, false, false),
      {"pool2d_backward"});
  const auto norm = [](const char* op) { return NormSpec::make(f32, op, {2100, 33}, 1e-3, 0.9, {}, true); };
  add(calls, norm("softmax"), {"softmax_forward", "softmax_backward", "log_softmax_forward"});
  add(calls, norm("batch_norm"), {"batch_norm_training", "batch_norm_training_backward"});
  add(calls, norm("batch_norm"), {"batch_norm_inference", "batch_norm_inference_backward"});
  add(calls, norm("layer_norm"), {"layer_norm_forward", "layer_norm_backward"});
  add(calls, GroupNormSpec::make(f32, {6, 19, 19, 12}, 3, 1e-3),
      {"group_norm_forward", "group_norm_backward"});
  add(calls,
      RnnSpec::make(f32, RnnKind::lstm, {9, 20, 128}, {32, 128}, {ActivationKind::tanh},
                    {ActivationKind::sigmoid}, false, false),
      {"rnn_forward", "rnn_backward"});
  add(calls, EmbeddingSpec::make(f32, {3000}, {5, 40}), {"embedding", "embedding_backward"});
}

void add_elementwise(std::vector<Call>& calls) {
  constexpr DType f32 = DType::f32;
  const Shape shape = {300, 331};
  add(calls, ActivationSpec::make(f32, shape, {ActivationKind::gelu}),
      {"activation_forward", "activation_backward"});
  add(calls, DropoutSpec::make(f32, shape, 0.4), {"dropout"});
  add(calls, NoiseSpec::make(f32, shape, 0.4, false), {"noise"});
  add(calls, BinarySpec::make(f32, BinaryKind::multiply, shape, {331}),
      {"binary_forward", "binary_backward"});
  add(calls, TransposeSpec::make(f32, {30, 40, 50}, {2, 0, 1}), {"transpose_axes"});
  add(calls, LossSpec::make(f32, LossKind::categorical_crossentropy, {5000, 10}, {5000, 10}, true, 0.1, 1),
      {"loss_forward", "loss_backward"});
  add(calls, VectorSpec::make(f32, "update", shape),
      {"dot", "gradient_clip", "sgd_update", "adam_update", "lamb_update", "average_update"});
  add(calls, PenaltySpec::make(f32, shape, 0.1, 0.2), {"penalty_forward", "penalty_backward"});
}

std::vector<Call> all_calls() {
  std::vector<Call> calls;
  add_convolutions(calls);
  add_layers(calls);
  add_elementwise(calls);
  return calls;
}

void expect_all(const std::vector<Call>& calls, const std::vector<std::vector<Bytes>>& expected, int threads,
                size_t first) {
  for (size_t i = 0; i < calls.size(); ++i) {
    const size_t k = (first + i) % calls.size();
    expect(run(calls[k], threads) == expected[k], calls[k].kernel + " " + calls[k].spec->text());
  }
}

void from_four_threads(const std::vector<Call>& calls, const std::vector<std::vector<Bytes>>& expected) {
  std::vector<std::thread> callers;
  for (size_t i = 0; i < 4; ++i) {
    callers.emplace_back([&, i] { expect_all(calls, expected, 3, i * calls.size() / 4); });
  }
  for (std::thread& caller : callers) caller.join();
}

void inside_a_loop(const std::vector<Call>& calls, const std::vector<std::vector<Bytes>>& expected) {
  cpu::native::parallel_for(3, static_cast<int64_t>(calls.size()), [&](int64_t i) {
    expect(run(calls[i], 3) == expected[i], "in a loop: " + calls[i].kernel);
  });
}

struct Enough {};

// An interrupt at each place where a kernel asks, one after another; then nobody interrupts, and it is right.
void interrupted(const Call& call, const std::vector<Bytes>& expected) {
  for (int threads : {1, 3}) {
    bool done = false;
    for (int after = 0; !done; after += 1 + after / 4) {
      int asked = 0;
      const Interrupt interrupt = [&] {
        if (asked++ == after) throw Enough();
      };
      try {
        const Interruptible scope(interrupt);
        expect(run(call, threads) == expected, "with questions: " + call.kernel);
        done = true;
      } catch (const Enough&) {
      }
    }
    expect(run(call, threads) == expected, "after interrupts: " + call.kernel);
  }
}

// A program that is interrupted, goes through and is stopped by its guard.
void as_programs(const std::vector<Call>& calls, const std::vector<std::vector<Bytes>>& expected) {
  Program program;
  std::vector<std::unique_ptr<Arrays>> arrays;
  float loss = 1;
  for (size_t i = 0; i < calls.size(); ++i) {
    if (i == calls.size() / 2) program.add_guard(DType::f32, &loss);
    arrays.push_back(std::make_unique<Arrays>(calls[i]));
    Program::Step step{calls[i].kernel, kernel_of(calls[i]), calls[i].spec, arrays[i]->addresses()};
    step.interruptible = true;
    program.add(std::move(step));
  }
  try {
    program.run(3, [] { throw Enough(); });
    expect(false, "a program was not interrupted");
  } catch (const Enough&) {
  }
  loss = INFINITY;
  expect(!program.run(3, [] {}), "a guard let infinity pass");
  loss = 1;
  expect(program.run(3, [] {}), "a guard stopped a number");
  for (size_t i = 0; i < calls.size(); ++i) {
    expect(arrays[i]->results() == expected[i], "in a program: " + calls[i].kernel);
  }
}

}  // namespace

int main() {
  const std::vector<Call> calls = all_calls();
  for (const std::string& isa : cpu::available_isas()) {
    cpu::select_isa(isa);
    std::vector<std::vector<Bytes>> expected;
    for (const Call& call : calls) expected.push_back(run(call, 1));
    from_four_threads(calls, expected);
    inside_a_loop(calls, expected);
    for (size_t i = 0; i < calls.size(); i += 3) interrupted(calls[i], expected[i]);
    std::thread other([&] { as_programs(calls, expected); });
    as_programs(calls, expected);
    other.join();
    std::printf("kernels_test: %s: %zu kernel calls passed\n", isa.c_str(), calls.size());
  }
}
