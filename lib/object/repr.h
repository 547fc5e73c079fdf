/* SPDX-License-Identifier: MIT */
/*
 * What pm_repr is made of (poolmalloc/values.h): text that grows, and what the built-in types
 * write.
 *
 *   repr.c        whose turn it is, containers within themselves; tuples, lists, dictionaries
 *   repr_text.c   strings and bytes    printable.c   what of a string is shown as it is
 *   writer.c      the text
 */
#ifndef PM_OBJECT_REPR_H
#define PM_OBJECT_REPR_H

#include "object/value.h"

/* All zero at first, and in the end pm_writer_finish: what comes after an error does nothing. */
struct pm_writer {
    char *text;
    size_t bytes, room;
    int error; /* an errno */
};

void pm_writer_add(struct pm_writer *writer, const char *text, size_t bytes);
/* A string, of which the reference goes over to the writer; NULL: an error, of which errno says
 * what it was. */
void pm_writer_add_str(struct pm_writer *writer, struct pm_object *string);
/* All that was written, which is good UTF-8, as a string. NULL with errno. */
struct pm_object *pm_writer_finish(struct pm_writer *writer);

/* The functions of the types. */
struct pm_object *pm_str_repr(struct pm_object *object);
struct pm_object *pm_bytes_repr(struct pm_object *object);
struct pm_object *pm_list_repr(struct pm_object *object);
struct pm_object *pm_tuple_repr(struct pm_object *object);
struct pm_object *pm_dict_repr(struct pm_object *object);

/* By a thread that ends, perhaps within a repr: nothing is being described any more. */
void pm_repr_forget(void);

/* Whether repr() of a string has the code point as it is. */
bool pm_is_printable(uint32_t point);

#endif
