/* SPDX-License-Identifier: MIT */
/* Intrusive lists, beside an array. */
#include "base/list.h"
#include "base/testing.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

enum { ITEMS = 24, STEPS = 5000 };

struct item {
    int number;
    struct pm_link link;
};

/* The list, read forwards and backwards, holds exactly these numbers. */
static void assert_list(const struct pm_link *head, const int *numbers, size_t count)
{
    assert_int_equal(pm_list_empty(head), count == 0);
    if (head->next == NULL)
        return;
    const struct pm_link *at = head->next, *back = head->prev;
    for (size_t i = 0; i < count; i++, at = at->next, back = back->prev) {
        assert_int_equal(pm_container_of(at, struct item, link)->number, numbers[i]);
        assert_int_equal(pm_container_of(back, struct item, link)->number, numbers[count - 1 - i]);
    }
    assert_ptr_equal(at, head);
    assert_ptr_equal(back, head);
}

static void a_zeroed_head_and_an_initialised_one_are_empty(void **state)
{
    struct pm_link zeroed = {0}, initialised;
    (void)state;
    pm_list_init(&initialised);
    assert_true(pm_list_empty(&zeroed));
    assert_true(pm_list_empty(&initialised));
}

static void push_puts_first_and_push_back_puts_last(void **state)
{
    struct item items[3] = {{.number = 0}, {.number = 1}, {.number = 2}};
    struct pm_link head = {0};
    (void)state;
    pm_list_push_back(&head, &items[1].link);
    pm_list_push(&head, &items[0].link);
    pm_list_push_back(&head, &items[2].link);
    assert_list(&head, (const int[]){0, 1, 2}, 3);
}

static void a_removed_link_points_nowhere(void **state)
{
    struct item items[2] = {{.number = 0}, {.number = 1}};
    struct pm_link head = {0};
    (void)state;
    pm_list_push(&head, &items[0].link);
    pm_list_push(&head, &items[1].link);
    pm_list_remove(&items[0].link);
    assert_null(items[0].link.next);
    assert_null(items[0].link.prev);
    assert_list(&head, (const int[]){1}, 1);
    pm_list_remove(&items[1].link);
    assert_true(pm_list_empty(&head));
}

static void random_pushes_and_removals_keep_the_order_of_an_array(void **state)
{
    struct item items[ITEMS];
    struct pm_link head = {0};
    int listed[ITEMS];
    size_t count = 0;
    uint64_t seed = 4;
    (void)state;
    for (int i = 0; i < ITEMS; i++)
        items[i] = (struct item){.number = i};
    for (int step = 0; step < STEPS; step++) {
        int number = (int)test_random_below(&seed, ITEMS);
        size_t at = 0;
        while (at < count && listed[at] != number)
            at++;
        if (at < count) {
            pm_list_remove(&items[number].link);
            memmove(&listed[at], &listed[at + 1], (--count - at) * sizeof *listed);
        } else if (test_random_below(&seed, 2)) {
            pm_list_push(&head, &items[number].link);
            memmove(&listed[1], &listed[0], count++ * sizeof *listed);
            listed[0] = number;
        } else {
            pm_list_push_back(&head, &items[number].link);
            listed[count++] = number;
        }
        assert_list(&head, listed, count);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_zeroed_head_and_an_initialised_one_are_empty),
        cmocka_unit_test(push_puts_first_and_push_back_puts_last),
        cmocka_unit_test(a_removed_link_points_nowhere),
        cmocka_unit_test(random_pushes_and_removals_keep_the_order_of_an_array),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
