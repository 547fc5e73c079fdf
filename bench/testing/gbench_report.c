/* SPDX-License-Identifier: MIT */
/* The JSON report of one run; see gbench_report.h. */
#include "gbench_report.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "gbench.h"

static char report[1 << 16];

bool gbench_report_run(const char *filter, int *status)
{
    char path[] = "/tmp/gbench-test-XXXXXX", out[64], selected[64];
    int file = mkstemp(path);
    if (file < 0)
        return false;
    snprintf(out, sizeof(out), "--benchmark_out=%s", path);
    snprintf(selected, sizeof(selected), "--benchmark_filter=%s", filter);
    char *argv[] = {"gbench_test", out, selected, NULL};
    int argc = 3;
    *status = gbench_run(&argc, argv);
    ssize_t length = read(file, report, sizeof(report) - 1);
    close(file);
    unlink(path);
    return length > 0;
}

bool gbench_report_has(const char *text)
{
    return strstr(report, text) != NULL;
}

double gbench_report_number(const char *name, const char *field)
{
    char key[64];
    snprintf(key, sizeof(key), "\"name\": \"%s/", name);
    const char *at = strstr(report, key);
    snprintf(key, sizeof(key), "\"%s\": ", field);
    at = at == NULL ? NULL : strstr(at, key);
    return at == NULL ? (double)NAN : strtod(at + strlen(key), NULL);
}
