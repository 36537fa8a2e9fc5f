"""Functional ops: NumPy arrays in, NumPy arrays out, through the C++ kernels.

Every op ``f`` has a gradient ``f_backward(dy, *arrays, same keywords, needs=...)``. Inputs may be strided or read-only;
results are new arrays (or ``out``). float32 and float64; never mixed silently. CuPy arrays run on their GPU, in float32,
float16 or bfloat16; beside the latter two, parameters per channel and the gradients of weights are float32.
"""

from fastconv.ops.activation import *
from fastconv.ops.activation import __all__ as _activation
from fastconv.ops.activation_more import *
from fastconv.ops.activation_more import __all__ as _activation_more
from fastconv.ops.augment import *
from fastconv.ops.augment import __all__ as _augment
from fastconv.ops.borders import *
from fastconv.ops.borders import __all__ as _borders
from fastconv.ops.cast import *
from fastconv.ops.cast import __all__ as _cast
from fastconv.ops.conv import *
from fastconv.ops.conv import __all__ as _conv
from fastconv.ops.dense import *
from fastconv.ops.dense import __all__ as _dense
from fastconv.ops.depth import *
from fastconv.ops.depth import __all__ as _depth
from fastconv.ops.distribution import *
from fastconv.ops.distribution import __all__ as _distribution
from fastconv.ops.dropout import *
from fastconv.ops.dropout import __all__ as _dropout
from fastconv.ops.elementwise import *
from fastconv.ops.elementwise import __all__ as _elementwise
from fastconv.ops.embedding import *
from fastconv.ops.embedding import __all__ as _embedding
from fastconv.ops.group_norm import *
from fastconv.ops.group_norm import __all__ as _group_norm
from fastconv.ops.loss import *
from fastconv.ops.loss import __all__ as _loss
from fastconv.ops.noise import *
from fastconv.ops.noise import __all__ as _noise
from fastconv.ops.norm import *
from fastconv.ops.norm import __all__ as _norm
from fastconv.ops.penalty import *
from fastconv.ops.penalty import __all__ as _penalty
from fastconv.ops.pool import *
from fastconv.ops.pool import __all__ as _pool
from fastconv.ops.recurrent import *
from fastconv.ops.recurrent import __all__ as _recurrent
from fastconv.ops.resize import *
from fastconv.ops.resize import __all__ as _resize
from fastconv.ops.shaping import *
from fastconv.ops.shaping import __all__ as _shaping
from fastconv.ops.volume import *
from fastconv.ops.volume import __all__ as _volume
from fastconv.ops.warp import *
from fastconv.ops.warp import __all__ as _warp

__all__ = [
    *_activation,
    *_activation_more,
    *_augment,
    *_borders,
    *_cast,
    *_conv,
    *_dense,
    *_depth,
    *_distribution,
    *_dropout,
    *_elementwise,
    *_group_norm,
    *_embedding,
    *_loss,
    *_noise,
    *_norm,
    *_penalty,
    *_pool,
    *_recurrent,
    *_resize,
    *_shaping,
    *_warp,
    *_volume,
]
