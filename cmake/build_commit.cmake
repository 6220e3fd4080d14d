# Writes which commit a build is of, as a C string: cmake -DSOURCE=folder -DOUT=file.c -P build_commit.cmake
# Run at each build; the file changes only where the commit does. COMMIT, if given, is taken as it is: a
# package is built where there is no git.
if(NOT COMMIT)
  find_program(git git)
  if(git)
    set(ENV{GIT_OPTIONAL_LOCKS} 0) # others may be using the index
    execute_process(COMMAND ${git} describe --always --dirty --exclude=* --abbrev=12
        WORKING_DIRECTORY ${SOURCE} OUTPUT_VARIABLE COMMIT OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET)
  endif()
  if(NOT COMMIT)
    set(COMMIT "no commit known")
  endif()
endif()
set(text "#include \"runtime/cli/build_info.h\"\n\nconst char build_commit[] = \"${COMMIT}\";\n")
if(EXISTS ${OUT})
  file(READ ${OUT} old)
endif()
if(NOT "${text}" STREQUAL "${old}")
  file(WRITE ${OUT} "${text}")
endif()
