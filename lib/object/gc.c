/* SPDX-License-Identifier: MIT */
/*
 * The interface of the collector (poolmalloc/gc.h): settings, callbacks, garbage, figures. Any
 * thread, but where the header says otherwise. One lock for what is more than a word; nothing of
 * the program's is called under it.
 */
#include "object/gc.h"
#include "object/gc_internal.h"

#include "poolmalloc/domains.h"

#include <errno.h>
#include <string.h>

_Atomic uint32_t pm_gc_debug;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
/* All below: under the lock. */
static struct {
    pm_gc_callback call;
    void *arg;
} callbacks[PM_GC_CALLBACKS_MAX];
static unsigned callbacks_count;
static struct pm_object **garbage;
static size_t garbage_count, garbage_room;
static struct pm_gc_stats stats;

void pm_gc_lock(void)
{
    pthread_mutex_lock(&lock);
}

void pm_gc_unlock(void)
{
    pthread_mutex_unlock(&lock);
}

/* ---- settings ---- */

/* The calling thread hears of it at once. */
static void settings_changed(void)
{
    if (pm_object_self.mine >> 16 != 0)
        pm_gc_look_at_settings();
}

void pm_gc_enable(void)
{
    pm_store_relaxed(&pm_gc_enabled, true);
    settings_changed();
}

void pm_gc_disable(void)
{
    pm_store_relaxed(&pm_gc_enabled, false);
    settings_changed();
}

bool pm_gc_is_enabled(void)
{
    return pm_load_relaxed(&pm_gc_enabled);
}

void pm_gc_set_thresholds(const unsigned thresholds[PM_GC_GENERATIONS])
{
    for (unsigned i = 0; i < PM_GC_GENERATIONS; i++)
        pm_store_relaxed(&pm_gc_thresholds[i], thresholds[i]);
    settings_changed();
}

void pm_gc_get_thresholds(unsigned thresholds[PM_GC_GENERATIONS])
{
    for (unsigned i = 0; i < PM_GC_GENERATIONS; i++)
        thresholds[i] = pm_load_relaxed(&pm_gc_thresholds[i]);
}

void pm_gc_set_mode(enum pm_gc_mode mode)
{
    static const unsigned defaults[][PM_GC_GENERATIONS] = {
        [PM_GC_GENERATIONAL] = {700, 10, 10}, [PM_GC_WHOLE] = {2000, 10, 0}};
    pm_store_relaxed(&pm_gc_mode, (uint32_t)mode);
    pm_gc_set_thresholds(defaults[mode]);
}

enum pm_gc_mode pm_gc_get_mode(void)
{
    return (enum pm_gc_mode)pm_load_relaxed(&pm_gc_mode);
}

void pm_gc_set_debug(unsigned flags)
{
    pm_store_relaxed(&pm_gc_debug, flags);
}

unsigned pm_gc_get_debug(void)
{
    return pm_load_relaxed(&pm_gc_debug);
}

/* ---- callbacks ---- */

bool pm_gc_add_callback(pm_gc_callback callback, void *arg)
{
    pm_gc_lock();
    bool room = callbacks_count < PM_GC_CALLBACKS_MAX;
    if (room) {
        callbacks[callbacks_count].call = callback;
        callbacks[callbacks_count++].arg = arg;
    }
    pm_gc_unlock();
    if (!room)
        errno = ENOSPC;
    return room;
}

bool pm_gc_remove_callback(pm_gc_callback callback, void *arg)
{
    unsigned i = 0;
    pm_gc_lock();
    while (i < callbacks_count && (callbacks[i].call != callback || callbacks[i].arg != arg))
        i++;
    bool found = i < callbacks_count;
    if (found)
        memmove(&callbacks[i], &callbacks[i + 1], (--callbacks_count - i) * sizeof *callbacks);
    pm_gc_unlock();
    return found;
}

void pm_gc_call_callbacks(const struct pm_gc_info *info)
{
    __typeof__(*callbacks) now[PM_GC_CALLBACKS_MAX];
    pm_gc_lock();
    unsigned count = callbacks_count;
    memcpy(now, callbacks, count * sizeof *now);
    pm_gc_unlock();
    for (unsigned i = 0; i < count; i++)
        now[i].call(info, now[i].arg);
}

/* ---- garbage ---- */

bool pm_gc_add_garbage(struct pm_object *object)
{
    bool room = true;
    pm_gc_lock();
    if (garbage_count == garbage_room) {
        size_t more = garbage_room == 0 ? 64 : garbage_room * 2;
        struct pm_object **grown = pm_raw_realloc(garbage, more * sizeof *garbage);
        room = grown != NULL;
        if (room) {
            garbage = grown;
            garbage_room = more;
        }
    }
    if (room)
        garbage[garbage_count++] = object;
    pm_gc_unlock();
    return room;
}

size_t pm_gc_get_garbage(struct pm_object **found, size_t room)
{
    pm_object_require_thread("pm_gc_get_garbage", NULL);
    pm_gc_lock();
    size_t count = garbage_count;
    for (size_t i = 0; i < count && i < room; i++) {
        found[i] = garbage[i];
        pm_incref(found[i]);
    }
    pm_gc_unlock();
    return count;
}

void pm_gc_clear_garbage(void)
{
    pm_object_require_thread("pm_gc_clear_garbage", NULL);
    pm_gc_lock();
    struct pm_object **objects = garbage;
    size_t count = garbage_count;
    garbage = NULL;
    garbage_count = garbage_room = 0;
    pm_gc_unlock();
    for (size_t i = 0; i < count; i++)
        pm_decref(objects[i]);
    pm_raw_free(objects);
}

/* ---- figures ---- */

void pm_gc_note_collection(unsigned generation, const struct pm_gc_result *result)
{
    pm_gc_lock();
    stats.generations[generation].collections++;
    stats.generations[generation].collected += result->collected;
    stats.generations[generation].uncollectable += result->uncollectable;
    pm_gc_unlock();
}

void pm_gc_note_pause(uint64_t ns)
{
    unsigned i = 0;
    while (i < PM_GC_PAUSES - 1 && ns / 1000 >> i != 0)
        i++;
    pm_gc_lock();
    stats.pauses[i]++;
    stats.pause_ns += ns;
    if (ns > stats.pause_ns_max)
        stats.pause_ns_max = ns;
    pm_gc_unlock();
}

void pm_gc_note_put_off(void)
{
    pm_gc_lock();
    stats.put_off++;
    pm_gc_unlock();
}

void pm_gc_get_stats(struct pm_gc_stats *to)
{
    pm_gc_lock();
    *to = stats;
    pm_gc_unlock();
    to->registered = pm_gc_register_count();
    to->long_lived = pm_gc_long_lived();
}
