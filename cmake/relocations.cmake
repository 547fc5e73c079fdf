# SPDX-License-Identifier: MIT
#
# Sets PM_PACKED_RELOCATIONS: whether the shared library is to have the
# relocations of its pointers packed (DT_RELR); those of its data take 40 KiB
# otherwise, which every process reads. What cannot read them would leave the
# pointers as they are. So three things must be so of a program that has some:
#
#   the linker takes the option, and does not only warn that it is unknown;
#   the program needs GLIBC_ABI_DT_RELR, so that a C library before glibc 2.36,
#     where it is not defined, refuses to load it and says so. musl defines no
#     such thing (it can read them from 1.2.4 on), so nothing is packed there;
#   it runs. Who cross-compiles does without.
#
# -DPM_PACKED_RELOCATIONS=OFF is for libraries that are to run with an older
# glibc than the one here.

set(PM_PACK_RELOCATIONS LINKER:-z,pack-relative-relocs)

function(pm_try_packed_relocations result)
    set(program ${CMAKE_BINARY_DIR}/CMakeFiles/pm_packed_relocations)
    try_run(PM_PACKED_RUN PM_PACKED_LINKED
        SOURCE_FROM_CONTENT packed.c "
#ifndef __PIE__
#error A program at a fixed address has no such relocations.
#endif
static int here;
int *volatile pointer = &here;
int main(void)
{
    return pointer != &here;
}
"
        COMPILE_DEFINITIONS -fPIE
        LINK_OPTIONS -pie LINKER:--fatal-warnings ${PM_PACK_RELOCATIONS}
        COPY_FILE ${program} COPY_FILE_ERROR copy_error
        NO_CACHE)
    set(${result} OFF PARENT_SCOPE)
    if(PM_PACKED_LINKED AND PM_PACKED_RUN EQUAL 0 AND EXISTS ${program})
        file(STRINGS ${program} needed REGEX GLIBC_ABI_DT_RELR LIMIT_COUNT 1)
        if(needed)
            set(${result} ON PARENT_SCOPE)
        endif()
    endif()
endfunction()

if(NOT DEFINED PM_PACKED_RELOCATIONS)
    set(packed OFF)
    if(NOT CMAKE_CROSSCOMPILING)
        message(CHECK_START "Looking for packed relocations")
        pm_try_packed_relocations(packed)
        message(CHECK_PASS "${packed}")
    endif()
    set(PM_PACKED_RELOCATIONS ${packed} CACHE BOOL "Relocations of the shared library are packed")
endif()
