# CMake toolchain file: `zig c++` (PyPI's ziglang) for PSEUDOFEED_ZIG_TARGET, e.g. x86_64-linux-gnu.2.28 or aarch64-macos.
#
#   cmake --toolchain wheels/zig.cmake -DPSEUDOFEED_ZIG=.../ziglang/zig -DPSEUDOFEED_ZIG_TARGET=aarch64-macos ...
#
# PSEUDOFEED_ZIG_COMPILE_ONLY=ON: nothing is linked, not even to identify the compiler. That saves building libc++ for the
# target, which takes minutes; only static libraries can be built then.
set(CMAKE_TRY_COMPILE_PLATFORM_VARIABLES PSEUDOFEED_ZIG PSEUDOFEED_ZIG_TARGET PSEUDOFEED_ZIG_COMPILE_ONLY)

string(REGEX MATCH "^([^-]+)-([^-]+)" _ "${PSEUDOFEED_ZIG_TARGET}")
set(target_processor "${CMAKE_MATCH_1}")
set(target_system Linux)
if(CMAKE_MATCH_2 STREQUAL "macos")
  set(target_system Darwin)
endif()
# Setting the system's name declares a cross build, where programs built here are not run.
if(NOT "${target_system} ${target_processor}" STREQUAL "${CMAKE_HOST_SYSTEM_NAME} ${CMAKE_HOST_SYSTEM_PROCESSOR}")
  set(CMAKE_SYSTEM_NAME ${target_system})
  set(CMAKE_SYSTEM_PROCESSOR ${target_processor})
endif()

set(CMAKE_CXX_COMPILER "${PSEUDOFEED_ZIG}" c++ -target "${PSEUDOFEED_ZIG_TARGET}")
# CMake's AR is one program, and zig's is `zig ar`.
set(CMAKE_CXX_ARCHIVE_CREATE "\"${PSEUDOFEED_ZIG}\" ar qc <TARGET> <OBJECTS>")
set(CMAKE_CXX_ARCHIVE_FINISH "\"${PSEUDOFEED_ZIG}\" ranlib <TARGET>")
# Without it zig adds the undefined-behaviour sanitizer to what is not optimised.
set(CMAKE_CXX_FLAGS_INIT "-fno-sanitize=undefined")
# LLVM 18 to 20 split 512-bit registers off AVX-512, and zig leaves them out of its -mavx512f.
execute_process(COMMAND "${PSEUDOFEED_ZIG}" version OUTPUT_VARIABLE zig_version COMMAND_ERROR_IS_FATAL ANY)
if(target_processor STREQUAL "x86_64" AND zig_version VERSION_LESS 0.16)
  string(APPEND CMAKE_CXX_FLAGS_INIT " -mevex512")
endif()

if(PSEUDOFEED_ZIG_COMPILE_ONLY)
  # What CMake would find out by linking a program.
  set(CMAKE_TRY_COMPILE_TARGET_TYPE STATIC_LIBRARY)
  set(CMAKE_CXX_COMPILER_ID_RUN TRUE)
  set(CMAKE_CXX_COMPILER_ID Clang)
  set(CMAKE_CXX_COMPILER_VERSION 18)  # at least
  set(CMAKE_CXX_STANDARD_COMPUTED_DEFAULT 17)
  set(CMAKE_CXX_EXTENSIONS_COMPUTED_DEFAULT ON)
  set(CMAKE_CXX_COMPILER_WORKS TRUE)
  set(CMAKE_CXX_ABI_COMPILED TRUE)
  set(CMAKE_SIZEOF_VOID_P 8)
endif()
