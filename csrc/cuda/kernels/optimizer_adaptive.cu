// optimizer_adaptive.cu — one update of a weight by its gradient: further rules of Keras 3.
//
// Math       every rule first decays, w = w − w·weight_decay·η, η = learning_rate; t = step, counted from 1
//   adadelta a = ρ·a + (1−ρ)g²      δ = −√(d + ε)·g/√(a + ε)      d = ρ·d + (1−ρ)δ²      w = w + η·δ
//   adamax   m = m + (g − m)(1−β₁)      u = max(β₂·u, |g|)      w = w − η·m/((1−β₁ᵗ)(u + ε))
//   nadam    m, v as adam's      μ(t) = β₁(1 − 0.96ᵗ/2)      P = Π μ(1…t)
//            m̂ = μ(t+1)·m/(1 − P·μ(t+1)) + (1−μ(t))g/(1−P)      w = w − η·m̂/(√(v/(1−β₂ᵗ)) + ε)
//   lion     w = w − η·sign(β₁·m + (1−β₁)g)      m = β₂·m + (1−β₂)g
//   schedule_free  v as adam's      z' = z − η·g/(√(v/(1−β₂ᵗ)) + ε)      x = (w − (1−β₁)z)/β₁
//            x' = x + (z' − x)/t      w = (1−β₁)z' + β₁·x'      z begins as w; here decay is of its own
//   ftrl     a' = a + g²      z = z + g + 2·shrinkage·w − (a'ᵖ − aᵖ)·w/η      a = a'
//            w = (clip(z, −l1, l1) − z)/(a'ᵖ/η + 2·l2)
// Hyper      double[8], read on the device:  adadelta {η, ρ, ε, weight_decay}
//            adamax {η, β₁, β₂, ε, weight_decay, t}   nadam {η, β₁, β₂, ε, weight_decay, t, P}
//            lion {η, β₁, β₂, weight_decay}   ftrl {η, p, l1, l2, shrinkage, weight_decay}
//            schedule_free {η, β₁, β₂, ε, decay, t}
//            hyper[7]: not 0 where the step only gathers gradients, and updates nothing
// Shapes     everything else (n), float32: gradients and weights are
// Grid/Block update.cuh
// Numerics   as csrc/cpu/kernels/optimizer_adaptive.cpp, operation by operation (rounded.cuh); powers but the
//            square root in float64. What vanishes becomes 0: update.cuh
// Workspace  none
// Edges      a refused step writes nothing; lion: sign(0) is 0, NaN stays NaN
// Source     Zeiler, 2012; Kingma, Ba, 2015, section 7.1; Dozat, 2016; Chen et al., 2023, Lion; McMahan et
//            al., 2013, Ftrl-proximal; Defazio et al., 2024, The road less scheduled; Keras 3,
//            keras/src/optimizers
#include "core/elementwise_spec.h"
#include "cuda/device/update.cuh"
#include "cuda/table.h"

namespace fc::cuda {
namespace {

struct Adadelta {
  Rounded rate, rho, rest, epsilon, decay;
  __device__ void prepare(const double* hyper) {
    rate = rounded(hyper[0]);
    rho = rounded(hyper[1]);
    rest = rounded(1 - hyper[1]);
    epsilon = rounded(hyper[2]);
    decay = rounded(hyper[3] * hyper[0]);
  }
  __device__ void operator()(Rounded g, Rounded (&s)[3]) const {
    s[1] = settled(rho * s[1] + rest * squared(g));
    const Rounded step = square_root(s[2] + epsilon) * g / square_root(s[1] + epsilon);
    s[2] = settled(rho * s[2] + rest * squared(step));
    s[0] = s[0] - s[0] * decay - rate * step;
  }
};

struct Adamax {
  Rounded rate, rest, beta_2, epsilon, decay, bias;
  __device__ void prepare(const double* hyper) {
    rate = rounded(hyper[0]);
    rest = rounded(1 - hyper[1]);
    beta_2 = rounded(hyper[2]);
    epsilon = rounded(hyper[3]);
    decay = rounded(hyper[4] * hyper[0]);
    bias = rounded(1 - pow(hyper[1], hyper[5]));
  }
  __device__ void operator()(Rounded g, Rounded (&s)[3]) const {
    s[1] = settled(s[1] + (g - s[1]) * rest);
    const float faded = settled(beta_2 * s[2]).value, size = fabsf(g.value);
    s[2] = size <= faded || faded != faded ? faded : size;
    s[0] = s[0] - s[0] * decay - rate * s[1] / (bias * (s[2] + epsilon));
  }
};

struct Nadam {
  Rounded of_m, of_g, of_v, rest_1, rest_2, rate, epsilon, decay;
  __device__ void prepare(const double* hyper) {
    const double beta_1 = hyper[1], step = hyper[5], product = hyper[6];
    const double now = beta_1 * (1 - 0.5 * pow(0.96, step)), next = beta_1 * (1 - 0.5 * pow(0.96, step + 1));
    of_m = rounded(next / (1 - product * next));
    of_g = rounded((1 - now) / (1 - product));
    of_v = rounded(1 / (1 - pow(hyper[2], step)));
    rest_1 = rounded(1 - beta_1);
    rest_2 = rounded(1 - hyper[2]);
    rate = rounded(hyper[0]);
    epsilon = rounded(hyper[3]);
    decay = rounded(hyper[4] * hyper[0]);
  }
  __device__ void operator()(Rounded g, Rounded (&s)[3]) const {
    s[1] = settled(s[1] + (g - s[1]) * rest_1);
    s[2] = settled(s[2] + (squared(g) - s[2]) * rest_2);
    s[0] = s[0] - s[0] * decay - (of_m * s[1] + of_g * g) * rate / (square_root(s[2] * of_v) + epsilon);
  }
};

struct Lion {
  Rounded rate, beta_1, rest_1, beta_2, rest_2, decay;
  __device__ void prepare(const double* hyper) {
    rate = rounded(hyper[0]);
    beta_1 = rounded(hyper[1]);
    rest_1 = rounded(1 - hyper[1]);
    beta_2 = rounded(hyper[2]);
    rest_2 = rounded(1 - hyper[2]);
    decay = rounded(hyper[3] * hyper[0]);
  }
  __device__ void operator()(Rounded g, Rounded (&s)[2]) const {
    const float mixed = (s[1] * beta_1 + g * rest_1).value;
    const Rounded step = mixed > 0 ? rate.value : mixed < 0 ? -rate.value : mixed;
    s[0] = s[0] - s[0] * decay - step;
    s[1] = settled(s[1] * beta_2 + g * rest_2);
  }
};

struct ScheduleFree {
  Rounded rate, beta_1, rest_1, rest_2, epsilon, decay, bias, share, others;
  __device__ void prepare(const double* hyper) {
    rate = rounded(hyper[0]);
    beta_1 = rounded(hyper[1]);
    rest_1 = rounded(1 - hyper[1]);
    rest_2 = rounded(1 - hyper[2]);
    epsilon = rounded(hyper[3]);
    decay = rounded(hyper[4]);
    bias = rounded(1 - pow(hyper[2], hyper[5]));
    share = rounded(1 / hyper[5]);
    others = rounded(1 - 1 / hyper[5]);
  }
  __device__ void operator()(Rounded g, Rounded (&s)[3]) const {
    const Rounded z = s[1];
    s[2] = settled(s[2] + (squared(g) - s[2]) * rest_2);
    s[1] = z - rate * g / (square_root(s[2] / bias) + epsilon);
    const Rounded mean = (s[0] - s[0] * decay - rest_1 * z) / beta_1;
    s[0] = rest_1 * s[1] + beta_1 * (others * mean + share * s[1]);
  }
};

struct Ftrl {
  double power;
  float l1;
  Rounded rate, l2, shrinkage, decay;
  __device__ void prepare(const double* hyper) {
    rate = rounded(hyper[0]);
    power = hyper[1];
    l1 = static_cast<float>(hyper[2]);
    l2 = rounded(2 * hyper[3]);
    shrinkage = rounded(2 * hyper[4]);
    decay = rounded(hyper[5] * hyper[0]);
  }
  // x to a power between 0 and 1, the square root nearly always.
  __device__ Rounded raised(Rounded x) const {
    if (power == 0.5) return square_root(x);
    return static_cast<float>(pow(static_cast<double>(x.value), power));
  }
  __device__ void operator()(Rounded g, Rounded (&s)[3]) const {
    const Rounded weight = s[0] - s[0] * decay, total = s[1] + squared(g), root = raised(total);
    const Rounded z = s[2] + (g + shrinkage * weight - (root - raised(s[1])) / rate * weight);
    const Rounded clipped = z.value < -l1 ? -l1 : z.value > l1 ? l1 : z.value;
    s[0] = (clipped - z) / (root / rate + l2);
    s[1] = total;
    s[2] = z;
  }
};

void adadelta_update(const VectorSpec& s, const float* gradient, const double* hyper, float* w,
                     float* squares, float* deltas, const Context& context) {
  update<Adadelta>(context, s.n, gradient, hyper, w, squares, deltas);
}

void adamax_update(const VectorSpec& s, const float* gradient, const double* hyper, float* w, float* m,
                   float* u, const Context& context) {
  update<Adamax>(context, s.n, gradient, hyper, w, m, u);
}

void nadam_update(const VectorSpec& s, const float* gradient, const double* hyper, float* w, float* m,
                  float* v, const Context& context) {
  update<Nadam>(context, s.n, gradient, hyper, w, m, v);
}

void lion_update(const VectorSpec& s, const float* gradient, const double* hyper, float* w, float* momentum,
                 const Context& context) {
  update<Lion>(context, s.n, gradient, hyper, w, momentum);
}

void ftrl_update(const VectorSpec& s, const float* gradient, const double* hyper, float* w,
                 float* accumulator, float* linear, const Context& context) {
  update<Ftrl>(context, s.n, gradient, hyper, w, accumulator, linear);
}

void schedule_free_update(const VectorSpec& s, const float* gradient, const double* hyper, float* w,
                          float* momentum, float* velocity, const Context& context) {
  update<ScheduleFree>(context, s.n, gradient, hyper, w, momentum, velocity);
}

}  // namespace

void add_optimizer_adaptive(KernelTable& table) {
  table.at("adadelta_update", DType::f32) = kernel<&adadelta_update>();
  table.at("adamax_update", DType::f32) = kernel<&adamax_update>();
  table.at("nadam_update", DType::f32) = kernel<&nadam_update>();
  table.at("lion_update", DType::f32) = kernel<&lion_update>();
  table.at("ftrl_update", DType::f32) = kernel<&ftrl_update>();
  table.at("schedule_free_update", DType::f32) = kernel<&schedule_free_update>();
}

}  // namespace fc::cuda
