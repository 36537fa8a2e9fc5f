// conv2d.cpp — the convolution's entries in the kernel table.
#include "cpu/kernels/conv2d.h"

#include "cpu/kernels/table.h"

namespace fc::cpu::FC_ISA {
namespace {

template <class T, Conv2dPass pass>
const char* algorithm(const Spec& spec) {
  return name_of(conv2d_algorithm<T>(static_cast<const Conv2dSpec&>(spec), pass));
}

template <Conv2dPass pass>
void name_algorithms(KernelTable& table, std::string_view kernel) {
  table.at(kernel, DType::f32).algorithm = &algorithm<float, pass>;
  FC_F64(table.at(kernel, DType::f64).algorithm = &algorithm<double, pass>;)
}

}  // namespace

void add_conv2d(KernelTable& table) {
  FC_ADD_WITH_WORKSPACE(table, conv2d_forward);
  FC_ADD_WITH_WORKSPACE(table, conv2d_backward_input);
  FC_ADD_WITH_WORKSPACE(table, conv2d_backward_weight);
  FC_ADD_WITH_WORKSPACE(table, conv2d_forward_moments);
  FC_ADD_WITH_WORKSPACE(table, conv2d_backward_input_sums);
  name_algorithms<Conv2dPass::forward>(table, "conv2d_forward_moments");
  name_algorithms<Conv2dPass::backward_input>(table, "conv2d_backward_input_sums");
  name_algorithms<Conv2dPass::forward>(table, "conv2d_forward");
  name_algorithms<Conv2dPass::backward_input>(table, "conv2d_backward_input");
  name_algorithms<Conv2dPass::backward_weight>(table, "conv2d_backward_weight");
}

}  // namespace fc::cpu::FC_ISA
