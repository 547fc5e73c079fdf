# SPDX-License-Identifier: MIT
#
# Compiler and linker flags of the whole tree, and the configuration macros.
# Every configuration macro is always defined, as a number: -Werror=undef
# turns a misspelt one into an error.

set(CMAKE_C_STANDARD 17)
set(CMAKE_C_STANDARD_REQUIRED ON)
set(CMAKE_C_EXTENSIONS ON)
set(CMAKE_CXX_STANDARD 17)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)
# No -DNDEBUG: tests use assert(), and the library has PM_CHECK instead.
set(CMAKE_C_FLAGS_RELWITHDEBINFO "-O2 -g")
set(CMAKE_CXX_FLAGS_RELWITHDEBINFO "-O2 -g")

# Without -fno-builtin-*, the compiler may drop a malloc/free pair, and turns
# malloc + memset (the body of calloc) into a call of calloc.
add_compile_options(
    -fno-builtin-malloc -fno-builtin-calloc -fno-builtin-realloc -fno-builtin-free
    # clang draws conclusions from these too, or drops their calls.
    -fno-builtin-aligned_alloc -fno-builtin-memalign -fno-builtin-posix_memalign
    -fno-builtin-valloc -fno-builtin-pvalloc -fno-builtin-reallocarray
    -fvisibility=hidden
    # A dynamic TLS access may itself call malloc.
    -ftls-model=initial-exec
    -fno-plt
    $<$<C_COMPILER_ID:GNU>:-fno-semantic-interposition>
    # Debian 12's valgrind does not read what clang writes by default.
    $<$<C_COMPILER_ID:Clang>:-gdwarf-4>
    -Wall -Wextra -Wshadow -Wundef -Werror=undef -Wvla
    $<$<COMPILE_LANGUAGE:C>:-Wstrict-prototypes>
    $<$<COMPILE_LANGUAGE:C>:-Wmissing-prototypes>)
if(PM_WERROR)
    add_compile_options(-Werror)
endif()
add_link_options(-Wl,--as-needed)

set(PM_ASAN 0)
set(PM_TSAN 0)
if(PM_SANITIZE STREQUAL "address")
    set(PM_ASAN 1)
elseif(PM_SANITIZE STREQUAL "thread")
    set(PM_TSAN 1)
elseif(NOT PM_SANITIZE STREQUAL "" AND NOT PM_SANITIZE STREQUAL "undefined")
    message(FATAL_ERROR "PM_SANITIZE is '${PM_SANITIZE}': use address, undefined, thread or empty")
endif()
if(PM_SANITIZE)
    # The sanitizers' runtimes bring a malloc of their own: an executable that
    # defines malloc as well does not start.
    if(PM_OVERRIDE_BUILD)
        message(FATAL_ERROR "PM_SANITIZE needs PM_OVERRIDE_BUILD=OFF")
    endif()
    add_compile_options(-fsanitize=${PM_SANITIZE} -fno-sanitize-recover=all
        -fno-omit-frame-pointer)
    add_link_options(-fsanitize=${PM_SANITIZE})
endif()

if(PM_COVERAGE)
    # Atomic counters: several threads run the same line. Little optimisation, so that lines and
    # branches stay those of the source.
    add_compile_options(--coverage -fprofile-update=atomic -fprofile-abs-path -O0)
    add_link_options(--coverage)
    foreach(name _exit _Exit quick_exit abort)
        # undefined: the compiler's runtime, which comes last, refers to some of them too.
        add_link_options(LINKER:--wrap=${name} LINKER:--undefined=__wrap_${name})
    endforeach()
    add_library(pm_coverage_flush STATIC ${PROJECT_SOURCE_DIR}/cmake/coverage_flush.c)
    link_libraries(pm_coverage_flush)
endif()

# The probes' header is systemtap's; nothing of it is linked.
set(pm_probes 0)
include(CheckIncludeFile)
if(PM_PROBES STREQUAL "AUTO" OR PM_PROBES)
    check_include_file(sys/sdt.h PM_HAVE_SDT_H)
    if(PM_HAVE_SDT_H)
        set(pm_probes 1)
        message(STATUS "Static probes (USDT): on")
    elseif(PM_PROBES STREQUAL "AUTO")
        message(STATUS "Static probes (USDT): off, as <sys/sdt.h> was not found "
            "(Debian: systemtap-sdt-dev)")
    else()
        message(FATAL_ERROR "PM_PROBES=${PM_PROBES} needs <sys/sdt.h> (Debian: systemtap-sdt-dev)")
    endif()
else()
    message(STATUS "Static probes (USDT): off (PM_PROBES=${PM_PROBES})")
endif()

# Of valgrind, too, the headers alone are needed.
check_include_file(valgrind/memcheck.h PM_HAVE_VALGRIND_H)
if(PM_VALGRIND)
    if(NOT PM_HAVE_VALGRIND_H OR PM_SANITIZE OR PM_CLASSIC OR PM_BUILD_TESTS)
        message(FATAL_ERROR "PM_VALGRIND needs <valgrind/memcheck.h> (Debian: valgrind), and goes "
            "neither with PM_SANITIZE or PM_CLASSIC nor with PM_BUILD_TESTS: the tests know pools "
            "as users get them, and those of label valgrind build a library for themselves")
    endif()
    add_compile_definitions(PM_VALGRIND=1)
endif()

# What every file of the library and every test of its inside is compiled with.
add_library(pm_config INTERFACE)
target_include_directories(pm_config INTERFACE
    ${PROJECT_SOURCE_DIR}/include ${PROJECT_SOURCE_DIR}/lib)
target_compile_definitions(pm_config INTERFACE
    PM_CHECK=$<BOOL:${PM_CHECK}>
    PM_CLASSIC=$<BOOL:${PM_CLASSIC}>
    PM_SCHEDULE=$<BOOL:${PM_SCHEDULE}>
    PM_PROBES=${pm_probes}
    PM_ASAN=${PM_ASAN}
    PM_TSAN=${PM_TSAN})
if(PM_WINDOW_DEFAULT_BYTES)
    target_compile_definitions(pm_config INTERFACE
        PM_WINDOW_DEFAULT_BYTES=${PM_WINDOW_DEFAULT_BYTES})
endif()
