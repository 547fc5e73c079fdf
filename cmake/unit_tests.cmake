# SPDX-License-Identifier: MIT
#
# pm_unit_test(SOURCE): lib/<layer>/x_test.c becomes the executable
# <layer>_x_test and the ctest <layer>.x. The end of the name decides more:
#
#   x_fault_test.c   linked to the library whose os layer fails on request
#   x_plain_test.c   does without cmocka, for systems that lack it

if(PM_CMOCKA)
    find_path(PM_CMOCKA_INCLUDE cmocka.h)
    find_library(PM_CMOCKA_LIBRARY cmocka)
else() # another C library, or another processor, than cmocka was built for
    set(PM_CMOCKA_INCLUDE ${PROJECT_SOURCE_DIR}/cmake/cmocka)
    set(PM_CMOCKA_LIBRARY Threads::Threads)
endif()
if(PM_CMOCKA_INCLUDE AND PM_CMOCKA_LIBRARY)
    set(PM_HAVE_CMOCKA ON)
else()
    set(PM_HAVE_CMOCKA OFF)
    message(WARNING "cmocka was not found: the unit tests that need it are left out. "
        "Install it with: sh cmake/bootstrap.sh test")
endif()

set(PM_UNIT_TEST_TIMEOUT_SECONDS 120)

function(pm_unit_test source)
    get_filename_component(stem ${source} NAME_WE)
    get_filename_component(folder ${source} DIRECTORY)
    get_filename_component(layer ${folder} NAME)
    string(REGEX REPLACE "_test$" "" subject ${stem})
    set(target ${layer}_${stem})

    set(library poolmalloc_pm)
    if(stem MATCHES "_fault_test$")
        set(library poolmalloc_pm_fault)
    endif()
    if(layer STREQUAL "object")
        list(PREPEND library poolobject_static)
    endif()
    if(stem MATCHES "_plain_test$")
        set(needs_cmocka OFF)
    else()
        set(needs_cmocka ON)
    endif()
    if(needs_cmocka AND NOT PM_HAVE_CMOCKA)
        return()
    endif()

    add_executable(${target} ${source})
    target_link_libraries(${target} PRIVATE pm_config ${library})
    if(needs_cmocka)
        target_include_directories(${target} SYSTEM PRIVATE ${PM_CMOCKA_INCLUDE})
        target_link_libraries(${target} PRIVATE ${PM_CMOCKA_LIBRARY})
    endif()
    add_test(NAME ${layer}.${subject} COMMAND ${target})
    set_tests_properties(${layer}.${subject} PROPERTIES
        LABELS unit
        SKIP_RETURN_CODE 77
        TIMEOUT ${PM_UNIT_TEST_TIMEOUT_SECONDS})
endfunction()
