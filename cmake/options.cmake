option(FUZZ "Build the libFuzzer programs (clang only)" OFF)

# Compiler options that every target of Weir's takes.
add_library(weir_options INTERFACE)
target_include_directories(weir_options INTERFACE ${CMAKE_SOURCE_DIR})
target_compile_definitions(weir_options INTERFACE _GNU_SOURCE)
target_compile_options(weir_options INTERFACE
    -Wall -Wextra -Wshadow -Wconversion -Wstrict-prototypes -Wmissing-prototypes -Wvla -Wundef
    $<$<BOOL:${WERROR}>:-Werror>
    # The determinism contract: a multiply and an add are fused only where the source says fmaf.
    -ffp-contract=off)
if(SANITIZE)
  target_compile_options(weir_options INTERFACE -fsanitize=${SANITIZE} -fno-omit-frame-pointer
      -fno-sanitize-recover=all)
  target_link_options(weir_options INTERFACE -fsanitize=${SANITIZE})
endif()
if(FUZZ)
  # Without it libFuzzer does not see which code an input reaches.
  target_compile_options(weir_options INTERFACE -fsanitize=fuzzer-no-link)
endif()
