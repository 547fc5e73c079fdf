/* SPDX-License-Identifier: MIT */
/*
 * Signal storm: threads that allocate are interrupted all the time, by a timer each and by a thread
 * that sends signals, also while a handler runs and while a thread waits for a lock. Stands for:
 * profilers that sample by SIGPROF, runtimes that preempt by signals, timers of servers.
 *
 * The handlers do what async-signal-safe code may: they read the clock, write to a descriptor, use
 * the stack, overwrite errno and put it back. One runs on an alternate stack and restarts calls to
 * the system, the other does neither, so that the allocator's own waits end early (EINTR). No
 * handler calls the allocator. The model sees a block that got lost or torn, the calls' checks see
 * an errno that did not stay; a hang is ended by alarm(2).
 *
 * ThreadSanitizer runs handlers later, at points of its own.
 * Usage: signals [--seed N] [--threads N] [--ops N] [--interval-us N] [--live-mib N]
 */
#include "check.h"
#include "setup.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#ifndef STRESS_SANITIZED
#define STRESS_SANITIZED 0
#endif

#ifndef sigev_notify_thread_id /* musl has it, glibc from 2.38 on */
#define sigev_notify_thread_id _sigev_un._tid
#endif

enum {
    most_threads = 64,
    stack_bytes = 256 * 1024,
    used_stack_bytes = 2048,
    hang_seconds = 1800,
    signals_per_turn = 16,
    largest_bytes = 4 << 20,
};

static struct {
    uint64_t seed, threads, ops, interval_us, live_mib;
} options = {1, 3, 100000, 150, 32};

static struct shared shared;
static pthread_t threads[most_threads];
static pthread_barrier_t all_started;
static _Atomic uint64_t threads_at_work; /* relaxed: ends the storm */
static int nowhere = -1;

/* Relaxed: figures for the report. */
static _Atomic uint64_t timer_signals, sent_signals, nested_signals;

static __thread volatile sig_atomic_t handlers_running;
static __thread char *alternate_stack;

/* What a profiler does with a sample; its stack is overwritten, its errno changes. */
static void use_what_is_safe(void)
{
    volatile char scratch[used_stack_bytes];
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    for (size_t i = 0; i < sizeof scratch; i++)
        scratch[i] = (char)now.tv_nsec;
    ssize_t written = write(nowhere, &now, sizeof now);
    CHECK(written == (ssize_t)sizeof now, "write in a handler: errno %d", errno);
    errno = EXDEV;
}

static void on_signal(int number)
{
    int saved_errno = errno;
    if (handlers_running++)
        atomic_fetch_add_explicit(&nested_signals, 1, memory_order_relaxed);
    atomic_fetch_add_explicit(number == SIGUSR1 ? &timer_signals : &sent_signals, 1,
                              memory_order_relaxed);
#if !STRESS_SANITIZED
    size_t depth = (size_t)((char *)__builtin_frame_address(0) - alternate_stack);
    CHECK(number != SIGUSR1 || depth < stack_bytes, "the handler is not on its stack");
#endif
    use_what_is_safe();
    handlers_running--;
    errno = saved_errno;
}

static void set_handler(int number, int flags)
{
    struct sigaction action = {.sa_handler = on_signal, .sa_flags = flags};
    sigemptyset(&action.sa_mask);
    int result = sigaction(number, &action, NULL);
    CHECK(result == 0, "sigaction: errno %d", errno);
}

static timer_t start_timer(uint64_t number)
{
    timer_t timer;
    struct sigevent event = {.sigev_notify = SIGEV_THREAD_ID, .sigev_signo = SIGUSR1};
    event.sigev_notify_thread_id = (int)syscall(SYS_gettid);
    int result = timer_create(CLOCK_MONOTONIC, &event, &timer);
    CHECK(result == 0, "timer_create: errno %d", errno);
    long nanoseconds = (long)(options.interval_us * 1000 + 997 * number); /* not in step */
    struct itimerspec when = {.it_value.tv_nsec = nanoseconds, .it_interval.tv_nsec = nanoseconds};
    result = timer_settime(timer, 0, &when, NULL);
    CHECK(result == 0, "timer_settime: errno %d", errno);
    return timer;
}

static void block_signals(int how)
{
    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, SIGUSR1);
    sigaddset(&signals, SIGUSR2);
    int code = pthread_sigmask(how, &signals, NULL);
    CHECK(code == 0, "pthread_sigmask returned %d", code);
}

/* Signals are blocked at the start and in the end, while the thread has no stack for them. */
static void *work(void *argument)
{
    struct worker *worker = argument;
    stack_t mine = {.ss_sp = system_pages(stack_bytes), .ss_size = stack_bytes}, before;
    alternate_stack = mine.ss_sp;
    int result = sigaltstack(&mine, &before);
    CHECK(result == 0, "sigaltstack: errno %d", errno);
    timer_t timer = start_timer(worker->index);
    pthread_barrier_wait(&all_started);
    block_signals(SIG_UNBLOCK);
    worker_begin(worker, options.seed, 0);
    for (uint64_t step = 0; step < options.ops / options.threads + 1; step++)
        worker_step(worker);
    worker_end(worker);
    worker_release(worker, worker->block_count);
    block_signals(SIG_BLOCK);
    timer_delete(timer);
    atomic_fetch_sub_explicit(&threads_at_work, 1, memory_order_relaxed);
    sigaltstack(&before, NULL); /* a sanitizer unmaps what it finds here */
    system_pages_free(mine.ss_sp, stack_bytes);
    return NULL;
}

/* Ends with the work of the threads, which are joined only afterwards. */
static void send_signals(void)
{
    struct rng rng = rng_make(options.seed, UINT32_MAX);
    while (atomic_load_explicit(&threads_at_work, memory_order_relaxed) > 0) {
        pthread_t thread = threads[rng_below(&rng, options.threads)];
        for (uint64_t count = rng_below(&rng, signals_per_turn); count > 0; count--) {
            int code = pthread_kill(thread, SIGUSR2);
            CHECK(code == 0, "pthread_kill returned %d", code);
        }
        struct timespec pause = {.tv_nsec = (long)(1000 * rng_below(&rng, options.interval_us))};
        nanosleep(&pause, NULL);
    }
}

int main(int count, char **arguments)
{
    const struct option known[] = {
        {"seed", &options.seed, 0, UINT64_MAX, NULL},
        {"threads", &options.threads, 1, most_threads, NULL},
        {"ops", &options.ops, 0, UINT64_MAX, NULL},
        {"interval-us", &options.interval_us, 10, 100000, NULL},
        {"live-mib", &options.live_mib, 1, 1 << 10, NULL},
        {NULL, NULL, 0, 0, NULL},
    };
    setup_options("signals", known, count, arguments);
    nowhere = open("/dev/null", O_WRONLY | O_CLOEXEC);
    CHECK(nowhere >= 0, "/dev/null: errno %d", errno);
    set_handler(SIGUSR1, SA_ONSTACK | SA_RESTART);
    set_handler(SIGUSR2, 0);
    alarm(hang_seconds);
    block_signals(SIG_BLOCK);
    shared = (struct shared){.worker_count = options.threads,
                             .transfer = transfer_varying,
                             .live_limit_bytes = options.live_mib << 20,
                             .largest_bytes = largest_bytes};
    setup_workers(&shared, options.seed);
    pthread_barrier_init(&all_started, NULL, (unsigned)options.threads + 1);
    atomic_store(&threads_at_work, options.threads);
    for (size_t i = 0; i < options.threads; i++)
        threads[i] = setup_start(work, &shared.workers[i]);
    pthread_barrier_wait(&all_started);
    send_signals();
    for (size_t i = 0; i < options.threads; i++)
        setup_join(threads[i]);
    uint64_t handled = atomic_load(&timer_signals) + atomic_load(&sent_signals);
    printf("%llu signals of timers, %llu sent, %llu of them in a handler\n",
           (unsigned long long)atomic_load(&timer_signals),
           (unsigned long long)atomic_load(&sent_signals),
           (unsigned long long)atomic_load(&nested_signals));
    CHECK(handled >= options.ops / 2000, "only %llu signals came: nothing was tested",
          (unsigned long long)handled);
    setup_finish("signals", &shared);
    return 0;
}
