/* SPDX-License-Identifier: MIT */
/*
 * mallctl: from a name, or the numbers of its parts, to its row, and from there to the value. See
 * jemalloc.h and mallctl.h. Any thread.
 *
 * A number of a part is what stands there, or of a word the first row that has the same beginning
 * up to and with it: rows with one beginning stand together. So the number of the last word is that
 * of the row, and a row has one list of numbers only.
 */
#include "api/mallctl.h"

#include "api/alias.h"
#include "api/jemalloc.h"

#include <errno.h>
#include <string.h>

_Static_assert(sizeof(size_t) == 8 && sizeof(void *) == 8 && sizeof(bool) == 1, "widths");

/* Servers ask for hundreds of names a second; strcspn would make a table of bytes each time. */
static size_t part_bytes(const char *text)
{
    size_t bytes = 0;
    while (text[bytes] != 0 && text[bytes] != '.')
        bytes++;
    return bytes;
}

static bool is_index(const char *part)
{
    return part[0] == '<';
}

static const char *next_part(const char *part)
{
    const char *end = part + part_bytes(part);
    return *end ? end + 1 : NULL;
}

static bool same_part(const char *one, const char *two)
{
    size_t bytes = part_bytes(one);
    return bytes == part_bytes(two) && memcmp(one, two, bytes) == 0;
}

/* Decimal digits, and few enough that the number fits; returns what follows, or NULL. */
static const char *parse_index(const char *name, size_t *index)
{
    const char *at = name;
    *index = 0;
    for (; *at >= '0' && *at <= '9'; at++) {
        if (at - name == 9)
            return NULL;
        *index = *index * 10 + (size_t)(*at - '0');
    }
    return at > name ? at : NULL;
}

static unsigned index_shift(const char *part)
{
    return part[1] == 'j' ? PM_CTL_SECOND_SHIFT : 0;
}

/* Whether the name is one that the row stands for; *index: what is in it, else 0. */
static bool matches(const struct pm_ctl *ctl, const char *name, size_t *index)
{
    const char *row = ctl->name;
    *index = 0;
    while (*row != 0) {
        size_t number;
        if (!is_index(row)) {
            if (*row++ != *name++)
                return false;
            continue;
        }
        name = parse_index(name, &number);
        if (name == NULL)
            return false;
        *index |= number << index_shift(row);
        row += strlen("<i>");
    }
    return *name == 0;
}

static const struct pm_ctl *find_name(const char *name, size_t *index)
{
    for (size_t i = 0; i < pm_ctl_count; i++) {
        if (matches(&pm_ctl_rows[i], name, index))
            return pm_ctl_has_index(&pm_ctl_rows[i], *index) ? &pm_ctl_rows[i] : NULL;
    }
    return NULL;
}

/* Whether the rows have the same first parts, `depth` of them. */
static bool same_parts(const char *one, const char *two, unsigned depth)
{
    for (; depth > 0; depth--) {
        if (one == NULL || two == NULL || !same_part(one, two))
            return false;
        one = next_part(one);
        two = next_part(two);
    }
    return true;
}

/* The numbers of a row's parts; returns how many. */
static unsigned numbers_of(const struct pm_ctl *ctl, size_t index, size_t numbers[PM_CTL_DEPTH_MAX])
{
    unsigned depth = 0;
    for (const char *part = ctl->name; part != NULL; part = next_part(part)) {
        const struct pm_ctl *first = ctl;
        while (first > pm_ctl_rows && same_parts(first[-1].name, ctl->name, depth + 1))
            first--;
        size_t number = (size_t)(first - pm_ctl_rows);
        if (is_index(part))
            number = index_shift(part) ? pm_ctl_second(index) : pm_ctl_first(index);
        numbers[depth++] = number;
    }
    return depth;
}

static const struct pm_ctl *find_numbers(const size_t *mib, size_t miblen, size_t *index)
{
    size_t numbers[PM_CTL_DEPTH_MAX];
    if (miblen == 0 || miblen > PM_CTL_DEPTH_MAX || mib[miblen - 1] >= pm_ctl_count)
        return NULL;
    const struct pm_ctl *ctl = &pm_ctl_rows[mib[miblen - 1]];
    unsigned depth = 0;
    *index = 0;
    for (const char *part = ctl->name; part != NULL && depth < miblen; part = next_part(part)) {
        if (is_index(part)) /* what does not fit is found different below */
            *index |= pm_ctl_first(mib[depth]) << index_shift(part);
        depth++;
    }
    bool same = numbers_of(ctl, *index, numbers) == miblen &&
                memcmp(numbers, mib, miblen * sizeof *mib) == 0;
    return same && pm_ctl_has_index(ctl, *index) ? ctl : NULL;
}

static size_t width_of(const struct pm_ctl *ctl)
{
    switch (ctl->kind) {
    case PM_CTL_VOID:
        return 0;
    case PM_CTL_BOOL:
        return sizeof(bool);
    case PM_CTL_UNSIGNED:
        return sizeof(unsigned);
    default:
        return sizeof(uint64_t);
    }
}

/* As much as both lengths allow, even if they differ. */
static int give(const struct pm_ctl *ctl, uint64_t value, void *oldp, size_t *oldlenp)
{
    size_t width = width_of(ctl), bytes = *oldlenp < width ? *oldlenp : width;
    unsigned number = (unsigned)value;
    bool flag = value != 0;
    if (ctl->kind == PM_CTL_BOOL)
        memcpy(oldp, &flag, bytes);
    else if (ctl->kind == PM_CTL_UNSIGNED)
        memcpy(oldp, &number, bytes);
    else
        memcpy(oldp, &value, bytes);
    if (*oldlenp == width)
        return 0;
    *oldlenp = bytes;
    return EINVAL;
}

static uint64_t taken(const struct pm_ctl *ctl, const void *newp)
{
    unsigned number;
    uint64_t value;
    if (ctl->kind == PM_CTL_BOOL)
        return *(const unsigned char *)newp != 0;
    if (ctl->kind == PM_CTL_UNSIGNED) {
        memcpy(&number, newp, sizeof number);
        return number;
    }
    memcpy(&value, newp, sizeof value);
    return value;
}

/* What is made is lost unless the caller learns of it. */
static int make(const struct pm_ctl *ctl, void *oldp, size_t *oldlenp)
{
    uint64_t index;
    if (oldp == NULL || oldlenp == NULL)
        return EINVAL;
    if (*oldlenp != width_of(ctl)) {
        *oldlenp = 0;
        return EINVAL;
    }
    int error = ctl->make(&index);
    return error ? error : give(ctl, index, oldp, oldlenp);
}

static int access_value(const struct pm_ctl *ctl, size_t index, void *oldp, size_t *oldlenp,
                        const void *newp, size_t newlen)
{
    bool reads = oldp != NULL || oldlenp != NULL, writes = newp != NULL || newlen != 0;
    bool readable = ctl->get != NULL || ctl->make != NULL;
    bool writable = ctl->set != NULL && ctl->kind != PM_CTL_VOID;
    if ((reads && !readable) || (writes && !writable))
        return EPERM;
    if (ctl->kind == PM_CTL_VOID)
        return ctl->set(ctl, index, 0);
    if (ctl->make != NULL)
        return make(ctl, oldp, oldlenp);
    if (newp != NULL ? newlen != width_of(ctl) : !readable)
        return EINVAL;
    int error = 0;
    if (newp != NULL && ctl->set_first)
        error = ctl->set(ctl, index, taken(ctl, newp));
    if (error == 0 && oldp != NULL && oldlenp != NULL)
        error = give(ctl, ctl->get(ctl, index), oldp, oldlenp);
    if (error == 0 && newp != NULL && !ctl->set_first)
        error = ctl->set(ctl, index, taken(ctl, newp));
    return error;
}

int pm_je_mallctl(const char *name, void *oldp, size_t *oldlenp, void *newp, size_t newlen)
{
    size_t index;
    int saved_errno = errno;
    const struct pm_ctl *ctl = find_name(name, &index);
    int error = ctl ? access_value(ctl, index, oldp, oldlenp, newp, newlen) : ENOENT;
    errno = saved_errno;
    return error;
}

int pm_je_mallctlnametomib(const char *name, size_t *mibp, size_t *miblenp)
{
    size_t index, numbers[PM_CTL_DEPTH_MAX];
    const struct pm_ctl *ctl = find_name(name, &index);
    if (ctl == NULL)
        return ENOENT;
    unsigned depth = numbers_of(ctl, index, numbers);
    if (*miblenp > depth)
        *miblenp = depth;
    memcpy(mibp, numbers, *miblenp * sizeof *mibp);
    return 0;
}

int pm_je_mallctlbymib(const size_t *mib, size_t miblen, void *oldp, size_t *oldlenp, void *newp,
                       size_t newlen)
{
    size_t index;
    int saved_errno = errno;
    const struct pm_ctl *ctl = find_numbers(mib, miblen, &index);
    int error = ctl ? access_value(ctl, index, oldp, oldlenp, newp, newlen) : ENOENT;
    errno = saved_errno;
    return error;
}

#if PM_OVERRIDE
int mallctl(const char *name, void *oldp, size_t *oldlenp, void *newp, size_t newlen)
    SAME_AS(pm_je_mallctl);
int mallctlnametomib(const char *name, size_t *mibp, size_t *miblenp)
    SAME_AS(pm_je_mallctlnametomib);
int mallctlbymib(const size_t *mib, size_t miblen, void *oldp, size_t *oldlenp, void *newp,
                 size_t newlen) SAME_AS(pm_je_mallctlbymib);
#endif
