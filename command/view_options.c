/* SPDX-License-Identifier: MIT */
/* The options of report and diff. See view.h. */
#include "command.h"
#include "memory.h"
#include "view.h"

#include <getopt.h>
#include <poolmalloc/trace.h>
#include <stdlib.h>
#include <string.h>

enum { TOP_DEFAULT = 20 };

static const struct {
    const char *name;
    enum pm_snapshot_group group;
} groups[] = {
    {"function", PM_SNAPSHOT_BY_FUNCTION}, {"file", PM_SNAPSHOT_BY_FILE},
    {"line", PM_SNAPSHOT_BY_LINE},         {"module", PM_SNAPSHOT_BY_MODULE},
    {"domain", PM_SNAPSHOT_BY_DOMAIN},     {"traceback", PM_SNAPSHOT_BY_TRACEBACK},
};

static bool set_group(struct view_options *options, const char *name)
{
    for (size_t i = 0; i < sizeof groups / sizeof *groups; i++) {
        if (strcmp(groups[i].name, name) == 0) {
            options->group = groups[i].group;
            options->group_name = groups[i].name;
            return true;
        }
    }
    complain("--by='%s': it is function, file, line, module, traceback or domain", name);
    return false;
}

static bool set_top(struct view_options *options, const char *text)
{
    char *end;
    unsigned long long number = strtoull(text, &end, 10);
    if (text[0] >= '0' && text[0] <= '9' && *end == 0) {
        options->top = number < SIZE_MAX ? (size_t)number : SIZE_MAX;
        return true;
    }
    complain("--top='%s': it is a number of rows", text);
    return false;
}

/* A domain by its name or number. */
static bool set_domain(struct pm_snapshot_filter *filter, const char *text)
{
    filter->by_domain = true;
    for (filter->domain = 0; filter->domain < PM_TRACE_DOMAINS; filter->domain++) {
        if (strcmp(view_domain_name(filter->domain), text) == 0)
            return true;
    }
    char *end;
    filter->domain = (unsigned)strtoul(text, &end, 10);
    return text[0] >= '0' && text[0] <= '9' && *end == 0;
}

/* FILE:LINE, or FILE alone. */
static void set_line(struct pm_snapshot_filter *filter, char *pattern)
{
    char *colon = strrchr(pattern, ':'), *end;
    filter->file = pattern;
    if (colon == NULL || colon[1] == 0)
        return;
    unsigned long line = strtoul(colon + 1, &end, 10);
    if (*end != 0)
        return;
    filter->line = line;
    *colon = 0;
}

/* [!][any-]KEY=PATTERN */
static bool parse_filter(struct pm_snapshot_filter *filter, const char *text, char *pattern)
{
    filter->inclusive = text[0] != '!';
    text += text[0] == '!';
    filter->all_frames = strncmp(text, "any-", 4) == 0;
    text += filter->all_frames ? 4 : 0;
    size_t key = strcspn(text, "=");
    if (text[key] == 0)
        return false;
    strcpy(pattern, text + key + 1);
    if (strncmp(text, "function=", key + 1) == 0)
        filter->function = pattern;
    else if (strncmp(text, "file=", key + 1) == 0)
        filter->file = pattern;
    else if (strncmp(text, "module=", key + 1) == 0)
        filter->module = pattern;
    else if (strncmp(text, "line=", key + 1) == 0)
        set_line(filter, pattern);
    else
        return strncmp(text, "domain=", key + 1) == 0 && !filter->all_frames &&
               set_domain(filter, pattern);
    return true;
}

static bool add_filter(struct view_options *options, const char *text)
{
    if (options->filter_count == FILTERS_MAX) {
        complain("there are more than %d filters", FILTERS_MAX);
        return false;
    }
    struct pm_snapshot_filter *filter = &options->filters[options->filter_count];
    char *pattern = get_memory(strlen(text) + 1);
    *filter = (struct pm_snapshot_filter){0};
    options->patterns[options->filter_count++] = pattern;
    if (parse_filter(filter, text, pattern))
        return true;
    complain("--filter='%s': it is [!][any-]KEY=PATTERN, with the key function, file, line or "
             "module, or [!]domain=NAME",
             text);
    return false;
}

/* False: it was wrong, as was said. */
static bool take(struct view_options *options, int found)
{
    switch (found) {
    case 'o':
        options->output = optarg;
        return true;
    case 't':
        options->text = true;
        return true;
    case 'c':
        options->cumulative = true;
        return true;
    case 'a':
        options->all = true;
        return true;
    case 'b':
        return set_group(options, optarg);
    case 'n':
        return set_top(options, optarg);
    case 'f':
        return add_filter(options, optarg);
    default:
        return false;
    }
}

static bool is_consistent(const struct view_options *options)
{
    if (!options->cumulative ||
        (options->group != PM_SNAPSHOT_BY_TRACEBACK && options->group != PM_SNAPSHOT_BY_DOMAIN))
        return true;
    complain("--cumulative goes with --by=function, file, line and module only");
    return false;
}

int view_options_read(struct view_options *options, const struct command *command, int count,
                      char **arguments, int files, int *first)
{
    static const struct option known[] = {
        {"output", required_argument, NULL, 'o'},
        {"text", no_argument, NULL, 't'},
        {"by", required_argument, NULL, 'b'},
        {"cumulative", no_argument, NULL, 'c'},
        {"all", no_argument, NULL, 'a'},
        {"filter", required_argument, NULL, 'f'},
        {"top", required_argument, NULL, 'n'},
        {"help", no_argument, NULL, 'h'},
        {NULL, 0, NULL, 0},
    };
    *options = (struct view_options){.top = TOP_DEFAULT};
    set_group(options, "function");
    int found;
    while ((found = getopt_long(count, arguments, "o:", known, NULL)) != -1) {
        if (found == 'h')
            return print_help(command);
        if (!take(options, found))
            return refer_to_help(STATUS_USAGE);
    }
    *first = optind;
    if (count - optind != files)
        complain(count - optind < files ? "a file is missing" : "unexpected argument '%s'",
                 arguments[optind + files < count ? optind + files : optind]);
    if (count - optind != files || !is_consistent(options))
        return refer_to_help(STATUS_USAGE);
    return -1;
}

void view_options_free(struct view_options *options)
{
    for (size_t i = 0; i < options->filter_count; i++)
        free(options->patterns[i]);
}
