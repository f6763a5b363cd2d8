/* Notes of a core: which files were mapped where, who it was, what ended it. Notes of other kinds
 * are stepped over unread. */
#include <elf.h>
#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/procfs.h>
#include <unistd.h>

#include "base/limits.h"
#include "core_internal.h"

struct note {
    uint32_t type;
    uint64_t offset; /* of its content in the core */
    uint32_t len;
};

static uint64_t word(const char *data, size_t offset)
{
    uint64_t value;
    memcpy(&value, data + offset, sizeof(value));
    return value;
}

static int by_start(const void *a, const void *b)
{
    const struct pst_core_mapping *left = a, *right = b;

    return left->start < right->start ? -1 : left->start > right->start;
}

/* The same path in the entry before means the same file. */
static uint32_t file_of(struct pst_core *core, struct pst_str path)
{
    for (size_t i = core->file_count; i-- > 0;) {
        if (pst_str_eq(core->files[i].path, path))
            return (uint32_t)i;
        if (core->file_count - i > 64) /* a file's mappings lie close together */
            break;
    }
    core->files[core->file_count] = (struct pst_core_file){.path = path, .fd = -1};
    return (uint32_t)core->file_count++;
}

static int take_mappings(struct pst_core *core, uint64_t count, uint64_t page, struct pst_str paths)
{
    enum { HEAD = 16, ENTRY = 24 };
    struct pst_str path;

    for (uint64_t i = 0; i < count; i++) {
        const char *entry = core->files_note + HEAD + i * ENTRY;
        struct pst_core_mapping mapping = {.start = word(entry, 0), .end = word(entry, 8)};
        if (!pst_str_next(&paths, 0, &path) || mapping.start >= mapping.end ||
            __builtin_mul_overflow(word(entry, 16), page, &mapping.offset))
            return -EBADMSG;
        mapping.file = file_of(core, path);
        core->mappings[core->mapping_count++] = mapping;
    }
    if (core->mapping_count > 1)
        qsort(core->mappings, core->mapping_count, sizeof(*core->mappings), by_start);
    for (size_t i = 1; i < core->mapping_count; i++) {
        if (core->mappings[i].start < core->mappings[i - 1].end)
            return -EBADMSG;
    }
    return 0;
}

/* count, page size, then start, end, page offset of each, then their paths. */
static int take_files(struct pst_core *core, const struct note *note)
{
    enum { HEAD = 16, ENTRY = 24 };

    if (core->files_note)
        return 0; /* the first counts */
    if (note->len < HEAD)
        return -EBADMSG;
    if (note->len > PST_MAX_CORE_FILES_BYTES)
        return -EFBIG;
    core->files_note = malloc(note->len);
    if (!core->files_note)
        return -ENOMEM;
    int error = pst_core_bytes(core, note->offset, core->files_note, note->len);
    if (error < 0)
        return error;
    uint64_t count = word(core->files_note, 0);
    if (count > (note->len - HEAD) / ENTRY)
        return -EBADMSG;
    core->mappings = calloc(count + 1, sizeof(*core->mappings));
    core->files = calloc(count + 1, sizeof(*core->files));
    if (!core->mappings || !core->files)
        return -ENOMEM;
    size_t start = HEAD + (size_t)count * ENTRY;
    return take_mappings(core, count, word(core->files_note, 8),
                         (struct pst_str){core->files_note + start, note->len - start});
}

static int grow_threads(struct pst_core *core)
{
    if (core->thread_count < core->thread_cap)
        return 0;
    size_t cap = core->thread_cap ? core->thread_cap * 2 : 16;
    struct pst_core_thread *threads = realloc(core->threads, cap * sizeof(*threads));
    if (!threads)
        return -ENOMEM;
    core->threads = threads;
    core->thread_cap = cap;
    return 0;
}

/* The first thread is the one that the signal met. */
static int take_status(struct pst_core *core, const struct note *note)
{
    struct elf_prstatus status;
    int error = grow_threads(core);

    if (error == 0)
        error = note->len < sizeof(status)
                    ? -EBADMSG
                    : pst_core_bytes(core, note->offset, &status, sizeof(status));
    if (error < 0)
        return error;
    if (core->thread_count == 0)
        core->signal = status.pr_cursig;
    if (core->pid == 0)
        core->pid = status.pr_pid;
    core->threads[core->thread_count++] = (struct pst_core_thread){
        status.pr_pid, note->offset + offsetof(struct elf_prstatus, pr_reg)};
    return 0;
}

static int take_process(struct pst_core *core, const struct note *note)
{
    struct elf_prpsinfo info;

    if (note->len < sizeof(info))
        return -EBADMSG;
    int error = pst_core_bytes(core, note->offset, &info, sizeof(info));
    if (error < 0)
        return error;
    core->pid = info.pr_pid;
    core->ppid = info.pr_ppid;
    core->args_len = strnlen(info.pr_psargs, sizeof(info.pr_psargs));
    while (core->args_len > 0 && info.pr_psargs[core->args_len - 1] == ' ')
        core->args_len--;
    memcpy(core->args, info.pr_psargs, core->args_len);
    return 0;
}

static int take_auxiliary(struct pst_core *core, const struct note *note)
{
    enum { PAIR = 16, PAIRS = 64 };
    char pairs[PAIR * PAIRS];
    size_t len = note->len < sizeof(pairs) ? note->len : sizeof(pairs);
    int error = pst_core_bytes(core, note->offset, pairs, len);

    for (size_t at = 0; error == 0 && at + PAIR <= len; at += PAIR) {
        if (word(pairs, at) == AT_PHDR)
            core->program_headers = word(pairs, at + 8);
        else if (word(pairs, at) == AT_SYSINFO_EHDR)
            core->vdso = word(pairs, at + 8);
    }
    return error;
}

static int take(struct pst_core *core, const struct note *note)
{
    switch (note->type) {
    case NT_FILE:
        return take_files(core, note);
    case NT_PRSTATUS:
        return take_status(core, note);
    case NT_PRPSINFO:
        return take_process(core, note);
    case NT_AUXV:
        return take_auxiliary(core, note);
    default:
        return 0;
    }
}

static uint64_t padded(uint32_t len)
{
    return ((uint64_t)len + 3) & ~(uint64_t)3;
}

int pst_core_notes(struct pst_core *core, uint64_t offset, uint64_t len)
{
    enum { NAME = 8 };
    Elf64_Nhdr header;
    char name[NAME] = "";
    uint64_t end;

    if (__builtin_add_overflow(offset, len, &end) || end > core->size)
        return -EBADMSG;
    while (end - offset >= sizeof(header)) {
        if (++core->note_count > PST_MAX_CORE_NOTES)
            return -EFBIG;
        int error = pst_core_bytes(core, offset, &header, sizeof(header));
        uint64_t content = offset + sizeof(header) + padded(header.n_namesz);
        if (error < 0 || content > end || padded(header.n_descsz) > end - content)
            return error < 0 ? error : -EBADMSG;
        size_t read = header.n_namesz < NAME ? header.n_namesz : NAME;
        error = pst_core_bytes(core, offset + sizeof(header), name, read);
        struct note note = {header.n_type, content, header.n_descsz};
        if (error == 0 && header.n_namesz == 5 && memcmp(name, "CORE", 5) == 0)
            error = take(core, &note);
        if (error < 0)
            return error;
        offset = content + padded(header.n_descsz);
    }
    return 0;
}

void pst_core_notes_done(struct pst_core *core)
{
    for (size_t i = 0; i < core->file_count; i++) {
        if (core->files[i].fd >= 0)
            (void)close(core->files[i].fd);
    }
    free(core->files);
    free(core->threads);
    free(core->mappings);
    free(core->files_note);
}
