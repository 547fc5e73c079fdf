/* SPDX-License-Identifier: MIT */
/* The profiler's parts for its options: see poolmalloc/profile.h for what they do, and
 * profile_start.c for who calls. */
#ifndef PM_TOOLS_PROFILE_H
#define PM_TOOLS_PROFILE_H

#include "poolmalloc/profile.h"
#include "tools/stats.h"

/* The rate of what is written: that in force, or the last one; 1 before the first start. */
uint64_t pm_profile_last_rate(void);

/* Writes the profile. Any thread, also in a signal handler. False: not all was written. */
bool pm_profile_write(struct pm_out_file *to, enum pm_profile_form form);
/* The same to a file that is written anew, with a line on stderr if that fails. */
bool pm_profile_write_to(const char *path, enum pm_profile_form form, struct pm_out_file *to);

/* As pm_profile_leaks. */
void pm_profile_write_leaks(struct pm_out *out);

/* A block of so many bytes was sampled, and stands for others: the option profile_every. Inside
 * malloc. */
void pm_profile_allocated(size_t sample_bytes, uint64_t mean);

#endif
