/* SPDX-License-Identifier: MIT */
/* The statistics page, for the start of the process: see stats_page.c. */
#ifndef PM_TOOLS_STATS_PAGE_H
#define PM_TOOLS_STATS_PAGE_H

#include <stdbool.h>

/* Makes the page if the option asks for it; by the constructor. */
void pm_stats_page_start(void);

#endif
