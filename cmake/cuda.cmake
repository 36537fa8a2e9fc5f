# cuda.cmake: the module fastconv._cuda, built where nvcc is found. tests/native/cuda_emulation compiles the same .cu
# files with the host's compiler, for tests on machines without a GPU.

set(FASTCONV_CUDA AUTO CACHE STRING "Build the CUDA module: AUTO (where nvcc is found), ON or OFF")
set_property(CACHE FASTCONV_CUDA PROPERTY STRINGS AUTO ON OFF)

# By default the machine's own GPU; where there is none, machine code for sm_80 and PTX for all that came later.
function(fastconv_cuda_architectures)
  if(DEFINED CMAKE_CUDA_ARCHITECTURES)
    return()
  endif()
  execute_process(COMMAND nvidia-smi -L RESULT_VARIABLE no_gpu OUTPUT_QUIET ERROR_QUIET)
  if(no_gpu)
    set(CMAKE_CUDA_ARCHITECTURES 80 PARENT_SCOPE)
  else()
    set(CMAKE_CUDA_ARCHITECTURES native PARENT_SCOPE)
  endif()
endfunction()

macro(fastconv_find_nvcc)
  include(CheckLanguage)
  if(CMAKE_VERSION VERSION_LESS 3.26)
    message(STATUS "The CUDA module is left out: CMake ${CMAKE_VERSION} does not know C++20 in CUDA, 3.26 does.")
  else()
    check_language(CUDA)
  endif()
  if(CMAKE_CUDA_COMPILER)
    fastconv_cuda_architectures()
    set(CMAKE_CUDA_STANDARD 20)
    set(CMAKE_CUDA_STANDARD_REQUIRED ON)
    set(CMAKE_CUDA_RUNTIME_LIBRARY Static)  # no clash with another library's, and nothing to find at run time
    enable_language(CUDA)
  elseif(FASTCONV_CUDA STREQUAL "ON")
    message(FATAL_ERROR "FASTCONV_CUDA=ON needs CMake 3.26 and nvcc: put it on PATH or set CUDACXX, or use FASTCONV_CUDA=OFF.")
  endif()
endmacro()

macro(fastconv_add_cuda)
  if(NOT FASTCONV_CUDA STREQUAL "OFF")
    fastconv_find_nvcc()
  endif()
  if(CMAKE_CUDA_COMPILER AND NOT FASTCONV_CUDA STREQUAL "OFF")
    file(GLOB FASTCONV_CUDA_SOURCES CONFIGURE_DEPENDS csrc/cuda/*.cu csrc/cuda/kernels/*.cu)
    pybind11_add_module(_cuda MODULE NO_EXTRAS
      csrc/bind/cuda_module.cpp csrc/bind/device_tensors.cpp
      ${FASTCONV_CUDA_SOURCES} $<TARGET_OBJECTS:fastconv_core>)
    target_include_directories(_cuda PRIVATE csrc)
    set(compress -Xfatbin=-compress-all)
    if(CMAKE_CUDA_COMPILER_VERSION VERSION_GREATER_EQUAL 12.8)
      set(compress --compress-mode=size)
    endif()
    target_compile_options(_cuda PRIVATE
      $<$<COMPILE_LANGUAGE:CUDA>:--expt-relaxed-constexpr ${compress} -Xcompiler=-Wall>
      $<$<COMPILE_LANGUAGE:CXX>:-Wall -Wextra>)
    if(FASTCONV_WERROR)
      target_compile_options(_cuda PRIVATE
        $<$<COMPILE_LANGUAGE:CUDA>:-Werror=all-warnings> $<$<COMPILE_LANGUAGE:CXX>:-Werror>)
    endif()
    install(TARGETS _cuda DESTINATION fastconv)
  endif()
endmacro()
