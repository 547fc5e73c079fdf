/* SPDX-License-Identifier: MIT */
/* poolmalloc convert: from one form of profile to another, for other tools. */
#include "convert.h"
#include "command.h"

#include <errno.h>
#include <getopt.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct wishes {
    const char *output; /* NULL: standard output */
    const char *form;
};

static bool is_form(const char *form)
{
    if (strcmp(form, "pprof") == 0 || strcmp(form, "gperftools") == 0 ||
        strcmp(form, "jemalloc") == 0)
        return true;
    complain("--to='%s': it is pprof, gperftools or jemalloc", form);
    return false;
}

static bool write_form(struct recording *recording, const struct wishes *wishes, FILE *file,
                       const char *path)
{
    if (strcmp(wishes->form, "pprof") == 0)
        return convert_to_pprof(recording, file, path);
    if (strcmp(wishes->form, "gperftools") == 0)
        convert_to_gperftools(recording, file);
    else
        convert_to_jemalloc(recording, file);
    if (fflush(file) == 0 && !ferror(file))
        return true;
    complain("%s: %s", path, strerror(errno));
    return false;
}

/* Of a file that could not be written whole nothing is left. */
static bool write_file(struct recording *recording, const struct wishes *wishes)
{
    struct stat status;
    FILE *file = fopen(wishes->output, "we");
    if (file == NULL) {
        complain("%s: %s", wishes->output, strerror(errno));
        return false;
    }
    bool done = write_form(recording, wishes, file, wishes->output);
    bool is_file = fstat(fileno(file), &status) == 0 && S_ISREG(status.st_mode);
    if (fclose(file) != 0 && done) {
        complain("%s: %s", wishes->output, strerror(errno));
        done = false;
    }
    if (!done && is_file)
        unlink(wishes->output);
    return done;
}

static bool convert(const char *path, const struct wishes *wishes)
{
    struct recording recording;
    bool is_binary = strcmp(wishes->form, "pprof") == 0;
    if (wishes->output == NULL && is_binary && isatty(STDOUT_FILENO)) {
        complain("the output is no text, and not for a terminal: give -o a file");
        return false;
    }
    if (is_binary)
        symbols_warn_if_blind();
    if (!recording_read(&recording, path))
        return false;
    bool done = wishes->output != NULL ? write_file(&recording, wishes)
                                       : write_form(&recording, wishes, stdout, "standard output");
    recording_free(&recording);
    return done;
}

static int convert_main(int count, char **arguments)
{
    static const struct option known[] = {
        {"output", required_argument, NULL, 'o'},
        {"to", required_argument, NULL, 't'},
        {"help", no_argument, NULL, 'h'},
        {NULL, 0, NULL, 0},
    };
    struct wishes wishes = {.form = "pprof"};
    int found;
    while ((found = getopt_long(count, arguments, "o:", known, NULL)) != -1) {
        if (found == 'h')
            return print_help(&command_convert);
        if (found == 'o')
            wishes.output = optarg;
        else if (found == 't' && is_form(optarg))
            wishes.form = optarg;
        else
            return refer_to_help(STATUS_USAGE);
    }
    if (count - optind == 1)
        return convert(arguments[optind], &wishes) ? 0 : STATUS_FAILED;
    if (count == optind)
        complain("a file is missing");
    else
        complain("unexpected argument '%s'", arguments[optind + 1]);
    return refer_to_help(STATUS_USAGE);
}

const struct command command_convert = {
    .name = "convert",
    .arguments = "[OPTION]... FILE",
    .summary = "make a profile that pprof or jeprof reads",
    .details =
        "Write FILE, a snapshot of traces or a heap profile in the form of gperftools or of\n"
        "jemalloc, in another form.\n\n"
        "  --output=OUT, -o OUT\n"
        "               where to; standard output if not given\n"
        "  --to=FORM    pprof, for 'go tool pprof' and others: profile.proto, gzipped, with\n"
        "               functions and lines; gperftools, for google-pprof; jemalloc, for jeprof;\n"
        "               pprof if not given\n"
        "  --help       print this and exit\n",
    .main = convert_main,
};
