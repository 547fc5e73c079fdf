# SPDX-License-Identifier: MIT
#
# ctests of the tree itself rather than of the code's behaviour. Each check
# comes with a self-test, which shows that it can fail. They do not depend on
# the sanitizer, so the sanitizer builds leave them out.

if(PM_SANITIZE OR PM_COVERAGE)
    return()
endif()

# The system's interpreter first: a user's own may be a wrapper that needs HOME.
find_program(PM_PYTHON3 python3 PATHS /usr/bin NO_DEFAULT_PATH)
find_program(PM_PYTHON3 python3 REQUIRED)
find_program(PM_CXX NAMES g++ clang++ c++)

set(PM_SKIP_STATUS 77) # a tool is missing, which the output names

# pm_check(NAME COMMAND...): a python script of cmake/ as a ctest. Its self-test is the same for
# every build, so it runs in one.
function(pm_check name script)
    if(name MATCHES "[.]selftest$" AND NOT PM_AS_RELEASED)
        return()
    endif()
    add_test(NAME ${name}
        COMMAND ${PM_PYTHON3} -B ${PROJECT_SOURCE_DIR}/cmake/${script} ${ARGN})
    set_tests_properties(${name} PROPERTIES
        LABELS tree TIMEOUT 300 SKIP_RETURN_CODE ${PM_SKIP_STATUS})
endfunction()

pm_check(layers check_layers.py ${PROJECT_SOURCE_DIR})
pm_check(layers.selftest check_layers.py --self-test)
pm_check(style check_style.py ${PROJECT_SOURCE_DIR})
pm_check(style.selftest check_style.py --self-test)

set(definitions $<TARGET_PROPERTY:pm_config,INTERFACE_COMPILE_DEFINITIONS>)
pm_check(headers check_headers.py --cc ${CMAKE_C_COMPILER} --cxx ${PM_CXX}
    --root ${PROJECT_SOURCE_DIR}
    --definitions "$<JOIN:${definitions},$<COMMA>>,PM_OVERRIDE=0,PM_OS_FAULT=0")
pm_check(headers.selftest check_headers.py --self-test --cc ${CMAKE_C_COMPILER} --cxx ${PM_CXX})

# What users read of the options is what the table says. Of a build with the usual defaults, on the
# machine that it is for.
pm_check(options.selftest check_options.py --self-test)
if(PM_OVERRIDE_BUILD AND NOT PM_CLASSIC AND NOT PM_WINDOW_DEFAULT_BYTES
        AND NOT CMAKE_CROSSCOMPILING)
    add_executable(pm_options_doc ${PROJECT_SOURCE_DIR}/cmake/options_doc.c)
    target_link_libraries(pm_options_doc PRIVATE pm_config poolmalloc_pm)
    pm_check(options check_options.py ${PROJECT_SOURCE_DIR}
        --table $<TARGET_FILE:pm_options_doc>)
endif()

# Of the build that has most of the tests; what others have is looked for in the sources.
if(PM_OVERRIDE_BUILD AND PM_HAVE_CXX AND NOT PM_CHECK AND NOT PM_CLASSIC)
    pm_check(reliability check_reliability.py ${PROJECT_SOURCE_DIR} --tests ${PROJECT_BINARY_DIR})
endif()
pm_check(reliability.selftest check_reliability.py --self-test)

if(PM_OVERRIDE_BUILD)
    pm_check(exports check_exports.py --nm ${CMAKE_NM} --readelf ${CMAKE_READELF}
        --shared $<TARGET_FILE:poolmalloc> --static $<TARGET_FILE:poolmalloc_static>
        --static-pm $<TARGET_FILE:poolmalloc_pm>
        --object-shared $<TARGET_FILE:poolobject> --object-static $<TARGET_FILE:poolobject_static>
        --include ${PROJECT_SOURCE_DIR}/include)
    pm_check(exports.selftest check_exports.py --self-test --cc ${CMAKE_C_COMPILER})
endif()

# The manual: what the headers and the command have is in it, and nothing upsets its readers.
pm_check(manual.selftest check_manual.py --self-test)
if(PM_AS_RELEASED)
    pm_check(manual.lint check_manual.py ${PROJECT_SOURCE_DIR} --lint)
    pm_check(manual check_manual.py ${PROJECT_SOURCE_DIR}
        --command $<TARGET_FILE:poolmalloc_command>)
    pm_check(abi check_abi.py ${PROJECT_SOURCE_DIR} --cc ${CMAKE_C_COMPILER}
        --shared $<TARGET_FILE:poolmalloc> --object-shared $<TARGET_FILE:poolobject>)
    pm_check(abi.selftest check_abi.py --self-test --cc ${CMAKE_C_COMPILER})
    add_test(NAME debian COMMAND sh ${PROJECT_SOURCE_DIR}/cmake/check_debian.sh
        ${PROJECT_SOURCE_DIR})
    set_tests_properties(debian PROPERTIES
        LABELS package TIMEOUT 600 PROCESSORS 2 SKIP_RETURN_CODE ${PM_SKIP_STATUS})
endif()
if(PM_OVERRIDE_BUILD AND pm_probes)
    pm_check(probes check_probes.py ${PROJECT_SOURCE_DIR} --library $<TARGET_FILE:poolmalloc>
        --readelf ${CMAKE_READELF})
endif()
pm_check(probes.selftest check_probes.py --self-test)

if(PM_AS_RELEASED)
    # The scripts that users start, on make-believe systems and projects.
    add_test(NAME bootstrap COMMAND sh ${PROJECT_SOURCE_DIR}/cmake/bootstrap_test.sh)
    add_test(NAME check_sh COMMAND sh ${PROJECT_SOURCE_DIR}/cmake/check_sh_test.sh)
    set_tests_properties(bootstrap check_sh PROPERTIES LABELS tree TIMEOUT 120)
    add_test(NAME package COMMAND sh ${PROJECT_SOURCE_DIR}/cmake/check_package.sh
        ${PROJECT_BINARY_DIR} ${CMAKE_C_COMPILER} ${CMAKE_COMMAND}
        $<$<BOOL:${PM_HAVE_CXX}>:${CMAKE_CXX_COMPILER}>)
    set_tests_properties(package PROPERTIES LABELS "tree;package" TIMEOUT 300)
endif()
