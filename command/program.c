/* SPDX-License-Identifier: MIT */
/*
 * What of a program's file decides whether the loader will heed LD_PRELOAD: ld.so(8), "Secure-
 * execution mode", and that there is a loader at all. See command.h.
 */
#define _GNU_SOURCE /* asprintf */
#include "command.h"

#include <elf.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#define SCRIPTS_MAX 4 /* a script whose interpreter is a script and so on: the kernel's limit */

static bool is_program(const char *path)
{
    struct stat status;
    return stat(path, &status) == 0 && S_ISREG(status.st_mode) && access(path, X_OK) == 0;
}

char *find_program(const char *name)
{
    const char *rest = getenv("PATH");
    if (strchr(name, '/') != NULL)
        return strdup(name);
    if (rest == NULL)
        rest = "/bin:/usr/bin";
    while (name[0] != 0) {
        size_t length = strcspn(rest, ":");
        char *path = NULL;
        if (asprintf(&path, "%.*s%s%s", (int)length, rest, length > 0 ? "/" : "", name) < 0)
            return NULL;
        if (is_program(path))
            return path;
        free(path);
        if (rest[length] == 0)
            break;
        rest += length + 1;
    }
    return NULL;
}

/* Of these the kernel tells the loader that the caller is not to be trusted (AT_SECURE). */
static const char *secure_obstacle(int file)
{
    struct stat status;
    if (fstat(file, &status) != 0)
        return NULL;
    if ((status.st_mode & S_ISUID) != 0 && status.st_uid != getuid())
        return "is set-user-ID";
    if ((status.st_mode & S_ISGID) != 0 && status.st_gid != getgid())
        return "is set-group-ID";
    if (getuid() != 0 && fgetxattr(file, "security.capability", NULL, 0) > 0)
        return "has file capabilities";
    return NULL;
}

static bool read_header(int file, Elf64_Ehdr *header)
{
    return pread(file, header, sizeof *header, 0) == (ssize_t)sizeof *header &&
           memcmp(header->e_ident, ELFMAG, SELFMAG) == 0;
}

/* The library is for the processor that this command is for. */
static bool is_of_our_kind(const Elf64_Ehdr *header)
{
    Elf64_Ehdr own;
    int file = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
    bool known = file >= 0 && read_header(file, &own);
    if (file >= 0)
        close(file);
    return !known ||
           (header->e_ident[EI_CLASS] == own.e_ident[EI_CLASS] &&
            header->e_ident[EI_DATA] == own.e_ident[EI_DATA] && header->e_machine == own.e_machine);
}

static const char *elf_obstacle(int file, const Elf64_Ehdr *header)
{
    if (!is_of_our_kind(header))
        return "is for another kind of processor";
    for (int i = 0; i < header->e_phnum; i++) {
        Elf64_Phdr segment;
        off_t place = (off_t)(header->e_phoff + (Elf64_Off)i * header->e_phentsize);
        if (pread(file, &segment, sizeof segment, place) != (ssize_t)sizeof segment)
            return NULL; /* broken: the kernel will say how */
        if (segment.p_type == PT_INTERP)
            return secure_obstacle(file);
    }
    return "is linked statically";
}

/* The interpreter of a script: the first word after #!. False: it is none. */
static bool read_interpreter(int file, char *path, size_t room)
{
    ssize_t length = pread(file, path, room - 1, 0);
    if (length < 3 || memcmp(path, "#!", 2) != 0)
        return false;
    path[length] = 0;
    char *line = path + 2;
    line[strcspn(line, "\n")] = 0;
    line += strspn(line, " \t");
    size_t word = strcspn(line, " \t");
    memmove(path, line, word);
    path[word] = 0;
    return word > 0;
}

const char *preload_obstacle(const char *path)
{
    char interpreter[256];
    const char *obstacle = NULL;
    for (int i = 0; i <= SCRIPTS_MAX; i++) {
        Elf64_Ehdr header;
        int file = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
        if (file < 0)
            return NULL;
        bool is_elf = read_header(file, &header);
        bool is_script = !is_elf && read_interpreter(file, interpreter, sizeof interpreter);
        if (is_elf)
            obstacle = elf_obstacle(file, &header);
        close(file);
        if (!is_script)
            return obstacle;
        path = interpreter;
    }
    return NULL;
}
