// dense.cpp — the dense layer's entries in the kernel table.
#include "cpu/kernels/dense.h"

#include "cpu/kernels/table.h"

namespace fc::cpu::FC_ISA {

namespace {

template <class T, GemmPass pass>
const char* algorithm(const Spec& spec) {
  const bool amx = suits_amx<T>(static_cast<const GemmSpec&>(spec), pass);
  return name_of(amx ? Conv2dAlgorithm::amx : Conv2dAlgorithm::direct);
}

template <GemmPass pass>
void name_algorithms(KernelTable& table, std::string_view kernel) {
  table.at(kernel, DType::f32).algorithm = &algorithm<float, pass>;
  FC_F64(table.at(kernel, DType::f64).algorithm = &algorithm<double, pass>;)
}

}  // namespace

void add_dense(KernelTable& table) {
  add_dense_forward(table);
  add_dense_backward_input(table);
  add_dense_backward_weight(table);
  name_algorithms<GemmPass::forward>(table, "dense_forward");
  name_algorithms<GemmPass::backward_input>(table, "dense_backward_input");
  name_algorithms<GemmPass::backward_weight>(table, "dense_backward_weight");
}

}  // namespace fc::cpu::FC_ISA
