/* SPDX-License-Identifier: MIT */
/*
 * The machine that the os layer's double pretends to be, for tests only: larger pages, fewer
 * address bits. See os.h. Every call is looked at as such a machine would.
 */
#define _GNU_SOURCE /* secure_getenv */
#include "base/atomic.h"
#include "base/bits.h"
#include "base/report.h"
#include "os/os.h"

#include <stdlib.h>
#include <string.h>

/* Sanitizers have their shadow below the highest addresses. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
enum { ADDRESS_BITS_USUAL = 47 };
#else
enum { ADDRESS_BITS_USUAL = 46 };
#endif
enum { ADDRESS_BITS_MIN = 32, ADDRESS_BITS_MAX = 47 };
#define LOWEST_PLACE ((uintptr_t)1 << 30) /* below it programs may be loaded */

/* Relaxed: all who read the environment write the same; tests set it while they are alone. */
static _Atomic bool is_read;
static _Atomic size_t page_bytes;
static _Atomic unsigned address_bits;
/* Everything above was tried; 0: nothing was. */
static _Atomic uintptr_t tried_from;
static _Atomic uintptr_t set_place;
static _Atomic bool secure;
/* Written before `is_read`, by whoever reads the environment: all write the same. */
static char settings_path[256];
static char root[64]; /* set by tests while they are alone */

void pm_os_double_set_machine(size_t bytes, unsigned bits)
{
    pm_store_relaxed(&page_bytes, bytes);
    pm_store_relaxed(&address_bits, bits);
    pm_store_relaxed(&tried_from, 0);
    pm_store_relaxed(&is_read, true);
}

static size_t number_after(const char *text, const char *name)
{
    const char *at = text ? strstr(text, name) : NULL;
    return at ? strtoul(at + strlen(name), NULL, 10) : 0;
}

static void read_settings_path(const char *text)
{
    static const char name[] = "settings=";
    const char *at = text ? strstr(text, name) : NULL;
    if (at != NULL)
        pm_format(settings_path, sizeof settings_path, "%s", at + strlen(name));
}

static void read_environment(void)
{
    if (pm_load_relaxed(&is_read))
        return;
    const char *text = secure_getenv("POOLMALLOC_OS_DOUBLE");
    size_t bytes = number_after(text, "page_bytes=");
    size_t bits = number_after(text, "address_bits=");
    if ((bytes != 0 && !pm_is_pow2(bytes)) ||
        (bits != 0 && (bits < ADDRESS_BITS_MIN || bits > ADDRESS_BITS_MAX))) {
        pm_warn("POOLMALLOC_OS_DOUBLE=%s: page_bytes is a power of two, address_bits %u to %u",
                text, (unsigned)ADDRESS_BITS_MIN, (unsigned)ADDRESS_BITS_MAX);
        abort();
    }
    read_settings_path(text);
    pm_store_relaxed(&secure, number_after(text, "secure=") != 0);
    pm_os_double_set_machine(bytes, (unsigned)bits);
}

bool pm_os_double_is_secure(void)
{
    read_environment();
    return pm_load_relaxed(&secure);
}

void pm_os_double_set_root(const char *path)
{
    pm_format(root, sizeof root, "%s", path);
}

const char *pm_os_double_root(void)
{
    return root;
}

const char *pm_os_double_settings_path(void)
{
    read_environment();
    return settings_path[0] != 0 ? settings_path : PM_OS_SETTINGS_PATH;
}

size_t pm_os_double_page_bytes(size_t real_page_bytes)
{
    read_environment();
    size_t bytes = pm_load_relaxed(&page_bytes);
    return bytes > real_page_bytes ? bytes : real_page_bytes;
}

void pm_os_double_check_pages(const void *start, size_t bytes)
{
    if ((((uintptr_t)start | bytes) & (pm_os_page_bytes() - 1)) != 0) {
        pm_warn("%p and %zu bytes are not whole pages", start, bytes);
        pm_fatal_check(__FILE__, __LINE__, "the system is asked for whole pages");
    }
}

void pm_os_double_set_place(uintptr_t address)
{
    pm_store_relaxed(&set_place, address);
}

bool pm_os_double_is_set_place(uintptr_t place)
{
    if (place != pm_load_relaxed(&set_place))
        return false;
    pm_store_relaxed(&set_place, 0);
    return true;
}

uintptr_t pm_os_double_place(size_t bytes)
{
    read_environment();
    unsigned bits = pm_load_relaxed(&address_bits);
    if (pm_load_relaxed(&set_place) != 0)
        return pm_load_relaxed(&set_place);
    if (bits == 0 && pm_load_relaxed(&page_bytes) == 0)
        return PM_OS_ANYWHERE;
    uintptr_t end = (uintptr_t)1 << (bits != 0 ? bits : ADDRESS_BITS_USUAL);
    uintptr_t tried = pm_load_relaxed(&tried_from), place;
    do {
        uintptr_t from = tried != 0 ? tried : end;
        if (bytes > from - LOWEST_PLACE)
            return PM_OS_NOWHERE;
        place = (from - bytes) & ~(pm_os_page_bytes() - 1);
    } while (!pm_cas_acq_rel(&tried_from, &tried, place));
    return place;
}
