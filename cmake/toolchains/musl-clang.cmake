# SPDX-License-Identifier: MIT
#
# clang for musl, as Debian's musl-gcc is gcc for it: musl's headers instead of
# the system's C library's, its start files and libraries first. The target names
# musl, so clang picks its loader. Packages: sh cmake/bootstrap.sh platforms

set(musl_triple x86_64-linux-musl)
set(CMAKE_C_COMPILER clang)
set(CMAKE_C_COMPILER_TARGET ${musl_triple})
set(CMAKE_C_FLAGS_INIT
    "-nostdlibinc -isystem /usr/include/${musl_triple} -Wno-unused-command-line-argument")
foreach(kind EXE SHARED MODULE)
    # -B: where start files are looked for first.
    set(CMAKE_${kind}_LINKER_FLAGS_INIT
        "-B/usr/lib/${musl_triple} -L/usr/lib/${musl_triple}")
endforeach()
