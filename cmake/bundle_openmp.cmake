# bundle_openmp.cmake: ships the OpenMP runtime beside the extension, under its own name.
#
# A wheel may rely on few system libraries, and libgomp is not one of them (PEP 600). It cannot be linked statically
# into a shared object, so its file is copied next to the module and found by $ORIGIN. Keeping the plain SONAME lets the
# loader share one runtime, hence one pool of threads, with any other library that has loaded libgomp.so.1 already.

function(fastconv_bundle_openmp target destination)
  if(NOT CMAKE_SYSTEM_NAME STREQUAL "Linux" OR NOT CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
    return()
  endif()
  execute_process(
    COMMAND ${CMAKE_CXX_COMPILER} -print-file-name=libgomp.so.1
    OUTPUT_VARIABLE library OUTPUT_STRIP_TRAILING_WHITESPACE)
  if(NOT EXISTS ${library})
    message(FATAL_ERROR "libgomp.so.1 of ${CMAKE_CXX_COMPILER} was not found (asked the compiler: '${library}')")
  endif()
  file(REAL_PATH ${library} library)
  set_target_properties(${target} PROPERTIES BUILD_RPATH "$ORIGIN" INSTALL_RPATH "$ORIGIN")
  install(PROGRAMS ${library} DESTINATION ${destination} RENAME libgomp.so.1)
endfunction()
