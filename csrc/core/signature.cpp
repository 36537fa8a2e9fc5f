// signature.cpp — parses "x w bias:wide? seed:u64 -> y state!" once per kernel.
#include "core/signature.h"

#include <sstream>
#include <unordered_map>

#include "core/augment_spec.h"
#include "core/conv2d_pool_spec.h"
#include "core/elementwise_spec.h"
#include "core/embedding_spec.h"
#include "core/factored_spec.h"
#include "core/gemm_spec.h"
#include "core/layout_spec.h"
#include "core/loss_spec.h"
#include "core/norm_spec.h"
#include "core/penalty_spec.h"
#include "core/resample_spec.h"
#include "core/rnn_spec.h"
#include "core/warp_spec.h"

namespace fc {
namespace {

DType dtype_from(const std::string& text) {
  if (text == "u8") return DType::u8;
  if (text == "u64") return DType::u64;
  if (text == "i64") return DType::i64;
  if (text == "f64") return DType::f64;
  throw std::logic_error("kernels.inc names an unknown element type: " + text);
}

Signature parse(const char* kernel, const char* text) {
  Signature signature{kernel, text, {}};
  std::istringstream words(text);
  bool output = false;
  for (std::string word; words >> word;) {
    if (word == "->") {
      output = true;
      continue;
    }
    Argument argument;
    argument.output = output;
    for (; word.back() == '?' || word.back() == '!'; word.pop_back()) {
      (word.back() == '?' ? argument.optional : argument.updated) = true;
    }
    const size_t colon = word.find(':');
    argument.name = word.substr(0, colon);
    if (colon != std::string::npos) {
      const std::string type = word.substr(colon + 1);
      argument.wide = type == "wide";
      argument.to = type == "to";
      if (!argument.wide && !argument.to) argument.dtype = dtype_from(type);
    }
    signature.arguments.push_back(argument);
  }
  return signature;
}

const std::vector<Signature>& signatures() {
  static const std::vector<Signature> all = {
#define FC_KERNEL(name, spec, text) parse(#name, text),
#include "core/kernels.inc"
#undef FC_KERNEL
  };
  return all;
}

}  // namespace

DType Argument::type_in(const Spec& spec) const {
  if (to) return dynamic_cast<const CastSpec&>(spec).to;
  const bool half = spec.dtype == DType::f16 || spec.dtype == DType::bf16;
  return wide && half ? DType::f32 : dtype.value_or(spec.dtype);
}

const Signature& signature_of(KernelId id) {
  return signatures()[static_cast<size_t>(id)];
}

KernelId kernel_from_name(const std::string& name) {
  static const auto* ids = [] {
    auto* map = new std::unordered_map<std::string, KernelId>;
    for (int i = 0; i < kKernelCount; ++i)
      (*map)[signatures()[static_cast<size_t>(i)].kernel] = static_cast<KernelId>(i);
    return map;
  }();
  const auto found = ids->find(name);
  if (found == ids->end()) throw std::logic_error("no kernel is named '" + name + "'");
  return found->second;
}

bool spec_fits(KernelId id, const Spec& spec) {
  switch (id) {
#define FC_KERNEL(name, type, text) \
  case KernelId::name:              \
    return dynamic_cast<const type*>(&spec) != nullptr;
#include "core/kernels.inc"
#undef FC_KERNEL
    case KernelId::count:
      break;
  }
  return false;
}

}  // namespace fc
