# flags.cmake: compiler flags that every target of ours shares.

function(fastconv_flags target)
  # Never -ffast-math: it would flush the whole process's subnormals to zero and break NaN handling.
  target_compile_options(${target} PRIVATE -Wall -Wextra -fno-math-errno)
  if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
    # False alarms: on std::string (GCC bug 105651), in GCC's own AVX-512 headers (bug 105593).
    target_compile_options(${target} PRIVATE -Wno-restrict -Wno-maybe-uninitialized)
  endif()
  if(FASTCONV_WERROR)
    target_compile_options(${target} PRIVATE -Werror)
  endif()
  if(FASTCONV_SANITIZE)
    target_compile_options(${target} PRIVATE -O1 -g -fno-omit-frame-pointer
      -fsanitize=${FASTCONV_SANITIZE} -fno-sanitize-recover=all)
    get_target_property(type ${target} TYPE)
    if(NOT type STREQUAL "OBJECT_LIBRARY")
      target_link_options(${target} PRIVATE -fsanitize=${FASTCONV_SANITIZE})
    endif()
  endif()
endfunction()
