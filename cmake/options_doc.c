/* SPDX-License-Identifier: MIT */
/*
 * Prints the table of options for the documents that have it: options_doc markdown|man. Of the
 * library as it is built; check_options.py puts it into them, or compares.
 */
#include "base/options.h"

#include <stdio.h>
#include <string.h>

static const char *const kinds[] = {"size", "number", "choice", "text"};

struct words {
    char initial[64], range[128];
};

static struct words words_of(const struct pm_option *option)
{
    struct words words;
    pm_option_format_default(option, words.initial, sizeof words.initial);
    pm_option_format_range(option, words.range, sizeof words.range);
    return words;
}

/* With `escape` before each of the characters in `special`. */
static void print_escaped(const char *text, const char *special, char escape)
{
    for (; *text != 0; text++) {
        if (strchr(special, *text) != NULL)
            putchar(escape);
        putchar(*text);
    }
}

static void print_markdown(const struct pm_option *option)
{
    struct words words = words_of(option);
    printf("| `%s` | %s%s%s | %s: ", option->name, words.initial[0] ? "`" : "",
           words.initial[0] ? words.initial : "none", words.initial[0] ? "`" : "",
           kinds[option->kind]);
    print_escaped(words.range, "|", '\\');
    printf(" | %s | ", option->when == PM_OPTION_ANYTIME ? "yes" : "no");
    print_escaped(pm_option_meaning(option), "|", '\\');
    printf(" |\n");
}

static void print_man(const struct pm_option *option)
{
    struct words words = words_of(option);
    printf(".TP\n.BR %s = \\fI%s\\fR\n", option->name, kinds[option->kind]);
    print_escaped(pm_option_meaning(option), "-", '\\');
    printf(".\nTakes ");
    print_escaped(words.range, "-", '\\');
    printf("; the default is ");
    print_escaped(words.initial[0] ? words.initial : "empty", "-", '\\');
    printf(".\n%s\n", option->when == PM_OPTION_ANYTIME ? "It can be changed later."
                                                        : "It is read at the start only.");
}

int main(int count, char **arguments)
{
    bool man = count == 2 && strcmp(arguments[1], "man") == 0;
    if (!man && (count != 2 || strcmp(arguments[1], "markdown") != 0)) {
        fprintf(stderr, "usage: options_doc markdown|man\n");
        return 2;
    }
    if (!man)
        printf(
            "| option | default | values | changes later | what it is |\n|---|---|---|---|---|\n");
    for (size_t i = 0; i < PM_OPTION_COUNT; i++) {
        if (man)
            print_man(&pm_option_rows[i]);
        else
            print_markdown(&pm_option_rows[i]);
    }
    return 0;
}
