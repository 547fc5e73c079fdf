/* SPDX-License-Identifier: MIT */
/*
 * A library to preload beside an allocator: at the start of each program it appends a line to the
 * file PM_PROVIDER_FILE, that says which file this program's malloc comes from. So a preload that
 * did not take effect, or a program that brings its own malloc, is noticed.
 * comparison/programs/provider.py reads the lines.
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <link.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { LINE_BYTES = 4096, READABLE_BY_ALL = 0644 };

/*
 * A program linked at a fixed address that takes the address of malloc has an entry for it in its
 * own jump table, and that is what dlsym(RTLD_DEFAULT) finds. Such a symbol is undefined, though
 * it has a value.
 */
static bool program_defines(void *function)
{
#ifdef __GLIBC__
    Dl_info info;
    const ElfW(Sym) *symbol = NULL;
    return dladdr1(function, &info, (void **)&symbol, RTLD_DL_SYMENT) != 0 && symbol != NULL &&
           symbol->st_shndx != SHN_UNDEF;
#else
    (void)function;
    return false;
#endif
}

/* The first that defines malloc, in the order in which the dynamic linker looks. */
static const char *provider_of_malloc(void)
{
    struct link_map *program = NULL;
    void *self = dlopen(NULL, RTLD_LAZY);
    if (self == NULL || dlinfo(self, RTLD_DI_LINKMAP, &program) != 0)
        return "nothing that could be found";
    void *first = dlsym(RTLD_DEFAULT, "malloc");
    Dl_info info;
    for (struct link_map *file = program->l_next; file != NULL; file = file->l_next) {
        void *handle = dlopen(file->l_name, RTLD_LAZY | RTLD_NOLOAD);
        void *found = handle == NULL ? NULL : dlsym(handle, "malloc");
        /* It may also be that of a library which this one needs. */
        if (found != NULL && dladdr(found, &info) != 0 &&
            (uintptr_t)info.dli_fbase == (uintptr_t)file->l_addr)
            return program_defines(first) && first != found ? "the program itself" : file->l_name;
    }
    return "the program itself";
}

__attribute__((constructor)) static void tell_the_provider_of_malloc(void)
{
    const char *path = getenv("PM_PROVIDER_FILE");
    if (path == NULL)
        return;
    char line[LINE_BYTES];
    int length = snprintf(line, sizeof(line), "%s\t%s\n", program_invocation_short_name,
                          provider_of_malloc());
    int file = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, READABLE_BY_ALL);
    if (file < 0)
        return; /* the reader finds no line, and says so */
    ssize_t written = write(file, line, (size_t)length);
    (void)written;
    close(file);
}
