# quant/ and its tests for another processor (tests/kernels/aarch64.sh). CMOCKA_ROOT says where a cmocka for
# it lies.
find_path(CMOCKA_INCLUDE cmocka.h PATHS ${CMOCKA_ROOT}/include REQUIRED NO_DEFAULT_PATH)
find_library(CMOCKA_LIBRARY cmocka PATHS ${CMOCKA_ROOT}/lib PATH_SUFFIXES aarch64-linux-gnu REQUIRED
    NO_DEFAULT_PATH)
add_library(PkgConfig::cmocka UNKNOWN IMPORTED)
set_target_properties(PkgConfig::cmocka PROPERTIES IMPORTED_LOCATION ${CMOCKA_LIBRARY}
    INTERFACE_INCLUDE_DIRECTORIES ${CMOCKA_INCLUDE})

add_subdirectory(quant)
# What the tests need of runtime/base.
add_library(base STATIC runtime/base/err.c runtime/base/mem.c runtime/base/rng.c)
target_link_libraries(base PUBLIC weir_options m)

include(tests/weir_test.cmake)
add_subdirectory(tests/kernels)
