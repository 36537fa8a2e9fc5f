# isa.cmake: compiles csrc/cpu/kernels once per instruction set, each in a namespace of its own.
#
# Contraction is off so that only explicit fma() fuses, and LTO is off so that no AVX-512 copy of a shared inline
# function can become the one the linker keeps for everybody; tests/test_isa.py checks the objects for such symbols.

file(GLOB FASTCONV_KERNEL_SOURCES CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/csrc/cpu/kernels/*.cpp)

function(fastconv_add_isa isa vector_bytes)
  set(target fastconv_${isa})
  add_library(${target} OBJECT ${FASTCONV_KERNEL_SOURCES})
  target_include_directories(${target} PRIVATE ${CMAKE_SOURCE_DIR}/csrc)
  target_compile_definitions(${target} PRIVATE FC_ISA=${isa} FC_VECTOR_BYTES=${vector_bytes})
  target_compile_options(${target} PRIVATE -O3 -ffp-contract=off -fno-lto -fno-trapping-math ${ARGN})
  fastconv_flags(${target})
endfunction()

# Sets `objects` to the object files of every ISA this processor family has, and FASTCONV_ISA_DEFINITIONS to match.
macro(fastconv_add_isas objects)
  fastconv_add_isa(baseline 16)
  set(${objects} $<TARGET_OBJECTS:fastconv_baseline>)
  set(FASTCONV_ISA_DEFINITIONS FASTCONV_HAS_BASELINE)
  if(CMAKE_SYSTEM_PROCESSOR MATCHES "x86_64|AMD64|amd64")
    fastconv_add_isa(avx2 32 -mavx2 -mfma)
    fastconv_add_isa(avx512 64 -mavx512f -mavx512bw -mavx512dq -mavx512vl -mfma)
    list(APPEND ${objects} $<TARGET_OBJECTS:fastconv_avx2> $<TARGET_OBJECTS:fastconv_avx512>)
    list(APPEND FASTCONV_ISA_DEFINITIONS FASTCONV_HAS_AVX2 FASTCONV_HAS_AVX512)
  endif()
endmacro()
