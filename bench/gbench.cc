/* SPDX-License-Identifier: MIT */
/*
 * The only C++ of the project: gbench.h on top of Google Benchmark 1.7.
 *
 * The handles of gbench.h are Google Benchmark's own objects under an opaque name, so that a call
 * costs one jump. Nothing here may throw into C: every entry point is, and what Google
 * Benchmark throws (memory exhausted) ends the program.
 */
#include "gbench.h"

#include <array>
#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <utility>
#include <vector>

#include <benchmark/benchmark.h>

namespace
{

using benchmark::State;
using benchmark::internal::Benchmark;

std::atomic<bool> any_skipped{false};

State &cpp(gbench_state *state)
{
    return *reinterpret_cast<State *>(state);
}

const State &cpp(const gbench_state *state)
{
    return *reinterpret_cast<const State *>(state);
}

Benchmark *cpp(gbench *bench)
{
    return reinterpret_cast<Benchmark *>(bench);
}

/*
 * Google Benchmark takes setup and teardown as plain functions of its State, with no room for a
 * context. Each hook gets a slot, and each slot a function of its own that calls what is in it.
 */
using cpp_hook = void (*)(const State &);
std::array<gbench_hook_fn *, GBENCH_HOOKS_MAX> hooks{};

template <size_t SLOT> void run_hook(const State &state)
{
    hooks[SLOT](reinterpret_cast<const gbench_state *>(&state));
}

template <size_t... SLOTS>
constexpr std::array<cpp_hook, sizeof...(SLOTS)> make_trampolines(std::index_sequence<SLOTS...>)
{
    return {run_hook<SLOTS>...};
}

constexpr auto trampolines = make_trampolines(std::make_index_sequence<GBENCH_HOOKS_MAX>());

cpp_hook trampoline_for(gbench_hook_fn *hook)
{
    for (size_t slot = 0; slot < hooks.size(); slot++) {
        if (hooks[slot] == nullptr)
            hooks[slot] = hook;
        if (hooks[slot] == hook)
            return trampolines[slot];
    }
    std::fprintf(stderr, "gbench: more than %d different hooks: raise GBENCH_HOOKS_MAX\n",
                 static_cast<int>(GBENCH_HOOKS_MAX));
    std::exit(1);
}

} // namespace

extern "C" {

gbench *gbench_register(const char *name, gbench_fn *fn, void *context)
{
    Benchmark *bench = benchmark::RegisterBenchmark(name, [fn, context](State &state) {
        fn(reinterpret_cast<gbench_state *>(&state), context);
    });
    return reinterpret_cast<gbench *>(bench);
}

void gbench_arg(gbench *bench, int64_t value)
{
    cpp(bench)->Arg(value);
}

void gbench_args(gbench *bench, const int64_t *values, size_t count)
{
    cpp(bench)->Args(std::vector<int64_t>(values, values + count));
}

void gbench_threads(gbench *bench, int threads)
{
    cpp(bench)->Threads(threads);
}

void gbench_iterations(gbench *bench, int64_t iterations)
{
    cpp(bench)->Iterations(iterations);
}

void gbench_clock(gbench *bench, enum gbench_clock clock)
{
    switch (clock) {
    case GBENCH_CPU:
        break;
    case GBENCH_PROCESS_CPU:
        cpp(bench)->MeasureProcessCPUTime();
        break;
    case GBENCH_WALL:
        cpp(bench)->UseRealTime();
        break;
    case GBENCH_MANUAL:
        cpp(bench)->UseManualTime();
        break;
    }
}

void gbench_setup(gbench *bench, gbench_hook_fn *hook)
{
    cpp(bench)->Setup(trampoline_for(hook));
}

void gbench_teardown(gbench *bench, gbench_hook_fn *hook)
{
    cpp(bench)->Teardown(trampoline_for(hook));
}

bool gbench_keep_running(gbench_state *state)
{
    return cpp(state).KeepRunning();
}

bool gbench_keep_running_batch(gbench_state *state, int64_t iterations)
{
    return cpp(state).KeepRunningBatch(iterations);
}

void gbench_pause(gbench_state *state)
{
    cpp(state).PauseTiming();
}

void gbench_resume(gbench_state *state)
{
    cpp(state).ResumeTiming();
}

void gbench_set_iteration_time(gbench_state *state, double seconds)
{
    cpp(state).SetIterationTime(seconds);
}

void gbench_skip(gbench_state *state, const char *why)
{
    any_skipped.store(true, std::memory_order_relaxed); /* read after the threads were joined */
    cpp(state).SkipWithError(why);
}

int64_t gbench_range(const gbench_state *state, size_t index)
{
    return cpp(state).range(index);
}

int gbench_thread_index(const gbench_state *state)
{
    return cpp(state).thread_index();
}

int gbench_thread_count(const gbench_state *state)
{
    return cpp(state).threads();
}

int64_t gbench_iterations_done(const gbench_state *state)
{
    return cpp(state).iterations();
}

void gbench_items(gbench_state *state, int64_t items)
{
    cpp(state).SetItemsProcessed(items);
}

void gbench_bytes(gbench_state *state, int64_t bytes)
{
    cpp(state).SetBytesProcessed(bytes);
}

void gbench_counter(gbench_state *state, const char *name, double value,
                    enum gbench_counter_kind kind)
{
    benchmark::Counter::Flags flags = benchmark::Counter::kDefaults;
    if (kind == GBENCH_AVERAGE)
        flags = benchmark::Counter::kAvgThreads;
    if (kind == GBENCH_RATE)
        flags = benchmark::Counter::kIsRate;
    cpp(state).counters[name] = benchmark::Counter(value, flags);
}

void gbench_label(gbench_state *state, const char *label)
{
    cpp(state).SetLabel(label);
}

void gbench_context(const char *key, const char *value)
{
    benchmark::AddCustomContext(key, value);
}

int gbench_run(int *argc, char **argv)
{
    benchmark::Initialize(argc, argv);
    if (benchmark::ReportUnrecognizedArguments(*argc, argv))
        return 1;
    size_t selected = benchmark::RunSpecifiedBenchmarks();
    benchmark::Shutdown();
    return selected == 0 || any_skipped.load(std::memory_order_relaxed) ? 1 : 0;
}

} // extern "C"
