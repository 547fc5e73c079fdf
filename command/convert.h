/* SPDX-License-Identifier: MIT */
/* The forms that convert writes. Both functions return false where the file cannot be written or
 * the form is not to be had, as was said; the file is the caller's. */
#ifndef PM_COMMAND_CONVERT_H
#define PM_COMMAND_CONVERT_H

#include "recording.h"

#include <stdio.h>

/* Gzipped, in the form of profile.proto. Figures are scaled. path is for messages. */
bool convert_to_pprof(struct recording *recording, FILE *file, const char *path);

/* As text, figures as they were recorded. A write error is left for the caller to see. */
void convert_to_gperftools(const struct recording *recording, FILE *file);
void convert_to_jemalloc(const struct recording *recording, FILE *file);

#endif
