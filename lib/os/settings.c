/* SPDX-License-Identifier: MIT */
/* Where the options come from: the file of settings, then the environment. In the first allocator
 * call of the process, under the lock of start-up; nothing here allocates. */
#include "base/bits.h"
#include "base/options.h"
#include "base/report.h"
#include "os/os.h"

static const char *complaint(enum pm_os_settings result)
{
    switch (result) {
    case PM_OS_SETTINGS_NO_FILE:
        return "it is no regular file";
    case PM_OS_SETTINGS_UNSAFE:
        return "others than its owner may write to it";
    case PM_OS_SETTINGS_LARGE:
        return "it is too large";
    default:
        return NULL;
    }
}

/* The text takes a page of the stack: not beside what comes after. */
static PM_NOINLINE void read_settings(void)
{
    char text[PM_OS_SETTINGS_BYTES];
    size_t length;
    const char *path = pm_os_double_settings_path();
    const char *what = complaint(pm_os_read_settings(path, text, sizeof text, &length));
    if (what != NULL)
        pm_warn("%s: ignored: %s; the defaults stay", path, what);
    pm_options_parse_file(path, text, length);
}

void pm_os_options_init(void)
{
    static bool done; /* start-up that fails later on is tried again by the next call */
    if (done)
        return;
    done = true;
    read_settings();
    pm_options_init();
}
