// specs.cpp — the spec classes as Python sees them: made from shapes and numbers, they answer shapes and
// costs.
#include <pybind11/stl.h>

#include "bind/bind.h"
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

namespace fc::bind {
namespace {

DType dtype_from(const std::string& name) {
  if (name == "float32") return DType::f32;
  if (name == "float64") return DType::f64;
  if (name == "float16") return DType::f16;
  if (name == "bfloat16") return DType::bf16;
  throw TypeError("dtype must be float32, float64, float16 or bfloat16, got " + name + ".");
}

// A mode by name, or ((top, bottom), (left, right)).
Padding padding_from(const std::string& op, const py::object& value) {
  Padding padding;
  if (!py::isinstance<py::str>(value)) {
    padding.pads = value.cast<std::array<Pair, 2>>();
    return padding;
  }
  const std::string name = value.cast<std::string>();
  if (name == "valid") {
    padding.mode = PaddingMode::valid;
  } else if (name == "same") {
    padding.mode = PaddingMode::same_upper;
  } else if (name == "same_lower") {
    padding.mode = PaddingMode::same_lower;
  } else {
    throw ValueError(
        text_of("[", op,
                "] padding is not known: expected numbers or one of valid, same, same_lower (lower case), "
                "got padding='",
                name, "'. Use one of these."));
  }
  return padding;
}

// (name, alpha, beta)
using ActivationTuple = std::tuple<std::string, double, double>;

Activation activation_from(const std::string& op, const ActivationTuple& t) {
  return {activation_from_name(op, std::get<0>(t)), std::get<1>(t), std::get<2>(t)};
}

template <class Enum>
Enum kind_from(const std::string& name, std::initializer_list<const char*> names) {
  int i = 0;
  for (const char* known : names) {
    if (name == known) return static_cast<Enum>(i);
    ++i;
  }
  throw std::logic_error("unknown kind " + name);
}

template <class S>
std::shared_ptr<S> shared(S spec) {
  return std::make_shared<S>(std::move(spec));
}

void bind_window_specs(py::module_& m) {
  py::class_<Conv2dSpec, Spec, std::shared_ptr<Conv2dSpec>>(m, "Conv2dSpec")
      .def_static(
          "make",
          [](const std::string& dtype, const Shape& x, const Shape& w, const Pair& stride,
             const py::object& padding, const Pair& dilation, int64_t groups,
             const ActivationTuple& activation) {
            return shared(Conv2dSpec::make(dtype_from(dtype), x, w, stride, padding_from("conv2d", padding),
                                           dilation, groups, activation_from("conv2d", activation)));
          })
      .def_static("make_transpose", [](const std::string& dtype, const Shape& x, const Shape& w,
                                       const Pair& stride, const py::object& padding,
                                       const Pair& output_padding, const Pair& dilation, int64_t groups) {
        return shared(Conv2dSpec::make_transpose(dtype_from(dtype), x, w, stride,
                                                 padding_from("conv2d_transpose", padding), output_padding,
                                                 dilation, groups));
      });
  py::class_<Pool2dSpec, Spec, std::shared_ptr<Pool2dSpec>>(m, "Pool2dSpec")
      .def_static("make", [](const std::string& dtype, const std::string& kind, const Shape& x,
                             const Pair& pool_size, const Pair& stride, const py::object& padding,
                             const Pair& dilation, bool ceil_mode, bool count_include_pad) {
        return shared(Pool2dSpec::make(
            dtype_from(dtype), kind_from<PoolKind>(kind, {"max", "min", "avg", "sum"}), x, pool_size, stride,
            padding_from(kind + "_pool2d", padding), dilation, ceil_mode, count_include_pad));
      });
  py::class_<Conv2dPoolSpec, Spec, std::shared_ptr<Conv2dPoolSpec>>(m, "Conv2dPoolSpec")
      .def_static("make", [](const Conv2dSpec& conv) { return shared(Conv2dPoolSpec::make(conv)); });
  py::class_<AugmentSpec, Spec, std::shared_ptr<AugmentSpec>>(m, "AugmentSpec")
      .def_static(
          "make",
          [](const std::string& dtype, const Shape& x, const Pair& size, const std::string& flip,
             bool alternate, const std::array<double, 2>& rows, const std::array<double, 2>& columns,
             bool whole, const std::string& interpolation, const std::string& fill_mode, double fill_value) {
            return shared(AugmentSpec::make(
                dtype_from(dtype), x, size,
                kind_from<FlipKind>(flip, {"none", "horizontal", "vertical", "horizontal_and_vertical"}),
                alternate, rows, columns, whole, interpolation == "bilinear",
                kind_from<FillMode>(fill_mode, {"constant", "nearest", "wrap", "reflect", "mirror"}),
                fill_value));
          });
}

void bind_layout_specs(py::module_& m) {
  py::class_<TransposeSpec, Spec, std::shared_ptr<TransposeSpec>>(m, "TransposeSpec")
      .def_static("make", [](const std::string& dtype, const Shape& x, const Shape& axes) {
        return shared(TransposeSpec::make(dtype_from(dtype), x, axes));
      });
  py::class_<DepthSpec, Spec, std::shared_ptr<DepthSpec>>(m, "DepthSpec")
      .def_static("make", [](const std::string& dtype, const std::string& op, const Shape& x, int64_t taps,
                             int64_t stride, const py::object& padding, int64_t dilation, int64_t groups) {
        return shared(DepthSpec::make(dtype_from(dtype), op, x, taps, stride, padding_from(op, padding),
                                      dilation, groups));
      });
}

void bind_image_specs(py::module_& m) {
  using Range = std::array<double, 2>;
  py::class_<ResampleSpec, Spec, std::shared_ptr<ResampleSpec>>(m, "ResampleSpec")
      .def_static("make", [](const std::string& dtype, const std::string& op, const Shape& x,
                             const Pair& size, const std::string& interpolation, bool antialias,
                             const std::string& coordinates, const std::string& rounding, double a,
                             bool exclude_outside, const Range& scales, bool transposed) {
        return shared(ResampleSpec::make(
            dtype_from(dtype), op, x, size,
            kind_from<Interpolation>(interpolation,
                                     {"nearest", "bilinear", "bicubic", "area", "lanczos3", "lanczos5"}),
            antialias,
            kind_from<Coordinates>(coordinates, {"half_pixel", "asymmetric", "align_corners",
                                                 "pytorch_half_pixel", "half_pixel_symmetric"}),
            kind_from<Rounding>(rounding, {"round_prefer_ceil", "round_prefer_floor", "floor", "ceil"}), a,
            exclude_outside, scales, transposed));
      });
  py::class_<WarpSpec, Spec, std::shared_ptr<WarpSpec>>(m, "WarpSpec")
      .def_static("make",
                  [](const std::string& dtype, const Shape& x, const Range& angle, const Range& zoom_rows,
                     const Range& zoom_columns, bool one_zoom, const Range& shear_x, const Range& shear_y,
                     bool either_way, bool centred, const std::string& interpolation,
                     const std::string& fill_mode, double fill_value) {
                    return shared(WarpSpec::make(
                        dtype_from(dtype), x, angle, zoom_rows, zoom_columns, one_zoom, shear_x, shear_y,
                        either_way, centred, interpolation == "bilinear",
                        kind_from<FillMode>(fill_mode, {"constant", "nearest", "wrap", "reflect", "mirror"}),
                        fill_value));
                  });
  py::class_<AdjustSpec, Spec, std::shared_ptr<AdjustSpec>>(m, "AdjustSpec")
      .def_static("make", [](const std::string& dtype, const Shape& x, const Range& factor,
                             const Range& shift, const Range& limits) {
        return shared(AdjustSpec::make(dtype_from(dtype), x, factor, shift, limits));
      });
}

void bind_matrix_specs(py::module_& m) {
  py::class_<GemmSpec, Spec, std::shared_ptr<GemmSpec>>(m, "GemmSpec")
      .def_static("make_dense", [](const std::string& dtype, const Shape& x, const Shape& w,
                                   const ActivationTuple& activation) {
        return shared(GemmSpec::make_dense(dtype_from(dtype), x, w, activation_from("dense", activation)));
      });
  py::class_<NormSpec, Spec, std::shared_ptr<NormSpec>>(m, "NormSpec")
      .def_static("make", [](const std::string& dtype, const std::string& op, const Shape& x, double epsilon,
                             double momentum, const ActivationTuple& activation, bool centred) {
        return shared(NormSpec::make(dtype_from(dtype), op, x, epsilon, momentum,
                                     activation_from(op, activation), centred));
      });
  py::class_<GroupNormSpec, Spec, std::shared_ptr<GroupNormSpec>>(m, "GroupNormSpec")
      .def_static("make", [](const std::string& dtype, const Shape& x, int64_t groups, double epsilon) {
        return shared(GroupNormSpec::make(dtype_from(dtype), x, groups, epsilon));
      });
  py::class_<LossSpec, Spec, std::shared_ptr<LossSpec>>(m, "LossSpec")
      .def_static("make", [](const std::string& dtype, const std::string& kind, const Shape& target,
                             const Shape& prediction, bool from_logits, double label_smoothing,
                             double delta) {
        const auto k = kind_from<LossKind>(
            kind, {"mean_squared_error", "mean_absolute_error", "huber", "binary_crossentropy",
                   "categorical_crossentropy", "sparse_categorical_crossentropy", "hinge", "kl_divergence",
                   "poisson", "mean_absolute_percentage_error", "mean_squared_logarithmic_error"});
        return shared(
            LossSpec::make(dtype_from(dtype), k, target, prediction, from_logits, label_smoothing, delta));
      });
}

void bind_sequence_specs(py::module_& m) {
  py::class_<RnnSpec, Spec, std::shared_ptr<RnnSpec>>(m, "RnnSpec")
      .def_static("make", [](const std::string& dtype, const std::string& kind, const Shape& p,
                             const Shape& recurrent, const ActivationTuple& activation,
                             const ActivationTuple& gate_activation, bool reverse, bool aligned) {
        return shared(RnnSpec::make(dtype_from(dtype),
                                    kind_from<RnnKind>(kind, {"simple_rnn", "lstm", "gru", "gru_before"}), p,
                                    recurrent, activation_from(kind, activation),
                                    activation_from(kind, gate_activation), reverse, aligned));
      });
  py::class_<EmbeddingSpec, Spec, std::shared_ptr<EmbeddingSpec>>(m, "EmbeddingSpec")
      .def_static("make", [](const std::string& dtype, const Shape& ids, const Shape& table) {
        return shared(EmbeddingSpec::make(dtype_from(dtype), ids, table));
      });
}

void bind_elementwise_specs(py::module_& m) {
  py::class_<VectorSpec, Spec, std::shared_ptr<VectorSpec>>(m, "VectorSpec")
      .def_static("make", [](const std::string& dtype, const std::string& op, const Shape& extents) {
        return shared(VectorSpec::make(dtype_from(dtype), op, extents));
      });
  py::class_<ActivationSpec, VectorSpec, std::shared_ptr<ActivationSpec>>(m, "ActivationSpec")
      .def_static(
          "make", [](const std::string& dtype, const Shape& extents, const ActivationTuple& activation) {
            return shared(
                ActivationSpec::make(dtype_from(dtype), extents, activation_from("activation", activation)));
          });
  py::class_<DropoutSpec, VectorSpec, std::shared_ptr<DropoutSpec>>(m, "DropoutSpec")
      .def_static("make", [](const std::string& dtype, const Shape& extents, double rate) {
        return shared(DropoutSpec::make(dtype_from(dtype), extents, rate));
      });
  py::class_<NoiseSpec, VectorSpec, std::shared_ptr<NoiseSpec>>(m, "NoiseSpec")
      .def_static("make", [](const std::string& dtype, const Shape& extents, double stddev, bool multiply) {
        return shared(NoiseSpec::make(dtype_from(dtype), extents, stddev, multiply));
      });
  py::class_<FillSpec, VectorSpec, std::shared_ptr<FillSpec>>(m, "FillSpec")
      .def_static("make", [](const std::string& dtype, const Shape& extents, double value) {
        return shared(FillSpec::make(dtype_from(dtype), extents, value));
      });
  py::class_<PenaltySpec, VectorSpec, std::shared_ptr<PenaltySpec>>(m, "PenaltySpec")
      .def_static("make", [](const std::string& dtype, const Shape& extents, double l1, double l2) {
        return shared(PenaltySpec::make(dtype_from(dtype), extents, l1, l2));
      });
  py::class_<FactoredSpec, VectorSpec, std::shared_ptr<FactoredSpec>>(m, "FactoredSpec")
      .def_static("make", [](const std::string& dtype, const Shape& extents, const Shape& variable) {
        return shared(FactoredSpec::make(dtype_from(dtype), extents, variable));
      });
  py::class_<NormConstraintSpec, VectorSpec, std::shared_ptr<NormConstraintSpec>>(m, "NormConstraintSpec")
      .def_static("make", [](const std::string& dtype, const Shape& extents, const Shape& axes, double least,
                             double most, double rate) {
        return shared(NormConstraintSpec::make(dtype_from(dtype), extents, axes, least, most, rate));
      });
  py::class_<CastSpec, VectorSpec, std::shared_ptr<CastSpec>>(m, "CastSpec")
      .def_static("make", [](const std::string& dtype, const std::string& to, const Shape& extents) {
        return shared(CastSpec::make(dtype_from(dtype), dtype_from(to), extents));
      });
  py::class_<PreluSpec, Spec, std::shared_ptr<PreluSpec>>(m, "PreluSpec")
      .def_static("make", [](const std::string& dtype, const Shape& x, const Shape& alpha) {
        return shared(PreluSpec::make(dtype_from(dtype), x, alpha));
      });
  py::class_<BinarySpec, Spec, std::shared_ptr<BinarySpec>>(m, "BinarySpec")
      .def_static(
          "make", [](const std::string& dtype, const std::string& kind, const Shape& a, const Shape& b) {
            return shared(BinarySpec::make(
                dtype_from(dtype),
                kind_from<BinaryKind>(kind, {"add", "subtract", "multiply", "maximum", "minimum", "divide"}),
                a, b));
          });
  py::class_<BoxSpec, Spec, std::shared_ptr<BoxSpec>>(m, "BoxSpec")
      .def_static("make", [](const std::string& dtype, const std::string& op, const Shape& x, const Shape& y,
                             const Shape& x_start, const Shape& y_start, const Shape& extent) {
        return shared(BoxSpec::make(dtype_from(dtype), op, x, y, x_start, y_start, extent));
      });
}

}  // namespace

void bind_specs(py::module_& m) {
  py::class_<Spec, std::shared_ptr<Spec>>(m, "Spec",
                                          "A validated problem: shapes of its tensors, cost, text form.")
      .def(
          "shape", [](const Spec& s, const std::string& name) { return py::tuple(py::cast(s.shape(name))); },
          py::arg("name"), "Shape of the tensor called `name`.")
      .def("flops", &Spec::flops, py::arg("kernel"), "Floating-point operations of one run of `kernel`.")
      .def_property_readonly("dtype", [](const Spec& s) { return name_of(s.dtype); })
      .def("__str__", &Spec::text);
  bind_window_specs(m);
  bind_layout_specs(m);
  bind_image_specs(m);
  bind_matrix_specs(m);
  bind_sequence_specs(m);
  bind_elementwise_specs(m);
}

}  // namespace fc::bind
