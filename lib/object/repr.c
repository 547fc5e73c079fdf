/* SPDX-License-Identifier: MIT */
/*
 * Objects as text, as Python's repr() has them: what their types say, and what tuples, lists and
 * dictionaries do. Attached threads.
 *
 * Whoever describes items has references to them, and no lock: what is called may do anything, to
 * the container, too. Those of a list or dictionary are what it had at one moment.
 */
#include "object/repr.h"
#include "object/dict.h"
#include "object/list.h"

#include <string.h>

/* ---- any object ---- */

/* The objects that the thread is describing, each as a part of the one outside of it. */
struct turn {
    const struct pm_object *object;
    const struct turn *outer;
};

static __thread const struct turn *innermost;

void pm_repr_forget(void)
{
    innermost = NULL;
}

static bool is_within_itself(const struct pm_object *object)
{
    const struct turn *turn = innermost;
    while (turn != NULL && turn->object != object)
        turn = turn->outer;
    return turn != NULL;
}

/* Instead of an object within itself. */
static struct pm_object *ellipsis(const struct pm_type *type)
{
    return pm_str_literal(type == &pm_list_type    ? "[...]"
                          : type == &pm_tuple_type ? "(...)"
                          : type == &pm_dict_type  ? "{...}"
                                                   : "...");
}

static struct pm_object *ask(const struct pm_type *type, struct pm_object *object)
{
    struct pm_object *string = type->repr(object);
    if (string != NULL && pm_object_type(string) != &pm_str_type)
        pm_object_fatal_type(type, "its repr gives an object that is no str");
    return string;
}

struct pm_object *pm_repr(struct pm_object *object)
{
    const struct pm_type *type = pm_object_type(object);
    pm_object_require_thread("pm_repr", object);
    if (type->repr == NULL)
        return pm_str_format("<%s object at %p>", type->name, (void *)object);
    if ((type->flags & PM_TYPE_PLAIN) != 0) /* nothing is within it */
        return ask(type, object);
    if (is_within_itself(object))
        return ellipsis(type);
    if (!pm_nesting_enter())
        return NULL;
    const struct turn turn = {object, innermost};
    innermost = &turn;
    struct pm_object *string = ask(type, object);
    innermost = turn.outer;
    pm_nesting_leave();
    return string;
}

/* ---- containers ---- */

static void add_separator(struct pm_writer *writer, size_t i)
{
    if (i > 0)
        pm_writer_add(writer, ", ", 2);
}

/* `one_closed`: the end of a single item. */
static struct pm_object *repr_of_items(struct pm_object *sequence, const char *open,
                                       const char *one_closed, const char *closed)
{
    struct pm_writer writer = {0};
    struct pm_items held;
    if (!pm_items_take(&held, sequence))
        return NULL;
    pm_writer_add(&writer, open, strlen(open));
    for (size_t i = 0; writer.error == 0 && i < held.count; i++) {
        add_separator(&writer, i);
        pm_writer_add_str(&writer, pm_repr(held.items[i]));
    }
    if (held.count == 1)
        closed = one_closed;
    pm_writer_add(&writer, closed, strlen(closed));
    pm_items_drop(&held);
    return pm_writer_finish(&writer);
}

struct pm_object *pm_list_repr(struct pm_object *object)
{
    return repr_of_items(object, "[", "]", "]");
}

struct pm_object *pm_tuple_repr(struct pm_object *object)
{
    return repr_of_items(object, "(", ",)", ")");
}

struct pm_object *pm_dict_repr(struct pm_object *object)
{
    struct pm_writer writer = {0};
    struct pm_pairs held;
    if (!pm_pairs_take(&held, (struct pm_dict *)object))
        return NULL;
    pm_writer_add(&writer, "{", 1);
    for (size_t i = 0; writer.error == 0 && i < held.count; i++) {
        add_separator(&writer, i);
        pm_writer_add_str(&writer, pm_repr(held.pairs[i].key));
        pm_writer_add(&writer, ": ", 2);
        if (writer.error == 0)
            pm_writer_add_str(&writer, pm_repr(held.pairs[i].value));
    }
    pm_writer_add(&writer, "}", 1);
    pm_pairs_drop(&held);
    return pm_writer_finish(&writer);
}
