/* SPDX-License-Identifier: MIT */
/* Types, birth, death. */
#include "object/testing.h"

#include "poolmalloc/domains.h"
#include "poolmalloc/gc_pools.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

static void the_header_has_16_bytes_and_names_its_type(void **state)
{
    (void)state;
    assert_int_equal(sizeof(struct pm_object), 16);
    struct pm_object *object = test_box_new();
    assert_ptr_equal(pm_object_type(object), &test_box_type);
    assert_int_equal(pm_object_bytes(object), sizeof(struct test_box));
    assert_null(((struct test_box *)object)->next);
    assert_int_equal(pm_refcount(object), 1);
    assert_true(pm_is_unique(object));
    pm_decref(object);
}

static struct pm_type row_type = {
    .name = "row",
    .size = sizeof(struct pm_var_object),
    .item_size = 24,
};

static void an_object_with_items_has_room_for_all_of_them_and_they_are_zero(void **state)
{
    (void)state;
    for (size_t count = 0; count < 3000; count = count * 2 + 1) {
        struct pm_var_object *row = pm_object_new_var(&row_type, count);
        assert_non_null(row);
        assert_int_equal(row->count, count);
        assert_int_equal(pm_object_bytes(&row->object), sizeof *row + count * 24);
        assert_true(pm_malloc_usable_size(row) >= sizeof *row + count * 24);
        for (size_t i = 0; i < count * 24; i++)
            assert_int_equal(((char *)(row + 1))[i], 0);
        memset(row + 1, 0xff, count * 24);
        pm_decref(&row->object);
    }
    errno = 0;
    assert_null(pm_object_new_var(&row_type, SIZE_MAX / 24));
    assert_int_equal(errno, ENOMEM);
    errno = 0;
    assert_null(pm_object_new_var(&row_type, SIZE_MAX));
    assert_int_equal(errno, ENOMEM);
}

/* ---- memory ---- */

static unsigned taken, given;
static struct pm_allocator below;

static void *hook_malloc(void *context, size_t size)
{
    (void)context;
    taken++;
    return below.malloc(below.context, size);
}

static void *hook_calloc(void *context, size_t count, size_t size)
{
    (void)context;
    taken++;
    return below.calloc(below.context, count, size);
}

static void *hook_realloc(void *context, void *ptr, size_t size)
{
    (void)context;
    return below.realloc(below.context, ptr, size);
}

static void hook_free(void *context, void *ptr)
{
    (void)context;
    given++;
    below.free(below.context, ptr);
}

struct aligned_row {
    struct pm_var_object var;
    struct {
        char bytes[16];
    } __attribute__((aligned(16))) field;
    void *items[];
};

static int visit_none(struct pm_object *object, pm_visit visit, void *arg)
{
    (void)object, (void)visit, (void)arg;
    return 0;
}

static struct pm_type aligned_rows[] = {
    {.name = "aligned row", .size = sizeof(struct aligned_row), .item_size = sizeof(void *)},
    {.name = "aligned row of a cycle",
     .size = sizeof(struct aligned_row),
     .item_size = sizeof(void *),
     .flags = PM_TYPE_GC,
     .traverse = visit_none},
};

static void a_field_before_items_is_aligned_as_it_needs_to_be(void **state)
{
    enum { SIZES = 80, EACH = 3 };
    struct pm_var_object *rows[SIZES][EACH];
    (void)state;
    for (size_t type = 0; type < 2; type++) {
        for (size_t i = 0; i < SIZES * EACH; i++) {
            struct pm_var_object *row = pm_object_new_var(&aligned_rows[type], i / EACH);
            assert_non_null(row);
            assert_int_equal((uintptr_t)row % 16, 0);
            rows[i / EACH][i % EACH] = row;
        }
        for (size_t i = 0; i < SIZES * EACH; i++)
            pm_decref(&rows[i / EACH][i % EACH]->object);
        size_t too_many = (SIZE_MAX - sizeof(struct aligned_row)) / sizeof(void *);
        assert_null(pm_object_new_var(&aligned_rows[type], too_many));
    }
}

ISOLATED(objects_live_in_the_object_domain)
{
    const struct pm_allocator hook = {NULL, hook_malloc, hook_calloc, hook_realloc, hook_free};
    require(pm_object_thread_attach());
    require(pm_get_allocator(PM_DOMAIN_OBJECT, &below));
    require(pm_set_allocator(PM_DOMAIN_OBJECT, &hook));
    struct pm_object *object = test_box_new();
    require(taken == 1 && given == 0);
    pm_decref(object);
    require(taken == 1 && given == 1);
}

static bool is_in_gc_pool(const struct pm_gc_pool *pool, void *arg)
{
    size_t offset = (size_t)(*(char **)arg - pool->first);
    return offset / pool->block_bytes >= pool->blocks; /* false: found, and that is all */
}

/* As a collector looks at it, which does not know whether there is an object. */
static bool says_dead(const struct pm_object *block)
{
    uint64_t counts = pm_gc_peek(block);
    uint32_t owned = (uint32_t)counts, shared = (uint32_t)(counts >> 32);
    return (owned & 0xffff) == 0 && (shared == 0 || shared == PM_SHARED_DEAD);
}

static struct pm_type gc_row_type = {
    .name = "gc row",
    .size = sizeof(struct pm_var_object),
    .item_size = 16,
    .flags = PM_TYPE_GC,
    .traverse = test_box_traverse,
};

ISOLATED(what_may_be_part_of_a_cycle_lies_in_a_gc_pool_unless_it_is_large)
{
    require(pm_object_thread_attach());
    struct pm_object *box = test_box_new(), *probed = test_box_new();
    struct pm_object *row = &pm_object_new_var(&row_type, 3)->object;
    struct pm_object *large = &pm_object_new_var(&gc_row_type, PM_GC_BYTES_MAX)->object;
    require(!pm_gc_pools_walk(is_in_gc_pool, &box) && !says_dead(box));
    require(pm_gc_pools_walk(is_in_gc_pool, &row));
    require(pm_gc_pools_walk(is_in_gc_pool, &large));
    require(box->flags == 0 && row->flags == 0 && large->flags == PM_OBJECT_REGISTERED);
    pm_decref(box);
    require(!pm_gc_pools_walk(is_in_gc_pool, &box) && says_dead(box)); /* a free block */
    pm_object_set_probed(probed);
    pm_decref(probed);
    require(says_dead(probed)); /* it waits for others to be quiescent */
    require(test_box_new() == box);
    pm_decref(row);
    pm_decref(large);
    pm_object_thread_detach();
}

ISOLATED(where_a_hook_sees_them_it_sees_those_too)
{
    const struct pm_allocator hook = {NULL, hook_malloc, hook_calloc, hook_realloc, hook_free};
    require(pm_object_thread_attach());
    struct pm_object *before = test_box_new();
    require(pm_get_allocator(PM_DOMAIN_OBJECT, &below));
    require(pm_set_allocator(PM_DOMAIN_OBJECT, &hook));
    struct pm_object *object = test_box_new();
    require(taken == 1 && object->flags == PM_OBJECT_REGISTERED);
    pm_decref(before); /* not the hook's */
    require(given == 0);
    require(pm_set_allocator(PM_DOMAIN_OBJECT, &below));
    struct pm_object *after = test_box_new();
    require(after->flags == 0);
    pm_decref(after);
    pm_decref(object);
}

static void *refuse(void *context, size_t count, size_t size)
{
    (void)context, (void)count, (void)size;
    errno = ENOMEM;
    return NULL;
}

ISOLATED(without_memory_there_is_no_object_and_errno_says_so)
{
    struct pm_allocator hook;
    require(pm_object_thread_attach());
    require(pm_get_allocator(PM_DOMAIN_OBJECT, &hook));
    hook.calloc = refuse;
    require(pm_set_allocator(PM_DOMAIN_OBJECT, &hook));
    errno = 0;
    require(pm_object_new(&test_box_type) == NULL && errno == ENOMEM);
}

/* ---- death ---- */

enum { MANY = 1000000 };

static struct test_box *chain(unsigned length)
{
    struct test_box *first = NULL;
    while (length-- > 0) {
        struct test_box *box = (struct test_box *)test_box_new();
        box->next = first;
        first = box;
    }
    return first;
}

static void drop_chain(void *arg)
{
    struct test_box *first = chain(*(unsigned *)arg);
    pm_decref(&first->object);
}

static void a_chain_of_a_million_dies_on_a_small_stack(void **state)
{
    (void)state;
    unsigned length = PM_TSAN || PM_SCHEDULE ? MANY / 20 : MANY, deaths = test_deaths;
    struct test_call call = {drop_chain, &length};
    pthread_attr_t small;
    pthread_t thread;
    assert_int_equal(pthread_attr_init(&small), 0);
    assert_int_equal(pthread_attr_setstacksize(&small, 256 << 10), 0);
    assert_int_equal(pthread_create(&thread, &small, test_attached, &call), 0);
    assert_int_equal(pthread_join(thread, NULL), 0);
    pthread_attr_destroy(&small);
    assert_int_equal(test_deaths - deaths, length);
}

static unsigned finalized, cleared, freed;
static struct pm_object *saved;
static bool save;

static void finalize(struct pm_object *object)
{
    require(pm_refcount(object) == 1 && cleared == freed);
    finalized++;
    if (save) {
        pm_incref(object);
        saved = object;
    }
}

static void clear(struct pm_object *object)
{
    (void)object;
    require(cleared++ == freed);
}

static void free_rest(struct pm_object *object)
{
    (void)object;
    require(++freed == cleared);
}

static struct pm_type last_words_type = {
    .name = "last words",
    .size = 40,
    .clear = clear,
    .finalize = finalize,
    .free = free_rest,
};

static void an_object_is_finalized_then_cleared_then_freed(void **state)
{
    (void)state;
    finalized = cleared = freed = 0;
    save = false;
    pm_decref(pm_object_new(&last_words_type));
    assert_int_equal(finalized, 1);
    assert_int_equal(cleared, 1);
    assert_int_equal(freed, 1);
}

static void a_finalizer_may_bring_the_object_back_and_is_not_called_again(void **state)
{
    (void)state;
    finalized = cleared = freed = 0;
    save = true;
    struct pm_object *object = pm_object_new(&last_words_type);
    pm_decref(object);
    assert_int_equal(finalized, 1);
    assert_int_equal(freed, 0);
    assert_ptr_equal(saved, object);
    assert_int_equal(pm_refcount(object), 1);
    pm_decref(object);
    assert_int_equal(finalized, 1);
    assert_int_equal(freed, 1);
}

/* The last reference of an exited thread's object is dropped by this one, which finalizes it. */
static void make_last_words(void *object)
{
    *(struct pm_object **)object = pm_object_new(&last_words_type);
}

static void an_object_may_come_back_in_another_thread_than_its_owner(void **state)
{
    (void)state;
    finalized = cleared = freed = 0;
    save = true;
    struct pm_object *object;
    test_in_thread(make_last_words, &object);
    pm_decref(object);
    assert_int_equal(finalized, 1);
    assert_int_equal(freed, 0);
    assert_true(pm_is_unique(object));
    pm_decref(object);
    assert_int_equal(freed, 1);
}

/* ---- misuse ---- */

static struct pm_type untraversed = {.name = "untraversed", .size = 32, .flags = PM_TYPE_GC};
static struct pm_type unnamed = {.size = 32};
static struct pm_type tiny = {.name = "tiny", .size = 8};
static struct pm_type tiny_row = {.name = "tiny row", .size = 16, .item_size = 8};

static void make(const void *type)
{
    pm_object_thread_attach();
    pm_object_new((struct pm_type *)type);
}

static void make_unattached(const void *type)
{
    pm_object_new((struct pm_type *)type);
}

static void types_that_cannot_be_right_are_named(void **state)
{
    (void)state;
    assert_true(test_aborts(make, &untraversed, "type untraversed: flagged PM_TYPE_GC"));
    assert_true(test_aborts(make, &unnamed, "it has no name"));
    assert_true(test_aborts(make, &tiny, "type tiny: its size is smaller"));
    assert_true(test_aborts(make, &tiny_row, "type tiny row: its size is smaller"));
}

static void *make_in_new_thread(void *type)
{
    pm_object_new(type);
    return NULL;
}

static void make_elsewhere(const void *type)
{
    pthread_t thread;
    pthread_create(&thread, NULL, make_in_new_thread, (void *)type);
    pthread_join(thread, NULL);
}

static void a_thread_that_makes_an_object_without_attaching_is_told_the_type(void **state)
{
    (void)state;
    assert_true(
        test_aborts(make_elsewhere, &test_box_type, "type box: the thread is not attached"));
    pm_object_thread_pause();
    assert_true(
        test_aborts(make_unattached, &test_box_type, "type box: the thread is not attached"));
    pm_object_thread_resume();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_header_has_16_bytes_and_names_its_type),
        cmocka_unit_test(an_object_with_items_has_room_for_all_of_them_and_they_are_zero),
        cmocka_unit_test(a_field_before_items_is_aligned_as_it_needs_to_be),
        cmocka_unit_test(objects_live_in_the_object_domain),
        cmocka_unit_test(what_may_be_part_of_a_cycle_lies_in_a_gc_pool_unless_it_is_large),
        cmocka_unit_test(where_a_hook_sees_them_it_sees_those_too),
        cmocka_unit_test(without_memory_there_is_no_object_and_errno_says_so),
        cmocka_unit_test(a_chain_of_a_million_dies_on_a_small_stack),
        cmocka_unit_test(an_object_is_finalized_then_cleared_then_freed),
        cmocka_unit_test(a_finalizer_may_bring_the_object_back_and_is_not_called_again),
        cmocka_unit_test(an_object_may_come_back_in_another_thread_than_its_owner),
        cmocka_unit_test(types_that_cannot_be_right_are_named),
        cmocka_unit_test(a_thread_that_makes_an_object_without_attaching_is_told_the_type),
    };
    require(pm_object_thread_attach());
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    pm_object_thread_detach();
    return failed;
}
