// dispatch.cpp — picks the best instruction set that both the CPU and the OS support.
#include "cpu/dispatch.h"

#include <atomic>
#include <cstdlib>

#include "core/check.h"
#include "cpu/cpu_info.h"

namespace fc::cpu {
namespace baseline {
void add_kernels(KernelTable& table);
double peak_flops(DType dtype, int threads, double seconds);
}  // namespace baseline
namespace avx2 {
void add_kernels(KernelTable& table);
double peak_flops(DType dtype, int threads, double seconds);
}  // namespace avx2
namespace avx512 {
void add_kernels(KernelTable& table);
double peak_flops(DType dtype, int threads, double seconds);
}  // namespace avx512
namespace amx {
void add_products(KernelTable& table);
double peak_split_flops(int threads, double seconds);
}  // namespace amx

namespace {

struct Isa {
  std::string name;
  void (*add_kernels)(KernelTable& table);
  double (*peak_flops)(DType dtype, int threads, double seconds);
  double (*peak_split_flops)(int threads, double seconds) = nullptr;  // null: no product is split
};

#if defined(FASTCONV_HAS_AMX)
// AVX-512's table, with the matrix products replaced.
void add_amx_kernels(KernelTable& table) {
  avx512::add_kernels(table);
  amx::add_products(table);
}
#endif

const std::vector<Isa>& built() {
  static const std::vector<Isa> all = {
      {"baseline", baseline::add_kernels, baseline::peak_flops},
#if defined(FASTCONV_HAS_AVX2)
      {"avx2", avx2::add_kernels, avx2::peak_flops},
#endif
#if defined(FASTCONV_HAS_AVX512)
      {"avx512", avx512::add_kernels, avx512::peak_flops},
#endif
#if defined(FASTCONV_HAS_AMX)
      {"amx", add_amx_kernels, avx512::peak_flops, amx::peak_split_flops},
#endif
  };
  return all;
}

// An instruction set that this machine runs, with its kernels.
struct Usable {
  const Isa& isa;
  KernelTable table;

  explicit Usable(const Isa& i) : isa(i) { isa.add_kernels(table); }
};

const std::vector<Usable>& usable() {
  static const std::vector<Usable> all = [] {
    std::vector<Usable> found;
    for (const Isa& isa : built()) {
      if (supports(isa.name)) found.emplace_back(isa);
    }
    return found;
  }();
  return all;
}

const Usable& find(const std::string& asked) {
  const std::string name = asked == "sse2" ? "baseline" : asked;
  std::string known;
  for (const Usable& one : usable()) {
    if (one.isa.name == name) return one;
    known += (known.empty() ? "" : ", ") + one.isa.name;
  }
  throw ValueError(
      text_of("[FASTCONV_ISA] the instruction set must be one that this machine runs: expected one of ",
              known, ", got '", asked, "'. Unset FASTCONV_ISA to use the best one."));
}

// The one in use. Threads may look it up while another one selects.
std::atomic<const Usable*>& selected() {
  static std::atomic<const Usable*> current = [] {
    const char* forced = std::getenv("FASTCONV_ISA");
    return &(forced && *forced ? find(forced) : usable().back());
  }();
  return current;
}

}  // namespace

std::vector<std::string> available_isas() {
  std::vector<std::string> names;
  for (const Usable& one : usable()) names.push_back(one.isa.name);
  return names;
}

const std::string& current_isa() {
  return selected().load()->isa.name;
}

void select_isa(const std::string& name) {
  selected().store(&find(name));
}

const KernelTable& kernels() {
  return selected().load()->table;
}

double peak_flops(DType dtype, int threads, double seconds) {
  return selected().load()->isa.peak_flops(dtype, threads, seconds);
}

double peak_split_flops(int threads, double seconds) {
  const auto rate = selected().load()->isa.peak_split_flops;
  return rate != nullptr ? rate(threads, seconds) : 0;
}

}  // namespace fc::cpu
