/* SPDX-License-Identifier: MIT */
/* Runs the registered benchmarks once and keeps Google Benchmark's JSON report, for the tests of
 * the C interface. One per program; called by its only thread. */
#ifndef BENCH_TESTING_GBENCH_REPORT_H
#define BENCH_TESTING_GBENCH_REPORT_H

#include <stdbool.h>

/* What gbench_run() returned, in *status. False: there is no report. */
bool gbench_report_run(const char *filter, int *status);
bool gbench_report_has(const char *text);
/* A number of the report: the first `field` after the name of the benchmark; NaN: there is none. */
double gbench_report_number(const char *name, const char *field);

#endif
