/* SPDX-License-Identifier: MIT */
/* The domains' tables with debug hooks: each its letter. */
#ifndef PM_TOOLS_DEBUG_DOMAINS_H
#define PM_TOOLS_DEBUG_DOMAINS_H

#include "api/domains.h"

extern const struct pm_domain_set pm_debug_domains;

#endif
