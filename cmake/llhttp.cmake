# llhttp, the HTTP/1 parser: the system's library where there is one, else compiled from the C sources
# that Debian's node-llhttp ships. Both offer the target weir_llhttp.
#
# LLHTTP_STRICT_MODE changes what 8.x accepts around line ends and connection reuse; the library and
# whoever includes its header must see the same value, so it is part of the interface. From 9.0 on
# strict is the only mode and the definition has no effect.
add_library(weir_llhttp INTERFACE)
pkg_check_modules(llhttp QUIET IMPORTED_TARGET libllhttp>=8.1)
if(llhttp_FOUND)
  target_link_libraries(weir_llhttp INTERFACE PkgConfig::llhttp)
else()
  find_path(LLHTTP_SOURCE_DIR llhttp.c PATHS /usr/share/llhttp REQUIRED NO_DEFAULT_PATH)
  find_path(LLHTTP_INCLUDE_DIR llhttp.h PATHS /usr/share/include/llhttp REQUIRED NO_DEFAULT_PATH)
  add_library(llhttp_debian STATIC ${LLHTTP_SOURCE_DIR}/api.c ${LLHTTP_SOURCE_DIR}/http.c
      ${LLHTTP_SOURCE_DIR}/llhttp.c)
  target_include_directories(llhttp_debian SYSTEM PUBLIC ${LLHTTP_INCLUDE_DIR})
  target_compile_definitions(llhttp_debian PUBLIC LLHTTP_STRICT_MODE=1)
  target_compile_options(llhttp_debian PRIVATE -w)
  target_link_libraries(weir_llhttp INTERFACE llhttp_debian)
endif()
