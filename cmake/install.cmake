# SPDX-License-Identifier: MIT
#
# What `cmake --install` puts where: the two libraries, the public headers, the
# manual, a CMake package, a pkg-config file and the gdb script. They find their
# prefix from their own place, so that an installed tree may be moved.

if(NOT PM_OVERRIDE_BUILD)
    return()
endif()

include(CMakePackageConfigHelpers)
set(pm_package_dir ${CMAKE_INSTALL_LIBDIR}/cmake/poolmalloc)
set(pm_pkgconfig_dir ${CMAKE_INSTALL_LIBDIR}/pkgconfig)

install(TARGETS poolmalloc poolmalloc_static
    EXPORT poolmallocTargets
    LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR}
    ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR})
install(DIRECTORY include/poolmalloc
    DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}
    FILES_MATCHING PATTERN "*.h" PATTERN "*.hpp")

install(FILES man/poolmalloc.5 DESTINATION ${CMAKE_INSTALL_MANDIR}/man5)

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

file(RELATIVE_PATH PM_PC_TO_PREFIX /prefix/${pm_pkgconfig_dir} /prefix)
string(REGEX REPLACE "/$" "" PM_PC_TO_PREFIX "${PM_PC_TO_PREFIX}")
configure_file(cmake/poolmalloc.pc.in ${CMAKE_CURRENT_BINARY_DIR}/poolmalloc.pc @ONLY)
install(FILES ${CMAKE_CURRENT_BINARY_DIR}/poolmalloc.pc DESTINATION ${pm_pkgconfig_dir})
