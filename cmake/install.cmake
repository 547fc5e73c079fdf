# SPDX-License-Identifier: MIT
#
# What `cmake --install` puts where: the libraries, the public headers, the
# command, the manual, a CMake package, three pkg-config files, the gdb script. All find their
# prefix from their own place, so that an installed tree may be moved.

if(NOT PM_OVERRIDE_BUILD)
    return()
endif()

include(CMakePackageConfigHelpers)
set(pm_package_dir ${CMAKE_INSTALL_LIBDIR}/cmake/poolmalloc)
set(pm_pkgconfig_dir ${CMAKE_INSTALL_LIBDIR}/pkgconfig)

install(TARGETS poolmalloc poolmalloc_static poolmalloc_pm poolobject poolobject_static
    EXPORT poolmallocTargets
    LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR}
    ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR})
install(DIRECTORY include/poolmalloc
    DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}
    FILES_MATCHING PATTERN "*.h" PATTERN "*.hpp")

install(TARGETS poolmalloc_command RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
install(FILES command/completion.bash
    DESTINATION ${CMAKE_INSTALL_DATADIR}/bash-completion/completions RENAME poolmalloc)

foreach(section 1 3 5)
    install(FILES man/poolmalloc.${section} DESTINATION ${CMAKE_INSTALL_MANDIR}/man${section})
endforeach()
install(FILES man/poolobject.3 DESTINATION ${CMAKE_INSTALL_MANDIR}/man3)

# gdb looks for LIBRARY-gdb.py beside a library, under the name that no link has.
set(pm_gdb_dir ${CMAKE_INSTALL_DATADIR}/poolmalloc/gdb)
install(FILES share/gdb/poolmalloc_gdb.py DESTINATION ${pm_gdb_dir})
file(RELATIVE_PATH PM_GDB_FROM_LIBRARY /prefix/${CMAKE_INSTALL_LIBDIR} /prefix/${pm_gdb_dir})
set(pm_gdb_loader libpoolmalloc.so.${PROJECT_VERSION}-gdb.py)
configure_file(cmake/libpoolmalloc-gdb.py.in ${CMAKE_CURRENT_BINARY_DIR}/${pm_gdb_loader} @ONLY)
install(FILES ${CMAKE_CURRENT_BINARY_DIR}/${pm_gdb_loader} DESTINATION ${CMAKE_INSTALL_LIBDIR})

install(FILES share/valgrind/poolmalloc.supp
    DESTINATION ${CMAKE_INSTALL_DATADIR}/poolmalloc/valgrind)

install(EXPORT poolmallocTargets
    NAMESPACE poolmalloc::
    DESTINATION ${pm_package_dir})
configure_package_config_file(
    cmake/poolmallocConfig.cmake.in ${CMAKE_CURRENT_BINARY_DIR}/poolmallocConfig.cmake
    INSTALL_DESTINATION ${pm_package_dir})
write_basic_package_version_file(
    ${CMAKE_CURRENT_BINARY_DIR}/poolmallocConfigVersion.cmake
    COMPATIBILITY SameMinorVersion)
install(FILES
    ${CMAKE_CURRENT_BINARY_DIR}/poolmallocConfig.cmake
    ${CMAKE_CURRENT_BINARY_DIR}/poolmallocConfigVersion.cmake
    DESTINATION ${pm_package_dir})

# Folders below the prefix follow the file when it is moved; others are where they are.
if(IS_ABSOLUTE "${CMAKE_INSTALL_LIBDIR}")
    set(PM_PC_PREFIX "${CMAKE_INSTALL_PREFIX}")
else()
    file(RELATIVE_PATH to_prefix /prefix/${pm_pkgconfig_dir} /prefix)
    string(REGEX REPLACE "/$" "" to_prefix "${to_prefix}")
    set(PM_PC_PREFIX "\${pcfiledir}/${to_prefix}")
endif()
foreach(folder LIBDIR INCLUDEDIR)
    set(PM_PC_${folder} "${CMAKE_INSTALL_${folder}}")
    if(NOT IS_ABSOLUTE "${PM_PC_${folder}}")
        string(PREPEND PM_PC_${folder} "\${prefix}/")
    endif()
endforeach()
foreach(name poolmalloc poolmalloc-pm poolmalloc-object)
    configure_file(cmake/${name}.pc.in ${CMAKE_CURRENT_BINARY_DIR}/${name}.pc @ONLY)
    install(FILES ${CMAKE_CURRENT_BINARY_DIR}/${name}.pc DESTINATION ${pm_pkgconfig_dir})
endforeach()

# The same without installing, from the folder of the build: find_package with poolmalloc_DIR, and
# pkg-config, which takes NAME-uninstalled.pc rather than NAME.pc.
export(EXPORT poolmallocTargets
    NAMESPACE poolmalloc::
    FILE ${CMAKE_CURRENT_BINARY_DIR}/poolmallocTargets.cmake)
set(PM_PC_PREFIX "${CMAKE_CURRENT_BINARY_DIR}")
set(PM_PC_LIBDIR "${CMAKE_CURRENT_BINARY_DIR}/lib")
set(PM_PC_INCLUDEDIR "${PROJECT_SOURCE_DIR}/include")
foreach(variable PREFIX LIBDIR INCLUDEDIR)
    string(REPLACE " " "\\ " PM_PC_${variable} "${PM_PC_${variable}}")
endforeach()
foreach(name poolmalloc poolmalloc-pm poolmalloc-object)
    configure_file(cmake/${name}.pc.in ${CMAKE_CURRENT_BINARY_DIR}/${name}-uninstalled.pc @ONLY)
endforeach()
