/* SPDX-License-Identifier: MIT */
/*
 * The rows as cases that can be run, and the options that select them: what pm_bench and pm_detail
 * have in common. Called by their main threads.
 */
#ifndef BENCH_CASES_H
#define BENCH_CASES_H

#include "workload.h"

/* A row, or one of its thread counts. */
struct bench_case {
    const struct bench_row *row;
    enum bench_kind kind;
    size_t threads;
    int64_t ops; /* operations of this run: the row's, times the scale */
    char name[64];
};

/* Takes --row=NAME, --scale=X, --threads=1,2,8 or --core=N; false for anything else. */
bool bench_take_option(const char *argument);

/* After the options: the table of all cases, and those that --row selects. */
void bench_make_cases(void);
void bench_print_rows(void);
/* Registers each selected case with Google Benchmark as `run`, with its case as the context; one
 * iteration for each operation. Exits with 2 when --row names none. How many. */
size_t bench_register_cases(gbench_fn *run);

/* The row's loop, once, on the core of --core: the allocator has seen all cores by then. */
void bench_run_case(struct gbench_state *state, const struct bench_case *one);

/* The file whose definition of `symbol` this process uses. */
const char *bench_provider(const char *symbol);

/* One line on stderr, after the program's name; exit status 2. */
__attribute__((noreturn, format(printf, 1, 2))) void bench_refuse(const char *format, ...);

#endif
