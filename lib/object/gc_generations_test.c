/* SPDX-License-Identifier: MIT */
/*
 * When there are collections, of what, and what the interface tells of them (acceptance F.10 and
 * F.11; Lib/test/test_gc.py).
 */
#include "object/gc_testing.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#include <errno.h>

static uint64_t collections_of(unsigned generation)
{
    struct pm_gc_stats stats;
    pm_gc_get_stats(&stats);
    return stats.generations[generation].collections;
}

/* All counts are 0, and so are the long-lived ones of nodes. */
static int begin(void **state)
{
    (void)state;
    pm_gc_set_mode(PM_GC_GENERATIONAL);
    pm_gc_disable();
    node_collect();
    pm_gc_enable();
    return 0;
}

static void make_held(struct pm_object **held, unsigned count)
{
    for (unsigned i = 0; i < count; i++)
        held[i] = node_new();
}

static void drop_held(struct pm_object **held, unsigned count)
{
    for (unsigned i = 0; i < count; i++)
        pm_decref(held[i]);
}

/* ---- F.10 ---- */

static void a_collection_starts_with_the_object_that_exceeds_the_threshold(void **state)
{
    (void)state;
    struct pm_object *held[701];
    size_t counts[PM_GC_GENERATIONS];
    uint64_t before = collections_of(0);
    make_held(held, 700);
    assert_int_equal(collections_of(0), before);
    pm_gc_get_counts(counts);
    assert_int_equal(counts[0], 700);
    held[700] = node_new();
    assert_int_equal(collections_of(0), before + 1);
    pm_gc_get_counts(counts);
    assert_int_equal(counts[0], 0);
    assert_int_equal(counts[1], 1);
    drop_held(held, 701);
}

static void objects_that_die_are_taken_off(void **state)
{
    (void)state;
    uint64_t before = collections_of(0);
    for (unsigned i = 0; i < 5000; i++)
        pm_decref(node_new());
    assert_int_equal(collections_of(0), before);
}

/* 12 x 701 objects: eleven collections of generation 0, and the twelfth is one of generation 1. */
static void each_generation_starts_at_its_count(void **state)
{
    (void)state;
    enum { ROUNDS = 12, EACH = 701, ALL = ROUNDS * EACH };
    struct pm_object **held = pm_malloc(ALL * sizeof *held);
    uint64_t young = collections_of(0), middle = collections_of(1), old = collections_of(2);
    make_held(held, ALL - EACH);
    assert_int_equal(collections_of(0), young + 11);
    assert_int_equal(collections_of(1), middle);
    make_held(held + ALL - EACH, EACH);
    assert_int_equal(collections_of(0), young + 11);
    assert_int_equal(collections_of(1), middle + 1);
    assert_int_equal(collections_of(2), old);
    drop_held(held, ALL);
    pm_free(held);
}

static void the_oldest_generation_is_spared_until_a_quarter_has_come(void **state)
{
    (void)state;
    enum { OLD = 4000, EACH = 11 };
    static struct pm_object *old[OLD], *held[2000];
    const unsigned thresholds[] = {EACH - 1, 1, 1};
    pm_gc_disable();
    make_held(old, OLD);
    node_collect(); /* 4000 long-lived ones */
    uint64_t before = collections_of(2);
    pm_gc_set_thresholds(thresholds);
    pm_gc_enable();
    unsigned made = 0;
    while (collections_of(2) == before && made < 2000)
        held[made++] = node_new();
    /* Generation 1 has brought at least a quarter there, and no more than one round of it before.
     */
    struct pm_gc_stats stats;
    pm_gc_get_stats(&stats);
    assert_in_range(made, OLD / 4, OLD / 4 + 10 * EACH);
    assert_in_range(stats.long_lived, OLD + OLD / 4, OLD + made);
    drop_held(held, made);
    drop_held(old, OLD);
}

enum { CYCLES = PM_TSAN || PM_ASAN || PM_SCHEDULE || PM_CHECK ? 50000 : 1000000 };

static size_t resident_bytes(void)
{
    size_t total, resident = 0;
    FILE *file = fopen("/proc/self/statm", "r");
    require(file != NULL && fscanf(file, "%zu %zu", &total, &resident) == 2);
    fclose(file);
    return resident * (size_t)sysconf(_SC_PAGESIZE);
}

static void a_million_cycles_leave_memory_as_it_was(void **state)
{
    (void)state;
    unsigned count = test_gc_place == IN_POOLS ? CYCLES : CYCLES / 20;
    for (unsigned i = 0; i < count / 10; i++)
        node_drop_loop(NODE_PLAIN);
    size_t before = resident_bytes();
    for (unsigned i = 0; i < count; i++)
        node_drop_loop(NODE_PLAIN);
    if (!PM_ASAN && !PM_TSAN) /* whose own memory grows */
        assert_true(resident_bytes() < before + (4 << 20));
    assert_true(pm_gc_get_objects(-1, NULL, 0) < 100000);
}

static void young_trash_dies_while_older_trash_waits(void **state)
{
    (void)state;
    struct pm_gc_result result;
    struct pm_object *ring = node_ring(NODE_PLAIN, 10);
    assert_true(pm_gc_collect(0, NULL)); /* it gets older */
    pm_decref(ring);
    pm_decref(node_ring(NODE_PLAIN, 7));
    assert_true(pm_gc_collect(0, &result));
    assert_int_equal(result.collected, 7);
    assert_true(pm_gc_collect(1, &result));
    assert_int_equal(result.collected, 10);
}

static void what_old_objects_refer_to_lives(void **state)
{
    (void)state;
    struct pm_object *old = node_new();
    assert_true(pm_gc_collect(2, NULL));
    assert_int_equal(pm_gc_get_objects(2, NULL, 0), 1);
    struct pm_object *ring = node_ring(NODE_PLAIN, 5);
    node_set(old, 0, ring);
    pm_decref(ring);
    struct pm_gc_result result;
    assert_true(pm_gc_collect(0, &result));
    assert_int_equal(result.collected, 0);
    pm_decref(old);
    assert_int_equal(node_collect(), 5);
}

static void a_block_that_is_used_again_is_young_again(void **state)
{
    (void)state;
    struct pm_object *old = node_new();
    assert_true(pm_gc_collect(2, NULL));
    pm_decref(old);
    struct pm_object *young = node_new();
    assert_int_equal(pm_gc_get_objects(0, NULL, 0), 1);
    assert_int_equal(pm_gc_get_objects(2, NULL, 0), 0);
    pm_decref(young);
}

static void the_whole_heap_is_collected_at_2000_and_a_quarter(void **state)
{
    (void)state;
    static struct pm_object *held[12000 + 3001];
    pm_gc_set_mode(PM_GC_WHOLE);
    uint64_t before = collections_of(2);
    make_held(held, 2000);
    assert_int_equal(collections_of(2), before);
    make_held(held + 2000, 1);
    assert_int_equal(collections_of(2), before + 1);
    pm_gc_disable();
    make_held(held + 2001, 12000 - 2001);
    node_collect();
    pm_gc_enable();
    before = collections_of(2);
    make_held(held + 12000, 3000);
    assert_int_equal(collections_of(2), before);
    make_held(held + 15000, 1);
    assert_int_equal(collections_of(2), before + 1);
    assert_int_equal(pm_gc_get_objects(2, NULL, 0), 15000);
    drop_held(held, 15001);
}

/* ---- the interface ---- */

static void it_can_be_turned_off_and_thresholds_are_kept(void **state)
{
    (void)state;
    const unsigned wanted[] = {100, 5, 3}, none[] = {0, 5, 3};
    unsigned thresholds[PM_GC_GENERATIONS];
    pm_gc_get_thresholds(thresholds);
    assert_int_equal(thresholds[0], 700);
    assert_int_equal(thresholds[1], 10);
    assert_int_equal(thresholds[2], 10);
    assert_true(pm_gc_is_enabled());
    uint64_t before = collections_of(0);
    pm_gc_disable();
    assert_false(pm_gc_is_enabled());
    for (unsigned i = 0; i < 2000; i++)
        node_drop_loop(NODE_PLAIN);
    pm_gc_set_thresholds(none);
    pm_gc_enable();
    for (unsigned i = 0; i < 2000; i++)
        node_drop_loop(NODE_PLAIN);
    assert_int_equal(collections_of(0), before);
    assert_int_equal(node_collect(), 4000);
    pm_gc_set_thresholds(wanted);
    pm_gc_get_thresholds(thresholds);
    assert_memory_equal(thresholds, wanted, sizeof wanted);
    for (unsigned i = 0; i < 101; i++)
        node_drop_loop(NODE_PLAIN);
    assert_int_equal(collections_of(0), before + 1);
    assert_false(pm_gc_collect(3, NULL));
    assert_int_equal(errno, EINVAL);
    node_collect();
}

static struct pm_gc_info infos[4];
static unsigned calls;

static void note(const struct pm_gc_info *info, void *arg)
{
    require(arg == infos && calls < 4);
    infos[calls++] = *info;
}

static void callbacks_are_called_before_and_after(void **state)
{
    (void)state;
    calls = 0;
    assert_true(pm_gc_add_callback(note, infos));
    node_drop_loop(NODE_PLAIN);
    assert_true(pm_gc_collect(1, NULL));
    assert_true(pm_gc_remove_callback(note, infos));
    assert_false(pm_gc_remove_callback(note, infos));
    assert_true(pm_gc_collect(1, NULL));
    assert_int_equal(calls, 2);
    assert_false(infos[0].stop);
    assert_true(infos[1].stop);
    assert_int_equal(infos[0].generation, 1);
    assert_int_equal(infos[1].generation, 1);
    assert_int_equal(infos[0].result.collected, 0);
    assert_int_equal(infos[1].result.collected, 1);
    for (unsigned i = 0; i < PM_GC_CALLBACKS_MAX; i++)
        assert_true(pm_gc_add_callback(note, &calls));
    assert_false(pm_gc_add_callback(note, &calls));
    assert_int_equal(errno, ENOSPC);
    for (unsigned i = 0; i < PM_GC_CALLBACKS_MAX; i++)
        assert_true(pm_gc_remove_callback(note, &calls));
}

static void referrers_and_referents_are_found(void **state)
{
    (void)state;
    struct pm_object *a = node_new(), *b = node_new(), *c = node_new(), *found[4];
    node_set(a, 0, c);
    node_set(a, 1, c);
    node_set(b, 0, c);
    assert_int_equal(pm_gc_get_objects(-1, NULL, 0), 3);
    assert_int_equal(pm_gc_get_referrers(&c, 1, found, 4), 2);
    assert_true((found[0] == a && found[1] == b) || (found[0] == b && found[1] == a));
    pm_decref(found[0]);
    pm_decref(found[1]);
    assert_int_equal(pm_gc_get_referrers(&a, 1, found, 4), 0);
    assert_int_equal(pm_gc_get_referents(&a, 1, found, 1), 2);
    assert_ptr_equal(found[0], c);
    assert_int_equal(pm_refcount(c), 5); /* ours, three, and the one that was found */
    pm_decref(found[0]);
    pm_decref(c);
    pm_decref(b);
    pm_decref(a);
    assert_int_equal(pm_gc_get_objects(-1, NULL, 0), 0);
}

static void what_is_frozen_is_left_alone(void **state)
{
    (void)state;
    pm_decref(node_ring(NODE_PLAIN, 3));
    pm_gc_freeze();
    assert_int_equal(pm_gc_get_freeze_count(), 3);
    assert_int_equal(node_collect(), 0);
    pm_decref(node_ring(NODE_PLAIN, 2));
    assert_int_equal(node_collect(), 2);
    assert_int_equal(pm_gc_get_objects(-1, NULL, 0), 0);
    pm_gc_unfreeze();
    assert_int_equal(pm_gc_get_freeze_count(), 0);
    assert_int_equal(node_collect(), 3);
}

static void atoms_are_not_tracked(void **state)
{
    (void)state;
    static struct pm_type atom = {.name = "atom", .size = sizeof(struct pm_object)};
    struct pm_object *object = pm_object_new(&atom), *node = node_new();
    assert_false(pm_gc_is_tracked(object));
    assert_true(pm_gc_is_tracked(node));
    assert_false(pm_gc_is_finalized(object));
    node_set(node, 0, object); /* a traverse may visit it */
    node_set(node, 1, node);
    pm_decref(object);
    pm_decref(node);
    assert_int_equal(node_collect(), 1);
}

static void figures_are_kept_of_each_generation_and_of_pauses(void **state)
{
    (void)state;
    struct pm_gc_stats before, after;
    uint64_t pauses = 0;
    pm_gc_get_stats(&before);
    node_drop_loop(NODE_PLAIN);
    pm_gc_collect(0, NULL);
    pm_gc_get_stats(&after);
    assert_int_equal(after.generations[0].collections, before.generations[0].collections + 1);
    assert_int_equal(after.generations[0].collected, before.generations[0].collected + 1);
    for (unsigned i = 0; i < PM_GC_PAUSES; i++)
        pauses += after.pauses[i] - before.pauses[i];
    assert_int_equal(pauses, 1);
    assert_true(after.pause_ns > before.pause_ns && after.pause_ns_max > 0);
}

/* ---- lines on stderr, and misuse ---- */

static void with_all_flags(const void *arg)
{
    (void)arg;
    require(pm_object_thread_attach());
    pm_gc_disable();
    pm_gc_set_debug(PM_GC_DEBUG_STATS | PM_GC_DEBUG_COLLECTABLE | PM_GC_DEBUG_UNCOLLECTABLE);
    node_drop_loop(NODE_PLAIN);
    node_drop_loop(NODE_UNCLEARED);
    pm_gc_collect(2, NULL);
}

static void debug_flags_tell_of_each_collection_and_object(void **state)
{
    (void)state;
    char text[4096];
    assert_int_equal(test_stderr_of(with_all_flags, NULL, text, sizeof text), 0);
    assert_non_null(strstr(text, "gc: collecting generation 2\n"));
    assert_non_null(strstr(text, "gc: collectable <node 0x"));
    assert_non_null(strstr(text, "gc: uncollectable <uncleared 0x"));
    assert_non_null(strstr(text, "gc: done, 2 unreachable, 1 uncollectable, "));
}

static struct pm_object *visited;
static unsigned times;

static int traverse_badly(struct pm_object *object, pm_visit visit, void *arg)
{
    (void)object;
    for (unsigned i = 0; i < times; i++)
        visit(visited, arg);
    return 0;
}

static void collect_badly(const void *arg)
{
    static struct pm_type bad = {
        .name = "bad", .size = 96, .flags = PM_TYPE_GC, .traverse = traverse_badly};
    (void)arg;
    require(pm_object_thread_attach());
    struct pm_object *object = pm_object_new(&bad);
    if (visited == NULL)
        visited = object;
    pm_gc_collect(2, NULL);
}

static bool is_told(struct pm_object *to, unsigned often, const char *what)
{
    visited = to;
    times = often;
    return test_aborts(collect_badly, NULL, what);
}

static void a_traverse_that_visits_garbage_is_named(void **state)
{
    (void)state;
    static const char text[64] __attribute__((aligned(16))) =
        "this is a text, and no object at all";
    struct pm_object *node = node_new();
    assert_true(is_told(NULL, 2, "type bad: its traverse visits")); /* itself, twice for one */
    assert_true(is_told((struct pm_object *)(uintptr_t)text, 1, "type bad: its traverse visits"));
    assert_true(is_told((struct pm_object *)((char *)node + 16), 1, "which is no object"));
    assert_true(is_told((struct pm_object *)((char *)node + 1), 1, "which is no object"));
    if (!test_emulated())
        assert_true(is_told((struct pm_object *)(uintptr_t)0x7000000000, 1, "which is no object"));
    pm_decref(node);
    if (!PM_ASAN) /* which has something to say before that */
        assert_true(is_told(node, 1, "type bad: its traverse visits"));
}

static void track_an_atom(const void *arg)
{
    static struct pm_type atom = {.name = "atom", .size = sizeof(struct pm_object)};
    (void)arg;
    require(pm_object_thread_attach());
    pm_gc_track(pm_object_new(&atom));
}

static void an_atom_that_is_tracked_is_named(void **state)
{
    (void)state;
    assert_true(test_aborts(track_an_atom, NULL, "type atom: tracked, and not flagged PM_TYPE_GC"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(a_collection_starts_with_the_object_that_exceeds_the_threshold,
                               begin),
        cmocka_unit_test_setup(objects_that_die_are_taken_off, begin),
        cmocka_unit_test_setup(each_generation_starts_at_its_count, begin),
        cmocka_unit_test_setup(the_oldest_generation_is_spared_until_a_quarter_has_come, begin),
        cmocka_unit_test_setup(a_million_cycles_leave_memory_as_it_was, begin),
        cmocka_unit_test_setup(young_trash_dies_while_older_trash_waits, begin),
        cmocka_unit_test_setup(what_old_objects_refer_to_lives, begin),
        cmocka_unit_test_setup(a_block_that_is_used_again_is_young_again, begin),
        cmocka_unit_test_setup(the_whole_heap_is_collected_at_2000_and_a_quarter, begin),
        cmocka_unit_test_setup(it_can_be_turned_off_and_thresholds_are_kept, begin),
        cmocka_unit_test_setup(callbacks_are_called_before_and_after, begin),
        cmocka_unit_test_setup(referrers_and_referents_are_found, begin),
        cmocka_unit_test_setup(what_is_frozen_is_left_alone, begin),
        cmocka_unit_test_setup(atoms_are_not_tracked, begin),
        cmocka_unit_test_setup(figures_are_kept_of_each_generation_and_of_pauses, begin),
    };
    const struct CMUnitTest misuse[] = {
        cmocka_unit_test(debug_flags_tell_of_each_collection_and_object),
        cmocka_unit_test(a_traverse_that_visits_garbage_is_named),
        cmocka_unit_test(an_atom_that_is_tracked_is_named),
    };
    int failed = 0;
    require(pm_object_thread_attach());
    for (int place = IN_POOLS; place <= WITHOUT_TABLES; place++) {
        test_gc_choose(place);
        failed += cmocka_run_group_tests(tests, NULL, NULL);
    }
    test_gc_choose(IN_POOLS);
    pm_gc_disable();
    failed += cmocka_run_group_tests(misuse, NULL, NULL);
    pm_object_thread_detach();
    return failed;
}
