/* Opens a core file and finds bytes by their address. Every offset and count is checked against the
 * file's size before it is used. */
#include "target/core.h"

#include <elf.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/procfs.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/limits.h"
#include "core_internal.h"

#if defined(__x86_64__)
enum { MACHINE = EM_X86_64 };
#elif defined(__aarch64__)
enum { MACHINE = EM_AARCH64 };
#endif

int pst_core_bytes(const struct pst_core *core, uint64_t offset, void *dst, size_t len)
{
    size_t done = 0;

    if (offset > core->size || len > core->size - offset)
        return -EBADMSG;
    while (done < len) {
        ssize_t got = pread(core->fd, (char *)dst + done, len - done, (off_t)(offset + done));
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return got < 0 ? -errno : -EBADMSG;
        done += (size_t)got;
    }
    return 0;
}

static int read_header(const struct pst_core *core, Elf64_Ehdr *ret, uint64_t *ret_count)
{
    Elf64_Shdr section;

    if (pst_core_bytes(core, 0, ret, sizeof(*ret)) < 0 ||
        memcmp(ret->e_ident, ELFMAG, SELFMAG) != 0 || ret->e_ident[EI_CLASS] != ELFCLASS64 ||
        ret->e_ident[EI_DATA] != ELFDATA2LSB || ret->e_type != ET_CORE ||
        ret->e_machine != MACHINE || ret->e_phentsize != sizeof(Elf64_Phdr))
        return -ENOEXEC;
    *ret_count = ret->e_phnum;
    /* More than fit the field: the first section says how many. */
    if (ret->e_phnum == PN_XNUM) {
        if (pst_core_bytes(core, ret->e_shoff, &section, sizeof(section)) < 0)
            return -EBADMSG;
        *ret_count = section.sh_info;
    }
    return *ret_count > PST_MAX_CORE_SEGMENTS ? -EFBIG : 0;
}

static int add_segment(struct pst_core *core, const Elf64_Phdr *header)
{
    uint64_t end;

    if (header->p_memsz == 0)
        return 0;
    if (__builtin_add_overflow(header->p_vaddr, header->p_memsz, &end))
        return -EBADMSG;
    uint64_t there = header->p_filesz < header->p_memsz ? header->p_filesz : header->p_memsz;
    /* A core that was cut short keeps what it has. */
    if (header->p_offset >= core->size)
        there = 0;
    else if (there > core->size - header->p_offset)
        there = core->size - header->p_offset;
    core->segments[core->segment_count++] = (struct pst_core_segment){
        .start = header->p_vaddr,
        .end = end,
        .offset = header->p_offset,
        .in_core = there,
        .readable = header->p_flags & PF_R,
        .writable = header->p_flags & PF_W,
        .executable = header->p_flags & PF_X,
    };
    return 0;
}

static int by_start(const void *a, const void *b)
{
    const struct pst_core_segment *left = a, *right = b;

    return left->start < right->start ? -1 : left->start > right->start;
}

/* Segments that overlap could answer one address in two ways. */
static int sort_segments(struct pst_core *core)
{
    if (core->segment_count > 1)
        qsort(core->segments, core->segment_count, sizeof(*core->segments), by_start);
    for (size_t i = 1; i < core->segment_count; i++) {
        if (core->segments[i].start < core->segments[i - 1].end)
            return -EBADMSG;
    }
    return 0;
}

static int read_segments(struct pst_core *core, const Elf64_Ehdr *header, uint64_t count)
{
    Elf64_Phdr segment;
    int error = 0;

    core->segments = calloc(count + 1, sizeof(*core->segments));
    if (!core->segments)
        return -ENOMEM;
    for (uint64_t i = 0; i < count && error == 0; i++) {
        error =
            pst_core_bytes(core, header->e_phoff + i * sizeof(segment), &segment, sizeof(segment));
        if (error == 0 && segment.p_type == PT_LOAD)
            error = add_segment(core, &segment);
        else if (error == 0 && segment.p_type == PT_NOTE)
            error = pst_core_notes(core, segment.p_offset, segment.p_filesz);
    }
    return error < 0 ? error : sort_segments(core);
}

int pst_core_open(int fd, struct pst_core **ret)
{
    struct pst_core *core = calloc(1, sizeof(*core));
    Elf64_Ehdr header;
    struct stat st;
    uint64_t count;

    if (!core) {
        (void)close(fd);
        return -ENOMEM;
    }
    core->fd = fd;
    int error = fstat(fd, &st) < 0 ? -errno : S_ISREG(st.st_mode) ? 0 : -ENOEXEC;
    if (error == 0) {
        core->size = (uint64_t)st.st_size;
        error = read_header(core, &header, &count);
    }
    if (error == 0)
        error = read_segments(core, &header, count);
    if (error < 0) {
        pst_core_free(core);
        return error;
    }
    *ret = core;
    return 0;
}

struct pst_core *pst_core_free(struct pst_core *core)
{
    if (!core)
        return NULL;
    pst_core_notes_done(core);
    free(core->segments);
    (void)close(core->fd);
    free(core);
    return NULL;
}

const struct pst_core_segment *pst_core_segment(const struct pst_core *core, uint64_t address)
{
    size_t low = 0, high = core->segment_count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (address < core->segments[middle].start)
            high = middle;
        else if (address >= core->segments[middle].end)
            low = middle + 1;
        else
            return &core->segments[middle];
    }
    return NULL;
}

const struct pst_core_mapping *pst_core_mapping(const struct pst_core *core, uint64_t address)
{
    size_t low = 0, high = core->mapping_count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (address < core->mappings[middle].start)
            high = middle;
        else if (address >= core->mappings[middle].end)
            low = middle + 1;
        else
            return &core->mappings[middle];
    }
    return NULL;
}

/* As many bytes as one place holds. Bytes read, or -EFAULT. */
static ssize_t read_some(struct pst_core *core, uint64_t address, char *dst, size_t len)
{
    const struct pst_core_segment *segment = pst_core_segment(core, address);
    const struct pst_core_mapping *mapping = pst_core_mapping(core, address);
    size_t n = len;

    if (segment && address - segment->start < segment->in_core) {
        uint64_t left = segment->in_core - (address - segment->start);
        n = left < n ? (size_t)left : n;
        uint64_t offset = segment->offset + (address - segment->start);
        return pst_core_bytes(core, offset, dst, n) == 0 ? (ssize_t)n : -EFAULT;
    }
    if (!mapping)
        return -EFAULT;
    if (mapping->end - address < n)
        n = (size_t)(mapping->end - address);
    if (segment && segment->end - address < n)
        n = (size_t)(segment->end - address);
    return pst_core_file_bytes(core, mapping, address, dst, n) == 0 ? (ssize_t)n : -EFAULT;
}

int pst_core_read(struct pst_core *core, uint64_t address, void *dst, size_t len)
{
    size_t done = 0;

    while (done < len) {
        ssize_t got = read_some(core, address + done, (char *)dst + done, len - done);
        if (got <= 0)
            return -EFAULT;
        done += (size_t)got;
    }
    return 0;
}

int pst_core_thread(const struct pst_core *core, size_t nth, pid_t *ret_tid, void *registers,
                    size_t len)
{
    if (nth >= core->thread_count)
        return -ENOENT;
    *ret_tid = core->threads[nth].tid;
    return len == sizeof(elf_gregset_t)
               ? pst_core_bytes(core, core->threads[nth].registers, registers, len)
               : -EINVAL;
}

void pst_core_info(const struct pst_core *core, struct pst_core_info *ret)
{
    const struct pst_core_mapping *program = pst_core_mapping(core, core->program_headers);

    *ret = (struct pst_core_info){
        .pid = core->pid,
        .ppid = core->ppid,
        .signal = core->signal,
        .args = {core->args, core->args_len},
        .thread_count = core->thread_count,
        .files_other = core->files_other,
        .files_gone = core->files_gone,
    };
    ret->exe = program ? core->files[program->file].path : (struct pst_str){"", 0};
}
