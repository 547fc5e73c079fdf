/* SPDX-License-Identifier: MIT */
/* What the object layer has of its reclamation beyond what programs see (poolmalloc/qsbr.h). */
#ifndef PM_OBJECT_QSBR_INTERNAL_H
#define PM_OBJECT_QSBR_INTERNAL_H

#include "object/internal.h"
#include "poolmalloc/qsbr.h"

/* The bounds, and how long a thread waits for another one before it says so; for tests. */
extern size_t pm_qsbr_items_max PM_HIDDEN;
extern size_t pm_qsbr_bytes_max PM_HIDDEN;
extern unsigned pm_qsbr_patience_ms PM_HIDDEN;

/* Around a pause: the calling thread, unless the program has attached it, too, is as if detached.
 */
void pm_qsbr_go_offline(void);
void pm_qsbr_go_online(void);

#endif
