/* SPDX-License-Identifier: MIT */
/* Sorting: order, stability, what comparisons may do to the list, and what is left if they fail. */
#include "object/containers_testing.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

/* Compared by the worth without its last three digits, so that many are equal and yet told apart.
 */
static void (*at_comparison)(void);
static unsigned comparisons, fails_at;

static int rough_compare(struct pm_object *object, struct pm_object *other, int *result)
{
    long a = worth(object) / 1000, b = worth(other) / 1000;
    comparisons++;
    if (comparisons == fails_at) {
        errno = EDOM;
        return 0;
    }
    if (at_comparison != NULL)
        at_comparison();
    *result = (a > b) - (a < b);
    return 1;
}

static struct pm_type rough_type = {
    .name = "rough",
    .size = sizeof(struct number),
    .free = number_free,
    .compare = rough_compare,
};

enum { COUNT = 500 };

/* In the last three digits: the place where the item was. */
static struct pm_object *random_list(size_t count, unsigned kinds, uint64_t *seed)
{
    struct pm_object *list = pm_list_new(NULL, 0);
    for (size_t i = 0; i < count; i++) {
        long value = (long)test_random_below(seed, kinds) * 1000 + (long)i;
        struct pm_object *item = number_of(&rough_type, value);
        require(pm_list_append(list, item));
        pm_decref(item);
    }
    comparisons = fails_at = 0;
    at_comparison = NULL;
    return list;
}

/* All items are there, once each. */
static void require_whole(struct pm_object *list, size_t count)
{
    bool seen[COUNT] = {false};
    require(pm_list_count(list) == count);
    for (size_t i = 0; i < count; i++) {
        long place = worth_and_drop(pm_list_get(list, (ptrdiff_t)i)) % 1000;
        require(!seen[place]);
        seen[place] = true;
    }
}

static void require_sorted(struct pm_object *list, bool descending)
{
    long before = worth_and_drop(pm_list_get(list, 0));
    for (size_t i = 1; i < pm_list_count(list); i++) {
        long value = worth_and_drop(pm_list_get(list, (ptrdiff_t)i));
        long kinds[2] = {before / 1000, value / 1000};
        require(descending ? kinds[0] >= kinds[1] : kinds[0] <= kinds[1]);
        require(kinds[0] != kinds[1] || before < value); /* stable */
        before = value;
    }
}

static void lists_of_all_sizes_are_sorted_and_equal_items_keep_their_order(void **state)
{
    (void)state;
    uint64_t seed = 7;
    for (size_t count = 1; count <= COUNT; count += count < 70 ? 1 : 43)
        for (unsigned kinds = 1; kinds <= 1000; kinds *= 10)
            for (unsigned flags = 0; flags <= PM_SORT_DESCENDING; flags++) {
                struct pm_object *list = random_list(count, kinds, &seed);
                assert_true(pm_list_sort(list, flags));
                require_whole(list, count);
                require_sorted(list, flags == PM_SORT_DESCENDING);
                pm_decref(list);
            }
    struct pm_object *none = pm_list_new(NULL, 0);
    assert_true(pm_list_sort(none, 0));
    pm_decref(none);
}

static void what_is_sorted_takes_a_comparison_for_each_item(void **state)
{
    (void)state;
    uint64_t seed = 8;
    struct pm_object *list = random_list(COUNT, 1000, &seed);
    assert_true(pm_list_sort(list, 0));
    assert_true(comparisons < COUNT * 9); /* log2(500) is 9 */
    comparisons = 0;
    assert_true(pm_list_sort(list, 0));
    assert_int_equal(comparisons, COUNT - 1);
    pm_decref(list);
}

static void wherever_a_comparison_fails_all_items_are_there(void **state)
{
    (void)state;
    uint64_t seed = 9;
    for (unsigned at = 1; at < 1000; at += 1 + at / 16) {
        struct pm_object *list = random_list(150, 1000, &seed);
        fails_at = at;
        bool sorted = pm_list_sort(list, 0);
        assert_int_equal(sorted, comparisons < at);
        if (!sorted)
            assert_int_equal(errno, EDOM);
        require_whole(list, 150);
        pm_decref(list);
    }
}

/* ---- comparisons that change the list ---- */

static struct pm_object *changed;

static void change_it(void)
{
    at_comparison = NULL;
    require(pm_list_count(changed) == 0);
    append(changed, 5);
    append(changed, 6);
}

static void what_is_put_in_meanwhile_is_dropped_and_told(void **state)
{
    (void)state;
    uint64_t seed = 10;
    changed = random_list(100, 10, &seed);
    at_comparison = change_it;
    assert_fails(pm_list_sort(changed, 0), EBUSY);
    require_whole(changed, 100);
    require_sorted(changed, false);
    pm_decref(changed);
    assert_int_equal(numbers_alive, 0);
}

static void sort_it_too(void)
{
    at_comparison = NULL;
    require(pm_list_sort(changed, 0));
    require(pm_list_reverse(changed) && pm_list_clear(changed));
}

static void what_leaves_it_empty_meanwhile_is_not_noticed(void **state)
{
    (void)state;
    uint64_t seed = 11;
    changed = random_list(100, 10, &seed);
    at_comparison = sort_it_too;
    assert_true(pm_list_sort(changed, 0));
    require_whole(changed, 100);
    require_sorted(changed, false);
    pm_decref(changed);
}

static void items_of_different_types_have_no_order(void **state)
{
    (void)state;
    struct pm_object *list = pm_list_new(NULL, 0);
    append(list, 3);
    assert_true(pm_list_append(list, list));
    append(list, 1);
    assert_fails(pm_list_sort(list, 0), ENOTSUP);
    assert_int_equal(pm_list_count(list), 3);
    assert_true(pm_list_clear(list));
    pm_decref(list);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lists_of_all_sizes_are_sorted_and_equal_items_keep_their_order),
        cmocka_unit_test(what_is_sorted_takes_a_comparison_for_each_item),
        cmocka_unit_test(wherever_a_comparison_fails_all_items_are_there),
        cmocka_unit_test(what_is_put_in_meanwhile_is_dropped_and_told),
        cmocka_unit_test(what_leaves_it_empty_meanwhile_is_not_noticed),
        cmocka_unit_test(items_of_different_types_have_no_order),
    };
    return cmocka_run_group_tests(tests, attach_for_test, detach_and_count);
}
