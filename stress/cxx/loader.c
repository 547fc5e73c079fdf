/* SPDX-License-Identifier: MIT */
/*
 * A C program that loads a C++ library with RTLD_LOCAL, as interpreters load their extensions: the
 * C++ runtime comes with the library, and others do not see it. What the library's operator new
 * throws it must be able to catch all the same.
 * Usage: loader PLUGIN
 */
#include "check.h"

#include <dlfcn.h>
#include <stddef.h>
#include <string.h>

static const char *library_of(void *plugin, const char *name)
{
    Dl_info info;
    void *symbol = dlsym(plugin, name);
    CHECK(symbol && dladdr(symbol, &info) && info.dli_fname, "no %s", name);
    return info.dli_fname;
}

int main(int count, char **arguments)
{
    void (*run)(void);
    CHECK(count == 2, "usage: loader PLUGIN");
    CHECK(dlsym(RTLD_DEFAULT, "__cxa_throw") == NULL, "the program has a C++ runtime");
    const char *library = library_of(RTLD_DEFAULT, "_Znwm");
    CHECK(strstr(library, "libpoolmalloc"), "operator new is of %s", library);
    void *plugin = dlopen(arguments[1], RTLD_NOW | RTLD_LOCAL);
    CHECK(plugin, "%s", dlerror());
    CHECK(dlsym(RTLD_DEFAULT, "__cxa_throw") == NULL, "all see the C++ runtime");
    *(void **)&run = dlsym(plugin, "plugin_run");
    CHECK(run, "no plugin_run");
    run();
    return 0;
}
