/* SPDX-License-Identifier: MIT */
/* Each check of the object layer's structures sees what is wrong with one, and says so. */
#include "object/gc_testing.h"
#include "object/qsbr_internal.h"
#include "object/value.h"
#include "object/weak_table.h"
#include "poolmalloc/domains.h"
#include "poolmalloc/values.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

/* ---- one object, and one structure after the other ---- */

static bool stopped_check(void)
{
    pm_world_stop("test", true);
    bool right = pm_gc_check();
    pm_world_start();
    return right;
}

static bool all_are_right(void)
{
    return stopped_check() && pm_qsbr_check();
}

/* In a child, whose assertions would end it otherwise: it breaks something, then looks. */
static bool tells(void (*break_one)(const void *), const char *what)
{
    char text[1024];
    int status = test_stderr_of(break_one, NULL, text, sizeof text);
    if (status == 0 && strstr(text, what) != NULL)
        return true;
    fprintf(stderr, "expected \"%s\"; status %d, stderr: %s\n", what, status, text);
    return false;
}

static void what_is_whole_is_right(void **state)
{
    (void)state;
    struct pm_object *ring = node_ring(NODE_PLAIN, 100);
    test_gc_choose(TOO_LARGE);
    struct pm_object *large = node_ring(NODE_PLAIN, 100);
    test_gc_choose(IN_POOLS);
    struct pm_object *weakref = pm_weakref_new(ring, NULL, NULL);
    struct pm_object *string = pm_str_interned("string", 6);
    assert_true(pm_object_set_deferred(ring));
    test_in_thread(test_drop, test_box_new());
    pm_qsbr_defer(pm_raw_free, pm_raw_malloc(10), 10);
    assert_true(all_are_right());
    node_collect();
    assert_true(all_are_right());
    pm_decref(ring);
    pm_decref(large);
    pm_decref(weakref);
    pm_decref(string);
    pm_safepoint();
    assert_int_equal(node_collect(), 200);
    assert_true(all_are_right());
}

/* ---- the collector ---- */

static void lose_node(const void *arg)
{
    (void)arg;
    test_gc_choose(TOO_LARGE);
    struct pm_object *object = node_new();
    struct pm_gc_node *node = pm_gc_register_find(object);
    do
        node->object++;
    while (pm_gc_register_find(node->object) == node); /* the same list, by chance */
    require(!stopped_check());
}

static void lose_count(const void *arg)
{
    (void)arg;
    test_gc_choose(TOO_LARGE);
    struct pm_gc_node *node = pm_gc_register_find(node_new());
    while (pm_gc_register_find(node->object) == node && node->next == NULL)
        node = pm_gc_register_find(node_new()); /* until there are two in a list */
    node->next = node->next->next;
    require(!stopped_check());
}

static void a_register_is_looked_over(void **state)
{
    (void)state;
    assert_true(tells(lose_node, "is where nobody looks for it"));
    assert_true(tells(lose_count, "register check: "));
}

static void lose_mark(const void *arg)
{
    (void)arg;
    pm_gc_clear_mark(pm_gc_unit_of(pm_gc_offset(node_new())), GC_HAS_YOUNG);
    require(!stopped_check());
}

static void leave_unit(const void *arg)
{
    (void)arg;
    pm_store_relaxed(&pm_gc_table.units[pm_gc_unit_of(pm_gc_offset(node_new()))].blocks, 5);
    require(!stopped_check());
}

static void leave_word(const void *arg)
{
    (void)arg;
    pm_store_relaxed(&pm_gc_table.words[100], GC_REACHED);
    require(!stopped_check());
}

static void so_are_the_tables_beside_the_pools(void **state)
{
    (void)state;
    assert_true(tells(lose_mark, "is young, and its unit is not marked"));
    assert_true(tells(leave_unit, "takes part in a collection, with 5 blocks"));
    assert_true(tells(leave_word, "word 100 is 3 between collections"));
}

/* ---- the others ---- */

static void lose_referent(const void *arg)
{
    (void)arg;
    struct pm_object *object = node_new();
    struct pm_weakref *weakref = (struct pm_weakref *)pm_weakref_new(object, NULL, NULL);
    weakref->previous = weakref;
    require(!stopped_check());
}

static void change_hash(const void *arg)
{
    (void)arg;
    struct pm_str *string = (struct pm_str *)pm_str_interned("string", 6);
    uint64_t hash = pm_load_relaxed(&string->hash);
    pm_store_relaxed(&string->hash, hash ^ 1ull << 63);
    require(!stopped_check());
}

static void lose_string(const void *arg)
{
    (void)arg;
    struct pm_str *one = (struct pm_str *)pm_str_interned("one", 3);
    uint64_t hash = pm_load_relaxed(&one->hash);
    pm_store_relaxed(&one->hash, hash ^ 16); /* half of the cells further on, all of them free */
    require(!stopped_check());
}

static void tables_of_weak_references_and_strings(void **state)
{
    (void)state;
    assert_true(tells(lose_referent, "weak table check: "));
    assert_true(tells(change_hash, "intern check: the string"));
    assert_true(tells(lose_string, "intern check: the string"));
}

static void forget_flag(const void *arg)
{
    (void)arg;
    struct pm_object *object = node_new();
    require(pm_object_set_deferred(object));
    object->flags &= (uint8_t)~PM_OBJECT_DEFERRED;
    require(!stopped_check());
}

static void registers_of_deferred_objects(void **state)
{
    (void)state;
    assert_true(tells(forget_flag, "deferred check: type node: "));
}

static void miscount_bytes(const void *arg)
{
    (void)arg;
    test_in_thread(test_drop, test_box_new());
    pm_object_thread.slot->queued_bytes++;
    require(!stopped_check());
}

static void overfill(const void *arg)
{
    (void)arg;
    pm_object_thread.slot->few_count = PM_QUEUE_FEW + 1;
    require(!stopped_check());
}

static void lose_thread(const void *arg)
{
    struct pm_slot *slot = pm_object_thread.slot;
    (void)arg;
    pm_world_stop("test", true);
    slot->self = NULL;
    require(!pm_gc_check());
}

static void note_nothing(void *arg)
{
    (void)arg;
}

static void run_free_one(const void *arg)
{
    (void)arg;
    test_in_thread(note_nothing, NULL); /* its slot is free now */
    struct pm_slot *slot = pm_slot_of(pm_object_thread.slot->number + 1);
    slot->state = PM_SLOT_PAUSED;
    slot->self = &pm_object_self;
    require(!stopped_check());
}

static void slots_and_their_queues(void **state)
{
    (void)state;
    assert_true(tells(miscount_bytes, "slot check: "));
    assert_true(tells(overfill, "more than it has room for"));
    assert_true(tells(lose_thread, "without a thread"));
    assert_true(tells(run_free_one, "among the free ones"));
}

static void defer_one(void)
{
    pm_qsbr_defer(pm_raw_free, pm_raw_malloc(10), 10);
}

static void attach_until_the_end(void *arg)
{
    pthread_barrier_wait(arg);
    pthread_barrier_wait(arg);
}

/* A batch that waits for another thread. */
static void close_one(void)
{
    static pthread_barrier_t barrier;
    static struct test_call call = {attach_until_the_end, &barrier};
    pthread_t thread;
    pthread_barrier_init(&barrier, NULL, 2);
    require(pthread_create(&thread, NULL, test_attached, &call) == 0);
    pthread_barrier_wait(&barrier);
    defer_one();
    pm_qsbr_poll();
    require(pm_qsbr_self.closed.first != NULL && pm_qsbr_check());
}

static void miscount_items(const void *arg)
{
    (void)arg;
    close_one();
    pm_qsbr_self.closed.load.items++;
    require(!pm_qsbr_check());
}

static void empty_batch(const void *arg)
{
    (void)arg;
    close_one();
    pm_qsbr_self.closed.first->load.items = 0;
    require(!pm_qsbr_check());
}

static void batches_that_wait(void **state)
{
    (void)state;
    assert_true(tells(miscount_items, "items wait, of which"));
    assert_true(tells(empty_batch, "qsbr check: a batch of 0 items"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_whole_is_right),
        cmocka_unit_test(a_register_is_looked_over),
        cmocka_unit_test(so_are_the_tables_beside_the_pools),
        cmocka_unit_test(tables_of_weak_references_and_strings),
        cmocka_unit_test(registers_of_deferred_objects),
        cmocka_unit_test(slots_and_their_queues),
        cmocka_unit_test(batches_that_wait),
    };
    require(pm_object_thread_attach());
    pm_gc_disable();
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    pm_object_thread_detach();
    return failed;
}
