/* SPDX-License-Identifier: MIT */
/* The texts of the folder page, which CMake makes a C file of (embed.cmake). Each ends with 0. */
#ifndef PM_COMMAND_PAGE_PARTS_H
#define PM_COMMAND_PAGE_PARTS_H

extern const char page_html[], page_style[], page_script[];

#endif
