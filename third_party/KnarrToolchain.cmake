# Compiler launchers, linker, warnings and sanitizers: everything about how, nothing about what.
find_program(KNARR_CCACHE ccache)
if(KNARR_CCACHE)
  # The precompiled header makes ccache look at more than the text; these are the options its manual asks for.
  set(launcher ${CMAKE_COMMAND} -E env CCACHE_SLOPPINESS=pch_defines,time_macros,include_file_mtime,include_file_ctime
      CCACHE_BASEDIR=${CMAKE_SOURCE_DIR} CCACHE_NOHASHDIR=1 ${KNARR_CCACHE})
  set(CMAKE_C_COMPILER_LAUNCHER ${launcher})
  set(CMAKE_CXX_COMPILER_LAUNCHER ${launcher})
endif()
find_program(KNARR_MOLD mold)
if(KNARR_MOLD)
  add_link_options(-fuse-ld=mold)
endif()

add_compile_options(-Wall -Wextra -Wpedantic -Wno-unused-parameter -Wno-missing-field-initializers -fno-omit-frame-pointer
                    $<$<COMPILE_LANGUAGE:CXX>:-Wnon-virtual-dtor>)
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
  add_compile_options($<$<COMPILE_LANGUAGE:CXX>:-fpch-preprocess>)
elseif(CMAKE_CXX_COMPILER_ID MATCHES "Clang")
  # RapidJSON 1.1 compares its iterators with operators that C++20 may also read the other way round.
  add_compile_options($<$<COMPILE_LANGUAGE:CXX>:-Wthread-safety> $<$<COMPILE_LANGUAGE:CXX>:-Werror=thread-safety> $<$<COMPILE_LANGUAGE:CXX>:-Wno-ambiguous-reversed-operator>)
  # The time of the precompiled header is no part of it, so that ccache knows it again.
  add_compile_options("$<$<COMPILE_LANGUAGE:CXX>:SHELL:-Xclang -fno-pch-timestamp>")
endif()
add_compile_definitions(_GNU_SOURCE _FILE_OFFSET_BITS=64)

if(KNARR_SANITIZE)
  add_compile_options(-fsanitize=${KNARR_SANITIZE} -fno-sanitize-recover=all)
  add_link_options(-fsanitize=${KNARR_SANITIZE})
  if(CMAKE_CXX_COMPILER_ID MATCHES "Clang" AND KNARR_SANITIZE MATCHES "undefined")
    add_compile_options(-fno-sanitize=pointer-overflow)  # RapidJSON 1.1 adds to null when its stack is empty
  endif()
endif()
if(KNARR_STATIC)
  set(CMAKE_FIND_LIBRARY_SUFFIXES .a)
  set(OPENSSL_USE_STATIC_LIBS ON)
  add_link_options(-static)
  set(KNARR_FMT fmt::fmt-header-only)  # Debian ships no libfmt.a
else()
  set(KNARR_FMT fmt::fmt)
endif()
add_link_options(-Wl,--gc-sections)
add_compile_options(-ffunction-sections -fdata-sections)
