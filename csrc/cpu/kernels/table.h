// table.h — turns a typed kernel into a table entry: unpacks the untyped tensor list in signature order.
#pragma once

#include <utility>

#include "core/kernel_table.h"
#include "core/spec.h"

namespace fc::cpu::FC_ISA {

template <auto F>
struct Adapt;

// F is void(const SomeSpec&, tensor pointers..., const Context&); Rest is the pointers and the context.
template <class S, class... Rest, void (*F)(const S&, Rest...)>
struct Adapt<F> {
  static void run(const Spec& spec, void* const* tensors, const Context& context) {
    call(static_cast<const S&>(spec), tensors, context, std::make_index_sequence<sizeof...(Rest) - 1>());
  }

 private:
  struct AnyPointer {
    void* p;
    template <class T>
    operator T*() const {
      return static_cast<T*>(p);
    }
  };
  template <size_t... I>
  static void call(const S& spec, void* const* tensors, const Context& context, std::index_sequence<I...>) {
    F(spec, AnyPointer{tensors[I]}..., context);
  }
};

template <auto F>
struct AdaptWorkspace;

template <class S, size_t (*F)(const S&, int)>
struct AdaptWorkspace<F> {
  static size_t bytes(const Spec& spec, int threads) { return F(static_cast<const S&>(spec), threads); }
};

template <auto F>
Kernel kernel() {
  return {&Adapt<F>::run, nullptr};
}
template <auto F, auto Workspace>
Kernel kernel() {
  return {&Adapt<F>::run, &AdaptWorkspace<Workspace>::bytes};
}

// FC_ADD(table, conv2d_forward, conv2d_forward_workspace): both element types of one kernel (a template over
// T).
#define FC_ADD(table, name)                                               \
  (table).f32[static_cast<int>(KernelId::name)] = kernel<&name<float>>(); \
  (table).f64[static_cast<int>(KernelId::name)] = kernel<&name<double>>()
#define FC_ADD_WITH_WORKSPACE(table, name)                                                          \
  (table).f32[static_cast<int>(KernelId::name)] = kernel<&name<float>, &name##_workspace<float>>(); \
  (table).f64[static_cast<int>(KernelId::name)] = kernel<&name<double>, &name##_workspace<double>>()

// Each family of kernels adds its own entries.
void add_conv2d(KernelTable& table);
void add_dense(KernelTable& table);
void add_pool2d(KernelTable& table);
void add_activation(KernelTable& table);
void add_prelu(KernelTable& table);
void add_softmax(KernelTable& table);
void add_norm(KernelTable& table);
void add_dropout(KernelTable& table);
void add_binary(KernelTable& table);
void add_box_copy(KernelTable& table);
void add_loss(KernelTable& table);
void add_vector(KernelTable& table);  // dot, gradient_clip
void add_optimizer(KernelTable& table);

}  // namespace fc::cpu::FC_ISA
