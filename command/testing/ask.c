/* SPDX-License-Identifier: MIT */
/*
 * For live_test.py: asks symbols.h of a process, as top does.
 *
 *   ask PID ADDRESS...
 *
 * prints the frames of each return address (hexadecimal), a line for each, and an empty line after
 * the last; then once more, with the maps read again, for every line on stdin.
 */
#include "../command.h"
#include "../symbols.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

/* main.c has it in the command. */
void complain(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vfprintf(stderr, format, arguments);
    va_end(arguments);
}

static void print_frames(struct symbols *symbols, uint64_t address)
{
    const struct symbol_frame *frames;
    size_t count = symbols_find(symbols, address, &frames);
    for (size_t i = 0; i < count; i++)
        printf("%s %s:%u%s\n", frames[i].name, frames[i].file != NULL ? frames[i].file : "?",
               frames[i].line, frames[i].is_inlined ? " inlined" : "");
    const struct symbol_module *module = symbols_module(symbols, address - 1);
    if (module != NULL && module->problem != NULL)
        printf("! %s %s\n", module->path, module->problem);
}

int main(int count, char **arguments)
{
    struct symbols *symbols = count > 2 ? symbols_of_process((pid_t)atol(arguments[1])) : NULL;
    if (symbols == NULL) {
        perror("ask");
        return 1;
    }
    do {
        for (int i = 2; i < count; i++)
            print_frames(symbols, strtoull(arguments[i], NULL, 16));
        printf("\n");
        fflush(stdout);
    } while (getchar() != EOF && symbols_read_again(symbols));
    symbols_free(symbols);
    return 0;
}
