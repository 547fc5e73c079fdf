/* SPDX-License-Identifier: MIT */
/*
 * Which strings are interned: those of literals that look like names, and what a program asks for.
 * The table is that of intern.c. Attached threads.
 */
#include "object/value.h"

#include <errno.h>
#include <string.h>

static bool intern_object(const char *function, struct pm_object **object, bool for_ever)
{
    pm_object_require_type(function, *object, &pm_str_type);
    pm_object_require_thread(function, *object);
    struct pm_str *string = (struct pm_str *)*object;
    if (!for_ever && pm_str_has_interned(string))
        return true;
    struct pm_str *interned = NULL;
    if (!for_ever)
        interned = pm_intern_find(pm_str_hash(string), string->text, string->var.count);
    if (interned == NULL)
        interned = pm_intern_put(string, for_ever);
    if (interned == NULL)
        return false;
    if (interned != string) {
        *object = &interned->var.object;
        pm_decref(&string->var.object);
    }
    return true;
}

bool pm_str_intern(struct pm_object **string)
{
    return intern_object("pm_str_intern", string, false);
}

bool pm_str_intern_immortal(struct pm_object **string)
{
    return intern_object("pm_str_intern_immortal", string, true);
}

struct pm_object *pm_str_interned(const char *text, size_t bytes)
{
    if (pm_object_self.mine >> 16 == 0)
        pm_object_fatal_unattached(&pm_str_type);
    struct pm_str *found = pm_intern_find(pm_hash_bytes(text, bytes), text, bytes);
    if (found != NULL)
        return &found->var.object;
    struct pm_object *object = pm_str_new(text, bytes);
    if (object != NULL && !intern_object("pm_str_interned", &object, false)) {
        pm_decref(object);
        errno = ENOMEM;
        return NULL;
    }
    return object;
}

/* What CPython interns of its constants (all_name_chars of codeobject.c). */
static bool is_name(const char *text)
{
    for (; *text != '\0'; text++) {
        char lower = (char)(*text | 0x20);
        if (!(lower >= 'a' && lower <= 'z') && !(*text >= '0' && *text <= '9') && *text != '_')
            return false;
    }
    return true;
}

struct pm_object *pm_str_literal(const char *text)
{
    size_t bytes = strlen(text);
    return is_name(text) ? pm_str_interned(text, bytes) : pm_str_new(text, bytes);
}

bool pm_str_is_interned(const struct pm_object *string)
{
    pm_object_require_type("pm_str_is_interned", string, &pm_str_type);
    return pm_str_has_interned((const struct pm_str *)string);
}
