/* SPDX-License-Identifier: MIT */
/*
 * What loading.c loads. With PLUGIN_LINKED it is linked to libpoolmalloc.so and calls pm_ names
 * beside the usual ones; else it knows nothing of it. Its thread-local variable is of the dynamic
 * kind and large: the C library allocates it with malloc, at the first touch in each thread, and
 * frees it when the thread ends or the plugin is unloaded.
 */
#include "life.h"

#if PLUGIN_LINKED
#include "poolmalloc/poolmalloc.h"
#endif

#include <stdlib.h>
#include <string.h>

#define VISIBLE __attribute__((visibility("default")))

VISIBLE void *plugin_use(void *theirs);

enum { local_bytes = 20000 };

static __thread char local[local_bytes];
static void *from_constructor;

/* Frees a block that its caller made with malloc, and returns one that the caller shall free. */
void *plugin_use(void *theirs)
{
    struct rng rng = rng_make(121, 0);
    memset(local, 1, sizeof local);
    use_heap(&rng, 1); /* by the names of life.c as it was built for the plugin: the usual ones */
#if PLUGIN_LINKED
    void *pooled = pm_malloc(1000);
    CHECK(pooled && pm_malloc_usable_size(pooled) >= 1000, "no block of poolmalloc's");
    memset(pooled, 2, 1000);
    pm_free(pooled);
#endif
    free(theirs);
    char *text = strdup("of the C library");
    CHECK(text, "no text");
    return text;
}

static __attribute__((constructor)) void start(void)
{
    from_constructor = malloc(3000);
    CHECK(from_constructor, "no block in a constructor");
}

static __attribute__((destructor)) void stop(void)
{
    free(from_constructor);
    free(malloc(30));
}
