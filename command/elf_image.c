/* SPDX-License-Identifier: MIT */
/* Headers of ELF files, on disk and mapped in a process: which it is, and where it lies. */
#include "symbols_file.h"

#include <elf.h>
#include <string.h>
#include <unistd.h>

enum { NOTES_MAX = 4096, PAGE_BYTES_LEAST = 4096 };

static bool read_at(int file, uint64_t place, void *bytes, size_t count)
{
    return pread(file, bytes, count, (off_t)place) == (ssize_t)count;
}

static void add_segment(struct elf_image *image, const Elf64_Phdr *header)
{
    if (image->segment_count < SEGMENTS_MAX)
        image->segments[image->segment_count++] = (struct image_segment){
            .offset = header->p_offset,
            .address = header->p_vaddr,
            .file_bytes = header->p_filesz,
        };
}

/* Notes are a head, a name and a text, each of the latter filled up to four bytes. */
static void look_for_build_id(struct elf_image *image, const unsigned char *notes, size_t bytes)
{
    for (size_t at = 0; bytes - at >= sizeof(Elf64_Nhdr);) {
        Elf64_Nhdr head;
        memcpy(&head, notes + at, sizeof head);
        size_t name = at + sizeof head;
        if (head.n_namesz > bytes || head.n_descsz > bytes)
            return;
        size_t text = name + ((head.n_namesz + 3u) & ~3u);
        if (text + head.n_descsz > bytes)
            return;
        if (head.n_type == NT_GNU_BUILD_ID && head.n_namesz == 4 &&
            memcmp(notes + name, "GNU", 4) == 0 && head.n_descsz <= BUILD_ID_MAX) {
            memcpy(image->build_id, notes + text, head.n_descsz);
            image->build_id_bytes = (int)head.n_descsz;
            return;
        }
        at = text + ((head.n_descsz + 3u) & ~3u);
        if (at > bytes)
            return;
    }
}

static void read_notes(int file, uint64_t place, uint64_t bytes, struct elf_image *image)
{
    unsigned char notes[NOTES_MAX];
    if (bytes > sizeof notes || image->build_id_bytes != 0)
        return;
    if (read_at(file, place, notes, bytes))
        look_for_build_id(image, notes, bytes);
}

bool elf_image_read(int file, uint64_t base, struct elf_image *image)
{
    Elf64_Ehdr head;
    Elf64_Phdr headers[SEGMENTS_MAX];
    *image = (struct elf_image){0};
    if (!read_at(file, base, &head, sizeof head) || memcmp(head.e_ident, ELFMAG, SELFMAG) != 0 ||
        head.e_ident[EI_CLASS] != ELFCLASS64 || head.e_phentsize != sizeof *headers ||
        head.e_phnum > SEGMENTS_MAX ||
        !read_at(file, base + head.e_phoff, headers, head.e_phnum * sizeof *headers))
        return false;
    for (int i = 0; i < head.e_phnum; i++) {
        if (headers[i].p_type == PT_LOAD)
            add_segment(image, &headers[i]);
    }
    /* Where the notes are in memory is known once the first segment is. */
    uint64_t bias = base != 0 ? elf_image_bias(image, base) : 0;
    for (int i = 0; i < head.e_phnum; i++) {
        if (headers[i].p_type == PT_NOTE)
            read_notes(file, base != 0 ? bias + headers[i].p_vaddr : headers[i].p_offset,
                       headers[i].p_filesz, image);
    }
    return image->segment_count > 0;
}

uint64_t elf_image_bias(const struct elf_image *image, uint64_t base)
{
    return image->segment_count == 0
               ? base
               : base + image->segments[0].offset - image->segments[0].address;
}

bool elf_image_fits(const struct elf_image *image, uint64_t bias, uint64_t start, uint64_t end,
                    uint64_t offset)
{
    for (int i = 0; i < image->segment_count; i++) {
        const struct image_segment *segment = &image->segments[i];
        /* What is mapped begins and ends at pages around the segment. */
        if (offset + (end - start) > segment->offset &&
            offset < segment->offset + segment->file_bytes + PAGE_BYTES_LEAST &&
            start - offset == bias + segment->address - segment->offset)
            return true;
    }
    return false;
}
