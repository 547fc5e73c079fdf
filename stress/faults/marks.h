/* SPDX-License-Identifier: MIT */
/*
 * The shadow model (shadow.h) for blocks that are also large: of these only the first page is
 * modelled byte by byte; from there on each unit, the grain of large blocks, carries a mark. A
 * sweep starts hundreds of processes, and touching every page would be all that they do. The
 * functions correspond to those of shadow.h.
 */
#ifndef STRESS_FAULTS_MARKS_H
#define STRESS_FAULTS_MARKS_H

#include "shadow.h"

void marks_add(const struct block *block);
void marks_remove(const struct block *block);
void marks_restore(const struct block *block);
void marks_resized(const struct block *before, const struct block *now);
/* What calloc gave: the first page and the beginning of each unit. */
void marks_check_zero(const struct block *block);

#endif
