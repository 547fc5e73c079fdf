/* SPDX-License-Identifier: MIT */
/*
 * What a collection needs of deferred references (poolmalloc/deferred.h). All of it with the world
 * stopped, but where it says otherwise.
 *
 * The count of an object flagged PM_OBJECT_DEFERRED has one reference too many, the register's, and
 * lacks those of frames. So a collection takes one from what it has counted, and adds one for each
 * call of pm_deferred_each's visit; what is trash then is taken out of the register, and dies by
 * the reference that the register had.
 */
#ifndef PM_OBJECT_DEFERRED_H
#define PM_OBJECT_DEFERRED_H

#include "object/internal.h"
#include "poolmalloc/deferred.h"

/* Calls visit for each reference to a deferred object in a frame of any thread. It takes no lock,
 * and calls nothing of the program's. */
void pm_deferred_each(void (*visit)(struct pm_object *object, void *arg), void *arg);

/* By a thread that is about to pause, or has resumed: nobody looks at its stack between the two, as
 * the thread may be ended then, while it waits for something, and leave frames without a word. */
void pm_deferred_pause(void);
void pm_deferred_resume(void);
/* By a thread that ends. The stack with its frames is gone. */
void pm_deferred_forget_frames(void);

/* By a thread that attaches: forks take the register's lock from now on. */
void pm_deferred_prepare(void);

struct pm_deferred_entry;

/* Whether each object of the register is deferred, and they are as many as is said. The first
 * violation is told. */
bool pm_deferred_check(void);

/* Takes those deferred objects out of the register of which is_garbage says true: they are deferred
 * no more, and the register's references to them are the list's. */
struct pm_deferred_entry *pm_deferred_take(bool (*is_garbage)(struct pm_object *object, void *arg),
                                           void *arg);

/* With the world running: drops the list's references. Of each, after it has left the list, so that
 * who goes on in its place, when the thread is gone, finds the others. */
void pm_deferred_drop(struct pm_deferred_entry **list);
/* By a thread that ends, perhaps within a sweep: drops what that had still to drop. */
void pm_deferred_drop_rest(void);

#endif
