// optimizer.cu — one update of a weight by its gradient, and of the optimizer's state: Keras 3's rules.
//
// Math       every rule first decays, w = w − w·weight_decay·η (Loshchilov, Hutter, 2019), η = learning_rate
//   sgd      v = μ·v − η·g      w = w + v, with Nesterov's look-ahead w + μ·v − η·g
//            no velocity: w = w − η·g
//   adam     m = m + (g − m)(1−β₁)      v = v + (g² − v)(1−β₂)      w = w − α·m/(√v + ε)
//            α = η·√(1−β₂ᵗ)/(1−β₁ᵗ), t = step, counted from 1; amsgrad: v̂ = max(v̂, v) in the place of v
//   rmsprop  v = ρ·v + (1−ρ)g²      centered: a = ρ·a + (1−ρ)g, d = v − a² + ε, else d = v + ε
//            u = η·g/√d      with momentum: u = b = μ·b + u      w = w − u
//   adagrad  s = s + g²      w = w − η·g/√(s + ε)
//            and without that decay
//   torch_sgd  d = g + weight_decay·w      v = μ·v + d      w = w − η·v, Nesterov's: w − η·(d + μ·v)
//   average  a = μ·a + (1−μ)·w, then w = a where it overwrites
// Hyper      double[8], read on the device:  sgd, torch_sgd {η, μ, nesterov, weight_decay}
//            adam {η, β₁, β₂, ε, weight_decay, step}   rmsprop {η, ρ, μ, ε, centered, weight_decay}
//            adagrad {η, ε, weight_decay}   average {μ, overwrites}
//            hyper[7] of all but average: not 0 where the step only gathers gradients, and updates nothing
// Shapes     everything else (n), float32: the type of weights that are trained
// Grid/Block update.cuh; average: 16 bytes of both arrays per thread
// Numerics   coefficients in float64, rounded once; the update in float32, operation by operation what
//            csrc/cpu/kernels/optimizer.cpp computes (rounded.cuh), so that both walk the same path. What
//            vanishes becomes 0: update.cuh
// Workspace  none
// Edges      a refused step writes nothing. average with μ = 1 that does not overwrite touches no weight:
//            most steps of Lookahead, and one graph serves all of them
// Source     Kingma, Ba, 2015; Reddi et al., 2018, amsgrad; Tieleman, Hinton, 2012; Duchi, Hazan, Singer,
//            2011; Keras 3, keras/src/optimizers; torch.optim.SGD's documentation; Zhang et al., 2019,
//            Lookahead
#include "core/elementwise_spec.h"
#include "cuda/device/update.cuh"
#include "cuda/table.h"

namespace fc::cuda {
namespace {

struct Sgd {
  Rounded rate, decay;
  __device__ void prepare(const double* hyper) {
    rate = rounded(hyper[0]);
    decay = rounded(hyper[3] * hyper[0]);
  }
  __device__ void operator()(Rounded g, Rounded (&s)[1]) const { s[0] = s[0] - s[0] * decay - rate * g; }
};

struct Momentum {
  Rounded rate, momentum, decay;
  bool nesterov;
  __device__ void prepare(const double* hyper) {
    rate = rounded(hyper[0]);
    momentum = rounded(hyper[1]);
    nesterov = hyper[2] != 0;
    decay = rounded(hyper[3] * hyper[0]);
  }
  __device__ void operator()(Rounded g, Rounded (&s)[2]) const {
    const Rounded weight = s[0], step = rate * g;
    s[1] = settled(momentum * s[1] - step);
    s[0] = weight - weight * decay + (nesterov ? momentum * s[1] - step : s[1]);
  }
};

struct TorchSgd {
  Rounded rate, momentum, decay;
  bool nesterov;
  __device__ void prepare(const double* hyper) {
    rate = rounded(hyper[0]);
    momentum = rounded(hyper[1]);
    nesterov = hyper[2] != 0;
    decay = rounded(hyper[3]);
  }
  __device__ void operator()(Rounded g, Rounded (&s)[2]) const {
    const Rounded d = g + decay * s[0];
    s[1] = settled(momentum * s[1] + d);
    s[0] = s[0] - rate * (nesterov ? d + momentum * s[1] : s[1]);
  }
};

// State: w, m, v, and v_hat for amsgrad.
template <bool kAmsgrad>
struct Adam {
  Rounded alpha, rest_1, rest_2, epsilon, decay;
  __device__ void prepare(const double* hyper) {
    const double beta_1 = hyper[1], beta_2 = hyper[2], step = hyper[5];
    alpha = rounded(hyper[0] * sqrt(1 - pow(beta_2, step)) / (1 - pow(beta_1, step)));
    rest_1 = rounded(1 - beta_1);
    rest_2 = rounded(1 - beta_2);
    epsilon = rounded(hyper[3]);
    decay = rounded(hyper[4] * hyper[0]);
  }
  __device__ void operator()(Rounded g, Rounded (&s)[3 + kAmsgrad]) const {
    const Rounded weight = s[0];
    s[1] = settled(s[1] + (g - s[1]) * rest_1);
    s[2] = settled(s[2] + (squared(g) - s[2]) * rest_2);
    Rounded& largest = s[2 + kAmsgrad];
    if (kAmsgrad) largest = largest.value > s[2].value ? largest : s[2];
    s[0] = weight - weight * decay - alpha * s[1] / (square_root(largest) + epsilon);
  }
};

// State: w, velocity, then the buffers of momentum and of the average gradient, as far as there are any.
template <bool kMomentum, bool kAverage>
struct RmsProp {
  static constexpr int kStates = 2 + kMomentum + kAverage;
  Rounded rate, rho, rest, friction, epsilon, decay;
  bool with_momentum, centered;
  __device__ void prepare(const double* hyper) {
    rate = rounded(hyper[0]);
    rho = rounded(hyper[1]);
    rest = rounded(1 - hyper[1]);
    friction = rounded(hyper[2]);
    epsilon = rounded(hyper[3]);
    decay = rounded(hyper[5] * hyper[0]);
    with_momentum = hyper[2] > 0;
    centered = hyper[4] != 0;
  }
  __device__ void operator()(Rounded g, Rounded (&s)[kStates]) const {
    const Rounded weight = s[0];
    s[1] = settled(rho * s[1] + rest * squared(g));
    Rounded spread = s[1];
    if (kAverage && centered) {
      Rounded& average = s[kStates - 1];
      average = settled(rho * average + rest * g);
      spread = spread - average * average;
    }
    Rounded update = rate * g / square_root(spread + epsilon);
    if (kMomentum && with_momentum) {
      update = settled(update + friction * s[2]);
      s[2] = update;
    }
    s[0] = weight - weight * decay - update;
  }
};

struct Adagrad {
  Rounded rate, epsilon, decay;
  __device__ void prepare(const double* hyper) {
    rate = rounded(hyper[0]);
    epsilon = rounded(hyper[1]);
    decay = rounded(hyper[2] * hyper[0]);
  }
  __device__ void operator()(Rounded g, Rounded (&s)[2]) const {
    const Rounded weight = s[0];
    s[1] = s[1] + squared(g);
    s[0] = weight - weight * decay - rate * g / square_root(s[1] + epsilon);
  }
};

__global__ void __launch_bounds__(kUpdateThreads)
    average_kernel(const double* hyper, float* w, float* average, int64_t n, bool packed,
                   const int32_t* proceed) {
  constexpr int kSize = Pack<float>::kSize;
  const bool overwrites = hyper[1] != 0;
  if ((proceed != nullptr && *proceed == 0) || (hyper[0] == 1 && !overwrites)) return;
  const Rounded momentum = rounded(hyper[0]), rest = rounded(1 - hyper[0]);
  const int64_t first = global_thread() * kSize;
  float weights[kSize], means[kSize];
  load_present(w, first, n, packed, weights);
  load_present(average, first, n, packed, means);
#pragma unroll
  for (int j = 0; j < kSize; ++j) means[j] = settled(momentum * means[j] + rest * weights[j]).value;
  store_present(average, first, n, packed, means);
  if (overwrites) store_present(w, first, n, packed, means);
}

void sgd_update(const VectorSpec& s, const float* gradient, const double* hyper, float* w, float* velocity,
                const Context& context) {
  if (velocity == nullptr) return update<Sgd>(context, s.n, gradient, hyper, w);
  update<Momentum>(context, s.n, gradient, hyper, w, velocity);
}

void torch_sgd_update(const VectorSpec& s, const float* gradient, const double* hyper, float* w,
                      float* velocity, const Context& context) {
  update<TorchSgd>(context, s.n, gradient, hyper, w, velocity);
}

void adam_update(const VectorSpec& s, const float* gradient, const double* hyper, float* w, float* m,
                 float* v, float* v_hat, const Context& context) {
  if (v_hat == nullptr) return update<Adam<false>>(context, s.n, gradient, hyper, w, m, v);
  update<Adam<true>>(context, s.n, gradient, hyper, w, m, v, v_hat);
}

void rmsprop_update(const VectorSpec& s, const float* gradient, const double* hyper, float* w,
                    float* velocity, float* momentum, float* average_gradient, const Context& context) {
  if (momentum != nullptr && average_gradient != nullptr) {
    update<RmsProp<true, true>>(context, s.n, gradient, hyper, w, velocity, momentum, average_gradient);
  } else if (momentum != nullptr) {
    update<RmsProp<true, false>>(context, s.n, gradient, hyper, w, velocity, momentum);
  } else if (average_gradient != nullptr) {
    update<RmsProp<false, true>>(context, s.n, gradient, hyper, w, velocity, average_gradient);
  } else {
    update<RmsProp<false, false>>(context, s.n, gradient, hyper, w, velocity);
  }
}

void adagrad_update(const VectorSpec& s, const float* gradient, const double* hyper, float* w,
                    float* accumulator, const Context& context) {
  update<Adagrad>(context, s.n, gradient, hyper, w, accumulator);
}

void average_update(const VectorSpec& s, const double* hyper, float* w, float* average,
                    const Context& context) {
  if (s.n == 0) return;
  const int64_t blocks = ceil_div(ceil_div(s.n, Pack<float>::kSize), kUpdateThreads);
  launch(average_kernel, dim3(static_cast<unsigned>(blocks)), dim3(kUpdateThreads), 0, context, hyper, w,
         average, s.n, aligned_for_packs(w, average), context.proceed);
}

}  // namespace

void add_optimizer(KernelTable& table) {
  table.at("sgd_update", DType::f32) = kernel<&sgd_update>();
  table.at("torch_sgd_update", DType::f32) = kernel<&torch_sgd_update>();
  table.at("adam_update", DType::f32) = kernel<&adam_update>();
  table.at("rmsprop_update", DType::f32) = kernel<&rmsprop_update>();
  table.at("adagrad_update", DType::f32) = kernel<&adagrad_update>();
  table.at("average_update", DType::f32) = kernel<&average_update>();
}

}  // namespace fc::cuda
