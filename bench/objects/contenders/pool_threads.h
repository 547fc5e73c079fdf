/* SPDX-License-Identifier: MIT */
/* Threads that use objects of libpoolobject. See contender.h. */
static inline const char *contender_version(void)
{
    return ""; /* that of the sources */
}

static inline void contender_call(void (*call)(void *), void *arg)
{
    call(arg);
}

static inline void contender_begin(void)
{
    if (!pm_object_thread_attach())
        bench_die("a thread could not be attached");
}

static inline void contender_end(void)
{
    pm_object_thread_detach();
}

static inline void contender_wait_begin(void)
{
    pm_object_thread_pause();
}

static inline void contender_wait_end(void)
{
    pm_object_thread_resume();
}

static inline void contender_safepoint(void)
{
    pm_safepoint();
}
