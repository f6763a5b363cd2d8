/* Files that a core's process had mapped, as they lie on disk now, and the text of its maps. A file
 * counts only when it is an ELF file and begins as the core says that it began: a core can name any
 * path, and a library may have been replaced since. */
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/limits.h"
#include "core_internal.h"
#include "target/rootfs.h"

enum { HEAD_BYTES = 4096 /* ELF header, program headers and, as a rule, the build id */ };

static int file_bytes(int fd, uint64_t offset, void *dst, size_t len)
{
    size_t done = 0;

    while (done < len) {
        ssize_t got = pread(fd, (char *)dst + done, len - done, (off_t)(offset + done));
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return -EFAULT;
        done += (size_t)got;
    }
    return 0;
}

/* A path is opened only to look at first: what is no regular file is never opened for reading. */
static int open_regular(struct pst_str path)
{
    char text[PST_MAX_STRING_BYTES];
    struct stat st;

    if (path.len == 0 || path.len >= sizeof(text) || path.ptr[0] != '/')
        return -ENOENT;
    memcpy(text, path.ptr, path.len);
    text[path.len] = 0;
    pst_autofd int looked = open(text, O_PATH | O_CLOEXEC);
    if (looked < 0)
        return -errno;
    if (fstat(looked, &st) < 0 || !S_ISREG(st.st_mode))
        return -EINVAL;
    return pst_rootfs_reopen(looked);
}

/* ELF header, program headers and the notes (the build id) that lie on the first page are as the
 * linker wrote them; other parts of that page the loader may have written to. */
static bool same_head(const char *ours, const char *theirs)
{
    Elf64_Ehdr header;
    Elf64_Phdr part;

    memcpy(&header, ours, sizeof(header));
    if (memcmp(ours, theirs, sizeof(header)) != 0 || header.e_phentsize != sizeof(part))
        return false;
    for (uint64_t i = 0, at = header.e_phoff; i < header.e_phnum; i++, at += sizeof(part)) {
        if (at > HEAD_BYTES - sizeof(part))
            break;
        if (memcmp(ours + at, theirs + at, sizeof(part)) != 0)
            return false;
        memcpy(&part, ours + at, sizeof(part));
        if (part.p_type == PT_NOTE && part.p_offset < HEAD_BYTES &&
            part.p_filesz <= HEAD_BYTES - part.p_offset &&
            memcmp(ours + part.p_offset, theirs + part.p_offset, part.p_filesz) != 0)
            return false;
    }
    return true;
}

/* Whether what the core holds of the file's beginning is what the file begins with. */
static bool begins_alike(struct pst_core *core, uint32_t file, int fd)
{
    char ours[HEAD_BYTES], theirs[HEAD_BYTES];

    if (file_bytes(fd, 0, ours, HEAD_BYTES) < 0 || memcmp(ours, ELFMAG, SELFMAG) != 0)
        return false;
    for (size_t i = 0; i < core->mapping_count; i++) {
        const struct pst_core_mapping *mapping = &core->mappings[i];
        const struct pst_core_segment *segment = pst_core_segment(core, mapping->start);
        if (mapping->file != file || mapping->offset != 0 || !segment ||
            segment->start != mapping->start || segment->in_core < HEAD_BYTES)
            continue;
        return pst_core_bytes(core, segment->offset, theirs, HEAD_BYTES) == 0 &&
               same_head(ours, theirs);
    }
    return true; /* the core was told to leave out the headers: nothing speaks against it */
}

static void try_file(struct pst_core *core, uint32_t index)
{
    struct pst_core_file *file = &core->files[index];
    int fd = open_regular(file->path);

    file->state = PST_CORE_FILE_REFUSED;
    if (fd < 0) {
        core->files_gone++;
        return;
    }
    if (!begins_alike(core, index, fd)) {
        core->files_other++;
        (void)close(fd);
        return;
    }
    file->fd = fd;
    file->state = PST_CORE_FILE_OPEN;
}

int pst_core_open_file(struct pst_core *core, uint64_t inode)
{
    if (inode == 0 || inode > core->file_count)
        return -ENOENT;
    uint32_t index = (uint32_t)inode - 1;
    if (core->files[index].state == PST_CORE_FILE_UNTRIED)
        try_file(core, index);
    if (core->files[index].state != PST_CORE_FILE_OPEN)
        return -ENOENT;
    int fd = fcntl(core->files[index].fd, F_DUPFD_CLOEXEC, 0);
    return fd >= 0 ? fd : -ENOENT;
}

int pst_core_file_bytes(struct pst_core *core, const struct pst_core_mapping *mapping,
                        uint64_t address, void *dst, size_t len)
{
    struct pst_core_file *file = &core->files[mapping->file];
    uint64_t offset;

    if (file->state == PST_CORE_FILE_UNTRIED)
        try_file(core, mapping->file);
    if (file->state != PST_CORE_FILE_OPEN ||
        __builtin_add_overflow(mapping->offset, address - mapping->start, &offset) ||
        offset > INT64_MAX)
        return -EFAULT;
    return file_bytes(file->fd, offset, dst, len);
}

/* --- maps --- */

/* As the kernel prints paths: what would end the line is escaped. */
static int put_path(struct pst_buf *out, struct pst_str path)
{
    int error = 0;

    for (size_t i = 0; i < path.len && error == 0; i++)
        error =
            path.ptr[i] == '\n' ? pst_buf_puts(out, "\\012") : pst_buf_append(out, path.ptr + i, 1);
    return error;
}

static int put_line(struct pst_buf *out, const struct pst_core *core, uint64_t start, uint64_t end,
                    const char *rights)
{
    const struct pst_core_mapping *mapping = pst_core_mapping(core, start);
    uint64_t offset = mapping ? mapping->offset + (start - mapping->start) : 0;

    int error = pst_buf_printf(out, "%" PRIx64 "-%" PRIx64 " %s %08" PRIx64 " %s %" PRIu32, start,
                               end, rights, offset, mapping ? "ff:ff" : "00:00",
                               mapping ? mapping->file + 1 : 0);
    if (error == 0 && mapping) {
        error = pst_buf_puts(out, " ");
        if (error == 0)
            error = put_path(out, core->files[mapping->file].path);
    } else if (error == 0 && start == core->vdso && start != 0) {
        error = pst_buf_puts(out, " [vdso]");
    }
    return error < 0 ? error : pst_buf_puts(out, "\n");
}

int pst_core_maps(const struct pst_core *core, struct pst_buf *out)
{
    int error = 0;

    for (size_t i = 0; i < core->segment_count && error == 0; i++) {
        const struct pst_core_segment *segment = &core->segments[i];
        char rights[5] = {segment->readable ? 'r' : '-', segment->writable ? 'w' : '-',
                          segment->executable ? 'x' : '-', 'p', 0};
        error = put_line(out, core, segment->start, segment->end, rights);
    }
    /* Some writers leave out whole mappings of code. */
    for (size_t i = 0; i < core->mapping_count && error == 0; i++) {
        const struct pst_core_mapping *mapping = &core->mappings[i];
        if (!pst_core_segment(core, mapping->start))
            error = put_line(out, core, mapping->start, mapping->end, "r-xp");
    }
    return error;
}
