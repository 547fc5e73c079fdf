/* SPDX-License-Identifier: MIT */
/*
 * Mailboxes (mailbox.h). A cell goes empty -> writing -> full -> reading -> empty; each step into
 * writing or reading is won by one thread, which alone touches the block in between.
 */
#include "mailbox.h"

enum { cell_empty, cell_writing, cell_full, cell_reading };

enum { put_probes = 8 };

/* Acquire: the winner sees what the thread that left the cell in state `from` did to it. */
static bool cell_claim(struct mailbox_cell *cell, int from, int to)
{
    int seen = atomic_load_explicit(&cell->state, memory_order_relaxed);
    return seen == from && atomic_compare_exchange_strong_explicit(
                               &cell->state, &seen, to, memory_order_acquire, memory_order_relaxed);
}

bool mailbox_put(struct mailbox *mailbox, const struct block *block, size_t start)
{
    for (size_t probe = 0; probe < put_probes; probe++) {
        struct mailbox_cell *cell = &mailbox->cells[(start + probe) % mailbox_cells];
        if (!cell_claim(cell, cell_empty, cell_writing))
            continue;
        cell->block = *block;
        /* release: publishes the block's record and its contents to mailbox_take */
        atomic_store_explicit(&cell->state, cell_full, memory_order_release);
        return true;
    }
    return false;
}

bool mailbox_take(struct mailbox *mailbox, struct block *block, size_t start)
{
    for (size_t probe = 0; probe < mailbox_cells; probe++) {
        struct mailbox_cell *cell = &mailbox->cells[(start + probe) % mailbox_cells];
        if (!cell_claim(cell, cell_full, cell_reading))
            continue;
        *block = cell->block;
        /* release: the copy is done before mailbox_put may write here again */
        atomic_store_explicit(&cell->state, cell_empty, memory_order_release);
        return true;
    }
    return false;
}
