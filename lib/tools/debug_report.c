/* SPDX-License-Identifier: MIT */
/* See debug_report.h. The form of what follows the first line is that of CPython's. */
#include "tools/debug_report.h"

#include "base/report.h"
#include "tools/stack.h"
#include "tools/trace.h"

#include <stdlib.h>

enum { SHOWN = 16, LINE = 200 }; /* bytes of the data at each end; of text */

static size_t put_byte(char *to, size_t room, unsigned char byte)
{
    return pm_format(to, room, "%x%x", (unsigned)byte >> 4, (unsigned)byte & 15);
}

static void print_bytes(const char *from, size_t bytes)
{
    char line[LINE];
    size_t used = 0;
    for (size_t i = 0; i < bytes; i++) {
        used += pm_format(line + used, sizeof line - used, " ");
        used += put_byte(line + used, sizeof line - used, (unsigned char)from[i]);
    }
    line[used < sizeof line ? used : sizeof line - 1] = 0;
    pm_print("%s", line);
}

/* `name` + offset is where the pads are, for the reader. */
static void print_pads(const char *pads, size_t bytes, const char *name, unsigned char wanted)
{
    const char *word = wanted == PM_DEBUG_DEAD ? "DEADBYTE (0xdd)" : "FORBIDDENBYTE (0xfd)";
    size_t good = 0;
    while (good < bytes && (unsigned char)pads[good] == wanted)
        good++;
    if (good == bytes) {
        pm_print("    The %zu pad bytes at %s are %s, as expected.\n", bytes, name, word);
        return;
    }
    pm_print("    The %zu pad bytes at %s are not all %s:\n", bytes, name, word);
    for (size_t i = 0; i < bytes; i++) {
        char byte[3];
        put_byte(byte, sizeof byte, (unsigned char)pads[i]);
        pm_print("        at %s+%zu: 0x%s%s\n", name, i, byte,
                 (unsigned char)pads[i] == wanted ? "" : " *** OUCH");
    }
}

static void print_data(const struct pm_debug_block *block)
{
    size_t bytes = block->bytes;
    pm_print("    Data at p:");
    print_bytes(block->data, bytes < 2 * SHOWN ? bytes : SHOWN);
    if (bytes >= 2 * SHOWN) {
        pm_print(" ...");
        print_bytes(block->data + bytes - SHOWN, SHOWN);
    }
    pm_print("\n");
}

static void print_header(const struct pm_debug_block *block)
{
    char letter = (char)block->letter;
    pm_print("Debug memory block at address p=%p: API '%c' (%s)%s\n", (void *)block->data,
             letter >= ' ' && letter < 0x7f ? letter : '?', pm_debug_maker_name(block->maker),
             block->freed ? ", freed" : "");
    if (block->sound)
        pm_print("    %zu bytes originally requested\n", block->bytes);
    else
        pm_print("    its size field was overwritten\n");
}

/* Who did it, as far as a stack can be taken, and who made the block, if it was traced. */
static void print_stacks(const struct pm_debug_block *block)
{
    pm_stack_report_here();
    pm_trace_report(block->data);
}

/* What the block's bytes say, then the end. */
static _Noreturn void dump(const struct pm_debug_block *block)
{
    unsigned char pad = block->freed ? PM_DEBUG_DEAD : PM_DEBUG_GUARD;
    print_header(block);
    print_pads(block->data - PM_DEBUG_PADS, PM_DEBUG_PADS, "p-7", pad);
    if (block->sound) {
        print_pads(block->data + block->bytes, PM_DEBUG_WORD, "tail", pad);
        pm_print("    The block was made by call #%lu to debug malloc/realloc.\n",
                 (unsigned long)pm_debug_serial(block));
        print_data(block);
    }
    print_stacks(block);
    abort();
}

void pm_debug_fatal_id(const char *function, const struct pm_debug_block *block,
                       enum pm_maker verified)
{
    if (block->maker == PM_MAKERS)
        pm_warn("%s(%p): bad ID: no API has the letter 0x%x, verified using API '%c' (%s)",
                function, (void *)block->data, (unsigned)block->letter, pm_debug_letter(verified),
                pm_debug_maker_name(verified));
    else
        pm_warn("%s(%p): bad ID: allocated using API '%c' (%s), verified using API '%c' (%s)",
                function, (void *)block->data, block->letter, pm_debug_maker_name(block->maker),
                pm_debug_letter(verified), pm_debug_maker_name(verified));
    dump(block);
}

void pm_debug_fatal_leading(const char *function, const struct pm_debug_block *block)
{
    pm_warn("%s(%p): bad leading pad byte (something wrote before the block)", function,
            (void *)block->data);
    dump(block);
}

void pm_debug_fatal_trailing(const char *function, const struct pm_debug_block *block)
{
    pm_warn("%s(%p): bad trailing pad byte (something wrote behind the %zu bytes of the block)",
            function, (void *)block->data, block->bytes);
    dump(block);
}

void pm_debug_fatal_freed(const char *function, const struct pm_debug_block *block)
{
    pm_warn("%s(%p): freed already: freed twice, or used after its free", function,
            (void *)block->data);
    dump(block);
}

void pm_debug_fatal_dead(const struct pm_debug_block *block, const char *at)
{
    if (at < block->data)
        pm_warn("block %p was written to after it was freed: before its data", (void *)block->data);
    else
        pm_warn("block %p was written to after it was freed: at byte %zu", (void *)block->data,
                (size_t)(at - block->data));
    dump(block);
}

void pm_debug_fatal_size(const char *function, const struct pm_debug_block *block, size_t told)
{
    pm_warn("%s(%p): wrong size: %zu bytes told, %zu asked for", function, (void *)block->data,
            told, block->bytes);
    dump(block);
}

void pm_debug_fatal_alignment(const char *function, const struct pm_debug_block *block, size_t told)
{
    pm_warn("%s(%p): wrong alignment: the block is not aligned to %zu", function,
            (void *)block->data, told);
    dump(block);
}

void pm_debug_fatal_interior(const char *function, const void *ptr, char *start, size_t room_bytes)
{
    size_t bytes = room_bytes;
    char *data = pm_debug_watch.shown(start, &bytes);
    struct pm_debug_block block = pm_debug_read(data, start, room_bytes);
    if (data == start)
        pm_fatal_interior(function, ptr, start, room_bytes);
    pm_warn("%s(%p): points %s a block, not at its start (block %p of %zu bytes)", function, ptr,
            (const char *)ptr < data ? "before" : "inside", (void *)data, bytes);
    dump(&block);
}
