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

pm_optional(PM_PROTOBUF "libprotobuf-c-dev and zlib1g-dev" "protobuf-c;z"
    "#include <protobuf-c/protobuf-c.h>\n#include <zlib.h>
    int main(void) { return protobuf_c_version_number() == 0 || zlibVersion() == 0; }"
    "'poolmalloc convert' does not write for pprof")
find_program(PM_PROTOC_C protoc-c)
if(PM_PROTOBUF AND NOT PM_PROTOC_C)
    set(PM_PROTOBUF 0)
    message(STATUS "The command is built without protobuf-c-compiler: "
        "'poolmalloc convert' does not write for pprof")
endif()
target_compile_definitions(poolmalloc_command PRIVATE PM_PROTOBUF=${PM_PROTOBUF})
if(PM_PROTOBUF)
    set(generated ${CMAKE_CURRENT_BINARY_DIR}/profile.pb-c)
    add_custom_command(OUTPUT ${generated}.c ${generated}.h
        COMMAND ${PM_PROTOC_C} --proto_path=${CMAKE_CURRENT_SOURCE_DIR}
            --c_out=${CMAKE_CURRENT_BINARY_DIR} ${CMAKE_CURRENT_SOURCE_DIR}/profile.proto
        DEPENDS profile.proto VERBATIM)
    target_sources(poolmalloc_command PRIVATE ${generated}.c ${generated}.h)
    target_include_directories(poolmalloc_command SYSTEM PRIVATE ${CMAKE_CURRENT_BINARY_DIR})
endif()
