# Libraries that Weir stands on, each for its own field. All are Debian packages (see ./test).
set(THREADS_PREFER_PTHREAD_FLAG ON)
find_package(Threads REQUIRED)
find_package(PkgConfig REQUIRED)
find_package(OpenSSL REQUIRED)
pkg_check_modules(uv REQUIRED IMPORTED_TARGET libuv>=1.44)
pkg_check_modules(cjson REQUIRED IMPORTED_TARGET libcjson)
pkg_check_modules(pcre2 REQUIRED IMPORTED_TARGET libpcre2-8)
pkg_check_modules(curl REQUIRED IMPORTED_TARGET libcurl)
# STRICT tables
pkg_check_modules(sqlite3 REQUIRED IMPORTED_TARGET sqlite3>=3.37)
pkg_check_modules(utf8proc REQUIRED IMPORTED_TARGET libutf8proc)

# Training only; without it `weir train` says that it was left out.
pkg_check_modules(openblas IMPORTED_TARGET openblas)
if(NOT openblas_FOUND)
  message(STATUS "OpenBLAS not found: `weir train` is left out")
endif()

# The filter "script" only; without it the filter says what to install. Distributions name the
# module in different ways.
pkg_search_module(lua IMPORTED_TARGET lua5.4 lua-5.4 lua54)
if(NOT lua_FOUND)
  message(STATUS "Lua 5.4 not found: the filter \"script\" is left out")
endif()

# Lines of `weir chat` are edited and kept; without it they are read as the terminal gives them.
pkg_check_modules(libedit IMPORTED_TARGET libedit)
if(NOT libedit_FOUND)
  message(STATUS "libedit not found: `weir chat` has no line editing and no history")
endif()

# Sharing a model out among processes only; without it `weir` says so when it is one of several.
find_package(MPI COMPONENTS C)
if(NOT MPI_C_FOUND)
  message(STATUS "MPI not found: models cannot be shared out among processes (ranks)")
endif()

if(BUILD_TESTING)
  pkg_check_modules(cmocka REQUIRED IMPORTED_TARGET cmocka)
endif()
