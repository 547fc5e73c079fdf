/* SPDX-License-Identifier: MIT */
/* Reads snapshots, with the library's own reader. See recording.h. */
#define _GNU_SOURCE /* memfd_create, memmem */
#include "recording.h"
#include "command.h"
#include "memory.h"

#include <errno.h>
#include <poolmalloc/snapshot.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define MAPS_HEADING "\nMAPPED_LIBRARIES:\n"
#define END "end\n"

static bool add_stack(unsigned domain, const uint64_t *frames, unsigned count, uint64_t blocks,
                      uint64_t bytes, void *arg)
{
    struct recording *recording = arg;
    for (unsigned i = 0; i < count; i++)
        recording_add_frame(recording, frames[i]);
    return recording_add_stack(recording, (struct recording_figures){blocks, bytes},
                               (struct recording_figures){0}, domain);
}

/* The text once more as a file: what was read may have been a pipe. */
static int file_of(const struct input *input)
{
    int file = memfd_create("snapshot", MFD_CLOEXEC);
    size_t done = 0;
    while (file >= 0 && done < input->length) {
        ssize_t length = write(file, input->text + done, input->length - done);
        if (length < 0 && errno != EINTR) {
            int error = errno;
            close(file);
            errno = error;
            return -1;
        }
        done += length > 0 ? (size_t)length : 0;
    }
    if (file >= 0)
        lseek(file, 0, SEEK_SET);
    return file;
}

static pm_snapshot *read_snapshot(const struct input *input)
{
    char error[1024];
    int file = file_of(input);
    if (file < 0) {
        complain("%s: %s", input->path, strerror(errno));
        return NULL;
    }
    pm_snapshot *snapshot = pm_snapshot_read_fd(file, input->path, error, sizeof error);
    close(file);
    if (snapshot == NULL)
        complain("%s", error);
    return snapshot;
}

static void set_about(struct recording *recording, const pm_snapshot *snapshot)
{
    struct pm_snapshot_about about;
    pm_snapshot_get_about(snapshot, &about);
    recording->process_id = about.process_id;
    recording->time = about.time_s;
    recording->frame_limit = about.traceback_limit;
    recording->peak_bytes = about.peak_bytes;
    if (about.program[0] != 0)
        recording->program = recording->program_text = get_text("%s", about.program);
}

bool recording_read_snapshot(struct recording *recording)
{
    pm_snapshot *snapshot = read_snapshot(&recording->input);
    if (snapshot == NULL)
        return false;
    set_about(recording, snapshot);
    bool done = pm_snapshot_each(snapshot, add_stack, recording);
    pm_snapshot_free(snapshot);
    if (!done) {
        complain("%s: a stack has more than 65535 frames", recording->input.path);
        return false;
    }
    /* The reader has found both the heading and the last line. */
    const struct input *input = &recording->input;
    const char *heading = memmem(input->text, input->length, MAPS_HEADING, strlen(MAPS_HEADING));
    if (heading != NULL)
        recording_set_maps(recording, (size_t)(heading - input->text) + strlen(MAPS_HEADING),
                           input->length - strlen(END));
    return true;
}
