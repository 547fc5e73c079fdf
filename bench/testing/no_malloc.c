/* SPDX-License-Identifier: MIT */
/*
 * A library that can be preloaded but provides no malloc. comparison/driver_test.py checks that
 * the driver notices: the C library would serve everything, and be measured under a wrong name.
 */
int bench_no_malloc(void);

__attribute__((visibility("default"))) int bench_no_malloc(void)
{
    return 0;
}
