# bundle_openmp.cmake: a private copy of the OpenMP runtime beside the extension.
#
# A wheel may rely on few system libraries, and libgomp is not one of them (PEP 600); it cannot be linked statically into
# a shared object either. So its file is copied next to the module and found by $ORIGIN, as auditwheel would do. The copy
# has a SONAME of its own, because our threads sleep while they wait (see python/fastconv/_runtime.py), and another
# library that shares the process must not find its own threads doing the same.

set(FASTCONV_OPENMP_SONAME libgompfc.so)  # as long as libgomp.so.1: the name is replaced in place

function(fastconv_link_openmp target destination)
  if(NOT CMAKE_SYSTEM_NAME STREQUAL "Linux" OR NOT CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
    target_link_libraries(${target} PRIVATE OpenMP::OpenMP_CXX)
    return()
  endif()
  execute_process(
    COMMAND ${CMAKE_CXX_COMPILER} -print-file-name=libgomp.so.1
    OUTPUT_VARIABLE library OUTPUT_STRIP_TRAILING_WHITESPACE)
  if(NOT EXISTS ${library})
    message(FATAL_ERROR "libgomp.so.1 of ${CMAKE_CXX_COMPILER} was not found (asked the compiler: '${library}')")
  endif()
  set(copy ${CMAKE_BINARY_DIR}/${FASTCONV_OPENMP_SONAME})
  execute_process(
    COMMAND ${Python_EXECUTABLE} -c
      "import sys; data = open(sys.argv[1], 'rb').read(); old, new = (s.encode() + b'\\0' for s in ('libgomp.so.1', sys.argv[3])); assert len(old) == len(new) and data.count(old); open(sys.argv[2], 'wb').write(data.replace(old, new))"
      ${library} ${copy} ${FASTCONV_OPENMP_SONAME}
    COMMAND_ERROR_IS_FATAL ANY)
  target_link_libraries(${target} PRIVATE ${copy})
  set_target_properties(${target} PROPERTIES BUILD_RPATH "$ORIGIN" INSTALL_RPATH "$ORIGIN")
  install(PROGRAMS ${copy} DESTINATION ${destination})
endfunction()
