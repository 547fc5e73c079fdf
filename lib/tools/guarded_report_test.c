/* SPDX-License-Identifier: MIT */
/* What is said of guarded blocks: one misuse each, and the signal and the message that come of it.
 */
#include "tools/guarded_report.h"
#include "tools/guarded_testing.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

enum { BYTES = 96 }; /* a multiple of every granule: at the right end there is nothing behind */

static char *right(void)
{
    return test_guarded_at(BYTES, true);
}

static char *left(void)
{
    return test_guarded_at(BYTES, false);
}

/* The two that access; a test looks for them in the stack. */
static PM_NOINLINE int read_it(const volatile char *at)
{
    return *at;
}

static PM_NOINLINE void write_it(volatile char *at)
{
    *at = 'x';
}

static void *free_it(void *block)
{
    pm_free(block);
    return NULL;
}

static void free_elsewhere(char *block)
{
    pthread_t thread;
    require(pthread_create(&thread, NULL, free_it, block) == 0);
    pthread_join(thread, NULL);
}

/* ---- misuses ---- */

static void read_after_free(void)
{
    char *block = right();
    pm_free(block);
    read_it(block + 3);
}

static void write_after_free_by_another_thread(void)
{
    char *block = left();
    free_elsewhere(block);
    write_it(block);
}

static void read_behind_a_freed_block(void)
{
    char *block = left();
    pm_free(block);
    read_it(block + BYTES + 9);
}

static void write_behind(void)
{
    write_it(right() + BYTES);
}

static void read_behind(void)
{
    read_it(right() + BYTES + 11);
}

static void write_before(void)
{
    write_it(left() - 1);
}

static void read_far_before(void)
{
    read_it(left() - 1000);
}

static void write_behind_within_the_page(void)
{
    char *block = test_guarded_at(BYTES - 3, true);
    write_it(block + BYTES - 2);
    pm_free(block);
}

static void write_before_within_the_page(void)
{
    char *block = right();
    write_it(block - 7);
    pm_free(block);
}

static void free_twice(void)
{
    char *block = right();
    pm_free(block);
    pm_free(block);
}

static void free_twice_by_two_threads(void)
{
    char *block = left();
    free_elsewhere(block);
    pm_free(block);
}

static void resize_after_free(void)
{
    char *block = right();
    pm_free(block);
    block = pm_realloc(block, 5000);
}

static void ask_the_size_after_free(void)
{
    char *block = right();
    pm_free(block);
    pm_malloc_usable_size(block);
}

static void free_inside(void)
{
    pm_free(left() + 16);
}

static void free_inside_a_freed_block(void)
{
    char *block = left();
    pm_free(block);
    pm_free(block + 16);
}

static void free_beside(void)
{
    pm_free(right() + BYTES);
}

static void free_where_none_was(void)
{
    pm_free((char *)pm_guarded_slot_start(TEST_SLOTS));
}

static void tell_another_size(void)
{
    struct pm_return how = {
        .function = "free_sized", .sized = true, .bytes = BYTES + 1, .align = 1};
    pm_guarded_give_back(right(), &how);
}

static void tell_an_alignment_that_it_does_not_have(void)
{
    struct pm_return how = {.function = "free_aligned_sized", .align = 4096 << 4};
    for (;;) {
        char *block = right();
        if ((uintptr_t)block % how.align != 0)
            pm_guarded_give_back(block, &how);
        pm_free(block);
    }
}

/* ---- the cases ---- */

static const struct misuse {
    const char *name;
    void (*commit)(void);
    int signal;
    const char *first, *calls; /* calls: letters of those whose stacks must follow */
} misuses[] = {
    {"read_after_free", read_after_free, SIGSEGV,
     "use after free: R P, 3 bytes into a freed guarded block of 96 bytes at P", "AFM"},
    {"write_after_free_by_another_thread", write_after_free_by_another_thread, SIGSEGV,
     "use after free: W P, 0 bytes into a freed guarded block of 96 bytes at P", "AFM"},
    {"read_behind_a_freed_block", read_behind_a_freed_block, SIGSEGV,
     "use after free: R P, 10 bytes behind a freed guarded block of 96 bytes at P", "AFM"},
    {"write_behind", write_behind, SIGSEGV,
     "overflow: W P, 1 byte behind a guarded block of 96 bytes at P", "AM"},
    {"read_behind", read_behind, SIGSEGV,
     "overflow: R P, 12 bytes behind a guarded block of 96 bytes at P", "AM"},
    {"write_before", write_before, SIGSEGV,
     "underflow: W P, 1 byte before a guarded block of 96 bytes at P", "AM"},
    {"read_far_before", read_far_before, SIGSEGV,
     "underflow: R P, 1000 bytes before a guarded block of 96 bytes at P", "AM"},
    {"write_behind_within_the_page", write_behind_within_the_page, SIGABRT,
     "free(P): something wrote behind the guarded block of 93 bytes: 2 behind it", "CM"},
    {"write_before_within_the_page", write_before_within_the_page, SIGABRT,
     "free(P): something wrote before the guarded block of 96 bytes: 7 before it", "CM"},
    {"free_twice", free_twice, SIGABRT,
     "free(P): freed already: freed twice, or used after its free (guarded block of 96 bytes)",
     "CFM"},
    {"free_twice_by_two_threads", free_twice_by_two_threads, SIGABRT,
     "free(P): freed already: freed twice, or used after its free (guarded block of 96 bytes)",
     "CFM"},
    {"resize_after_free", resize_after_free, SIGABRT,
     "realloc(P): freed already: freed twice, or used after its free (guarded block of 96 bytes)",
     "CFM"},
    {"ask_the_size_after_free", ask_the_size_after_free, SIGABRT,
     "malloc_usable_size(P): freed already: freed twice, or used after its free (guarded block of "
     "96 bytes)",
     "CFM"},
    {"free_inside", free_inside, SIGABRT,
     "free(P): points inside a block, not at its start (guarded block P of 96 bytes)", "CM"},
    {"free_inside_a_freed_block", free_inside_a_freed_block, SIGABRT,
     "free(P): points inside a block, not at its start (freed guarded block P of 96 bytes)", "CFM"},
    {"free_beside", free_beside, SIGABRT,
     "free(P): not allocated (beside the guarded block P of 96 bytes)", "CM"},
    {"free_where_none_was", free_where_none_was, SIGABRT,
     "free(P): not allocated (freed already, or inside a free region)", ""},
    {"tell_another_size", tell_another_size, SIGABRT,
     "free_sized(P): wrong size: 97 bytes told, 96 asked for (guarded block)", "CM"},
    {"tell_an_alignment_that_it_does_not_have", tell_an_alignment_that_it_does_not_have, SIGABRT,
     "free_aligned_sized(P): wrong alignment: the block is not aligned to 65536 (guarded block of "
     "96 bytes)",
     "CM"},
};

static void commit(const void *misuse)
{
    test_guarded_start(1);
    ((const struct misuse *)misuse)->commit();
}

/* What the emulator's processor wanted of the memory is not known. */
static const char *behind_access(const char *access, const char *text)
{
    size_t length = strlen(access);
    if (test_emulated() && strncmp(text, "access to", 9) == 0)
        return text + 9;
    return strncmp(text, access, length) == 0 ? text + length : NULL;
}

static const char *behind_address(const char *text)
{
    if (strncmp(text, "0x", 2) != 0)
        return NULL;
    return text + 2 + strspn(text + 2, "0123456789abcdef");
}

/* In the pattern P stands for an address, R and W for an access. NULL: the text does not begin so.
 */
static const char *behind(const char *pattern, const char *text)
{
    for (; text != NULL && *pattern != 0; pattern++) {
        if (*pattern == 'P')
            text = behind_address(text);
        else if (*pattern == 'R' || *pattern == 'W')
            text = behind_access(*pattern == 'R' ? "read of" : "write to", text);
        else
            text = *text == *pattern ? text + 1 : NULL;
    }
    return text;
}

/* The next line names the call, and a stack follows. NULL: not so. */
static const char *behind_call(char letter, const char *text)
{
    static const char *const names[] = {"Accessed by thread ", "Called by thread ",
                                        "Freed by thread ", "Made by thread "};
    unsigned name = 0;
    while (names[name][0] != letter)
        name++;
    size_t length = strlen(names[name]);
    if (strncmp(text, names[name], length) != 0)
        return NULL;
    text = strchr(text, '\n') + 1;
    if (strncmp(text, "    #0 0x", 9) != 0)
        return NULL;
    while (strncmp(text, "    #", 5) == 0)
        text = strchr(text, '\n') + 1;
    return text;
}

static bool is_told(const struct misuse *misuse, int status, const char *text)
{
    if (!WIFSIGNALED(status) || WTERMSIG(status) != misuse->signal ||
        strncmp(text, "poolmalloc: ", 12) != 0)
        return false;
    const char *at = behind(misuse->first, text + 12);
    if (at == NULL || *at++ != '\n')
        return false;
    for (const char *letter = misuse->calls; at != NULL && *letter != 0; letter++)
        at = behind_call(*letter, at);
    return at != NULL && (*at == 0 || test_emulated());
}

static void each_misuse_is_told_with_its_stacks(void **state)
{
    static char text[1 << 16];
    (void)state;
    for (size_t i = 0; i < sizeof misuses / sizeof *misuses; i++) {
        int status = test_stderr_of(commit, &misuses[i], text, sizeof text);
        if (is_told(&misuses[i], status, text))
            continue;
        fprintf(stderr, "%s: status %d, stderr:\n%s", misuses[i].name, status, text);
        assert_true(false);
    }
}

/* ---- the first frame is the access itself ---- */

static void commit_without_unwinder(const void *misuse)
{
    pm_store_relaxed(&pm_options.guarded_slots, TEST_SLOTS);
    require(pm_guarded_start(1));
    ((const struct misuse *)misuse)->commit();
}

/* Then comes who called it. Not so by frame pointers where a sanitizer comes between.
 */
static bool starts_at_the_access(void (*body)(const void *))
{
    static char text[1 << 16];
    int status = test_stderr_of(body, &misuses[0], text, sizeof text);
    const char *frame = strstr(text, "Accessed by thread ");
    if (!WIFSIGNALED(status) || frame == NULL)
        return false;
    frame = strstr(frame, "#0 ");
    uintptr_t at = strtoul(frame + 3, NULL, 16), start = (uintptr_t)read_it;
    frame = strstr(frame, "\n") + 1;
    return at >= start && at < start + 256 && strncmp(frame, "    #1 ", 7) == 0;
}

static void the_stack_starts_at_the_access(void **state)
{
    (void)state;
    assert_true(starts_at_the_access(commit));
    assert_true(PM_TSAN || PM_ASAN || starts_at_the_access(commit_without_unwinder));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_misuse_is_told_with_its_stacks),
        cmocka_unit_test(the_stack_starts_at_the_access),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
