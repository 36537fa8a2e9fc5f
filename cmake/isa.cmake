# isa.cmake: compiles csrc/cpu/kernels once per instruction set, each in a namespace of its own.
#
# Contraction is off so that only explicit fma() fuses, and LTO is off so that no AVX-512 copy of a shared inline
# function can become the one the linker keeps for everybody; tests/test_isa.py checks the objects for such symbols.

include(CheckCXXCompilerFlag)

file(GLOB FASTCONV_KERNEL_SOURCES CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/csrc/cpu/kernels/*.cpp)
list(FILTER FASTCONV_KERNEL_SOURCES EXCLUDE REGEX "/amx_[^/]*$")

# The matrix products alone are compiled for AMX; its other kernels are those of AVX-512 (amx_table.cpp).
file(GLOB FASTCONV_AMX_SOURCES CONFIGURE_DEPENDS
  ${CMAKE_SOURCE_DIR}/csrc/cpu/kernels/amx_*.cpp ${CMAKE_SOURCE_DIR}/csrc/cpu/kernels/conv2d*.cpp
  ${CMAKE_SOURCE_DIR}/csrc/cpu/kernels/dense*.cpp ${CMAKE_SOURCE_DIR}/csrc/cpu/kernels/depthwise*.cpp
  ${CMAKE_SOURCE_DIR}/csrc/cpu/kernels/igemm.cpp
  ${CMAKE_SOURCE_DIR}/csrc/cpu/kernels/lines*.cpp ${CMAKE_SOURCE_DIR}/csrc/cpu/kernels/winograd*.cpp
  ${CMAKE_SOURCE_DIR}/csrc/cpu/kernels/activation.cpp)

option(FASTCONV_BASELINE_ONLY "Compile the kernels for one instruction set: test builds" OFF)

function(fastconv_add_isa isa vector_bytes)
  set(target fastconv_${isa})
  set(sources ${FASTCONV_KERNEL_SOURCES})
  if(isa STREQUAL "amx")
    set(sources ${FASTCONV_AMX_SOURCES})
  endif()
  add_library(${target} OBJECT ${sources})
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
  if(NOT FASTCONV_BASELINE_ONLY AND CMAKE_SYSTEM_PROCESSOR MATCHES "x86_64|AMD64|amd64")
    fastconv_add_isa(avx2 32 -mavx2 -mfma)
    set(avx512_flags -mavx512f -mavx512bw -mavx512dq -mavx512vl -mfma)
    fastconv_add_isa(avx512 64 ${avx512_flags})
    list(APPEND ${objects} $<TARGET_OBJECTS:fastconv_avx2> $<TARGET_OBJECTS:fastconv_avx512>)
    list(APPEND FASTCONV_ISA_DEFINITIONS FASTCONV_HAS_AVX2 FASTCONV_HAS_AVX512)
    set(amx_flags -mavx512bf16 -mamx-tile -mamx-bf16)
    check_cxx_compiler_flag("-mavx512bf16 -mamx-tile -mamx-bf16" FASTCONV_COMPILER_HAS_AMX)
    if(FASTCONV_COMPILER_HAS_AMX AND CMAKE_SYSTEM_NAME STREQUAL "Linux")
      fastconv_add_isa(amx 64 ${avx512_flags} ${amx_flags} -DFC_AMX)
      list(APPEND ${objects} $<TARGET_OBJECTS:fastconv_amx>)
      list(APPEND FASTCONV_ISA_DEFINITIONS FASTCONV_HAS_AMX)
    endif()
  endif()
endmacro()
