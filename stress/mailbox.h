/* SPDX-License-Identifier: MIT */
/*
 * Mailboxes: how a block goes from the thread that made it to the one that frees it. A mailbox is a
 * bounded set of cells; any thread may put and take. The cell is the only synchronisation between
 * the two threads, just as in a program that hands a pointer over with a release and an acquire.
 */
#ifndef STRESS_MAILBOX_H
#define STRESS_MAILBOX_H

#include "shadow.h"

#include <stdatomic.h>

enum { mailbox_cells = 128 };

struct mailbox_cell {
    _Atomic int state;
    struct block block;
};

struct mailbox {
    struct mailbox_cell cells[mailbox_cells];
};

/* Puts a block near cell `start`; false when the cells tried were in use. */
bool mailbox_put(struct mailbox *mailbox, const struct block *block, size_t start);

/* Takes any block, looking at every cell once from cell `start` on; false when it found none. */
bool mailbox_take(struct mailbox *mailbox, struct block *block, size_t start);

#endif
