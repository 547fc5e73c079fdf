# SPDX-License-Identifier: MIT
#
# Sets PM_PACKED_RELOCATIONS: whether programs here start that have the
# relocations of their pointers packed (DT_RELR). Those of the library's data
# take 40 KiB otherwise, which every process reads. glibc knows them from 2.36
# on, musl from 1.2.4 on; an older loader would leave the pointers as they are,
# so it is a program that tells, and who cross-compiles does without.

include(CheckCSourceRuns)
set(PM_PACK_RELOCATIONS LINKER:-z,pack-relative-relocs)
if(NOT CMAKE_CROSSCOMPILING)
    set(CMAKE_REQUIRED_FLAGS -fPIE)
    set(CMAKE_REQUIRED_LINK_OPTIONS -pie ${PM_PACK_RELOCATIONS})
    check_c_source_runs("
#ifndef __PIE__
#error A program at a fixed address has no such relocations.
#endif
static int here;
int *volatile pointer = &here;
int main(void)
{
    return pointer != &here;
}
" PM_PACKED_RELOCATIONS)
    unset(CMAKE_REQUIRED_FLAGS)
    unset(CMAKE_REQUIRED_LINK_OPTIONS)
endif()
