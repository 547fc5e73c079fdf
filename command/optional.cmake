# SPDX-License-Identifier: MIT
#
# What the command can do without. It is looked for by compiling, so that a compiler for another C
# library, or another processor, does not find this system's.

include(CheckCSourceCompiles)
include(CMakePushCheckState)

# pm_optional(VARIABLE PACKAGES LIBRARIES SOURCE CONSEQUENCE): VARIABLE becomes 1 or 0.
function(pm_optional variable packages libraries source consequence)
    cmake_push_check_state(RESET)
    set(CMAKE_REQUIRED_LIBRARIES ${libraries})
    check_c_source_compiles("${source}" ${variable}_FOUND)
    cmake_pop_check_state()
    if(${variable}_FOUND)
        set(${variable} 1 PARENT_SCOPE)
        target_link_libraries(poolmalloc_command PRIVATE ${libraries})
    else()
        set(${variable} 0 PARENT_SCOPE)
        message(STATUS "The command is built without ${packages}: ${consequence}")
    endif()
endfunction()

pm_optional(PM_LIBDW libdw-dev "dw;${CMAKE_DL_LIBS}"
    "#include <elfutils/libdwfl.h>\nint main(void) { return dwfl_errno(); }"
    "addresses are shown as MODULE+OFFSET")
target_compile_definitions(poolmalloc_command PRIVATE PM_LIBDW=${PM_LIBDW})
