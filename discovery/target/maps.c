/* Parser of /proc/PID/maps. Pure functions over text, except for the bounded read. */
#include "target/maps.h"

#include <errno.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/limits.h"
#include "target/procfs.h"

static bool take_hex(struct pst_str *text, char terminator, uint64_t *ret)
{
    size_t len = pst_str_find(*text, terminator);

    if (len == text->len)
        return false;
    if (pst_str_u64((struct pst_str){text->ptr, len}, 16, UINT64_MAX, ret) < 0)
        return false;
    *text = (struct pst_str){text->ptr + len + 1, text->len - len - 1};
    return true;
}

static bool take_decimal(struct pst_str *text, uint64_t *ret)
{
    size_t len = 0;

    while (len < text->len && text->ptr[len] >= '0' && text->ptr[len] <= '9')
        len++;
    if (pst_str_u64((struct pst_str){text->ptr, len}, 10, UINT64_MAX, ret) < 0)
        return false;
    *text = (struct pst_str){text->ptr + len, text->len - len};
    return true;
}

static void take_path(struct pst_str text, struct pst_mapping *mapping)
{
    static const struct pst_str deleted = {" (deleted)", 10};

    while (text.len > 0 && text.ptr[0] == ' ')
        text = (struct pst_str){text.ptr + 1, text.len - 1};
    mapping->deleted = text.len > deleted.len && text.ptr[0] == '/' && pst_str_ends(text, deleted);
    if (mapping->deleted)
        text.len -= deleted.len;
    mapping->path = text;
}

/* 7f12-7f34 rw-p 00001000 fd:01 1234      /path */
static bool parse_line(struct pst_str line, struct pst_mapping *ret)
{
    struct pst_mapping mapping = {0};
    uint64_t major, minor;

    if (!take_hex(&line, '-', &mapping.start) || !take_hex(&line, ' ', &mapping.end))
        return false;
    if (mapping.start >= mapping.end || line.len < 5 || line.ptr[4] != ' ')
        return false;
    mapping.readable = line.ptr[0] == 'r';
    mapping.writable = line.ptr[1] == 'w';
    mapping.executable = line.ptr[2] == 'x';
    line = (struct pst_str){line.ptr + 5, line.len - 5};
    if (!take_hex(&line, ' ', &mapping.offset) || !take_hex(&line, ':', &major) ||
        !take_hex(&line, ' ', &minor) || !take_decimal(&line, &mapping.inode))
        return false;
    if (major > UINT32_MAX || minor > UINT32_MAX)
        return false;
    mapping.major = (uint32_t)major;
    mapping.minor = (uint32_t)minor;
    take_path(line, &mapping);
    *ret = mapping;
    return true;
}

bool pst_maps_next(struct pst_str *rest, struct pst_mapping *ret)
{
    struct pst_str line;

    while (pst_str_next(rest, '\n', &line)) {
        if (parse_line(line, ret))
            return true;
    }
    return false;
}

static void cut_last_line(struct pst_buf *text)
{
    while (text->len > 0 && text->data[text->len - 1] != '\n')
        text->len--;
    if (text->data)
        text->data[text->len] = '\0';
}

int pst_maps_read(pid_t pid, struct pst_buf *out)
{
    enum { STEP = 65536 };
    pst_autofd int fd = pst_procfs_open(pid, "maps");

    if (fd < 0)
        return fd;
    while (out->len < PST_MAX_MAPS_BYTES) {
        int status = pst_buf_reserve(out, STEP);
        if (status < 0)
            return status == -EFBIG ? (cut_last_line(out), 0) : status;
        ssize_t got = read(fd, out->data + out->len, STEP);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return errno == ENOENT ? -ESRCH : -errno;
        if (got == 0)
            return 0;
        out->len += (size_t)got;
        out->data[out->len] = '\0';
    }
    cut_last_line(out);
    return 0;
}

bool pst_mapping_of(const struct pst_mapping *mapping, const struct pst_image *image)
{
    return mapping->inode == image->inode && mapping->major == image->major &&
           mapping->minor == image->minor;
}

static bool image_like(const struct pst_mapping *mapping)
{
    return mapping->inode != 0 && mapping->path.len > 0 && mapping->path.ptr[0] == '/';
}

static void image_add(struct pst_image *image, const struct pst_mapping *mapping)
{
    if (mapping->start < image->start)
        image->start = mapping->start;
    image->bytes += mapping->end - mapping->start;
    image->executable |= mapping->executable;
    image->writable |= mapping->writable;
    image->deleted |= mapping->deleted;
}

/* Mappings of one file mostly stand together: the search from the newest is short in practice and
 * bounded by size in any case. */
static struct pst_image *image_find(struct pst_image *images, size_t count,
                                    const struct pst_mapping *mapping)
{
    for (size_t i = count; i > 0; i--) {
        if (pst_mapping_of(mapping, &images[i - 1]))
            return &images[i - 1];
    }
    return NULL;
}

size_t pst_maps_images(struct pst_str text, uint64_t min_bytes, struct pst_image *dst, size_t size)
{
    struct pst_mapping mapping;
    size_t count = 0, kept = 0;

    while (pst_maps_next(&text, &mapping)) {
        if (!image_like(&mapping))
            continue;
        struct pst_image *image = image_find(dst, count, &mapping);
        if (!image && count == size)
            continue;
        if (!image) {
            image = &dst[count++];
            *image = (struct pst_image){.inode = mapping.inode,
                                        .major = mapping.major,
                                        .minor = mapping.minor,
                                        .start = mapping.start,
                                        .path = mapping.path};
        }
        image_add(image, &mapping);
    }
    for (size_t i = 0; i < count; i++) {
        if (dst[i].bytes >= min_bytes && (dst[i].writable || dst[i].executable))
            dst[kept++] = dst[i];
    }
    return kept;
}

bool pst_maps_find(struct pst_str text, uint64_t address, struct pst_mapping *ret)
{
    struct pst_mapping mapping;

    while (pst_maps_next(&text, &mapping)) {
        if (address >= mapping.start && address < mapping.end) {
            *ret = mapping;
            return true;
        }
    }
    return false;
}

int pst_maps_path(struct pst_str path, char *dst, size_t size)
{
    static const struct pst_str newline = {"\\012", 4};
    size_t used = 0;

    if (path.len == 0)
        return -EINVAL;
    for (size_t i = 0; i < path.len; i++) {
        char byte = path.ptr[i];
        if (byte == '\0')
            return -EINVAL;
        if (pst_str_starts((struct pst_str){path.ptr + i, path.len - i}, newline)) {
            byte = '\n';
            i += newline.len - 1;
        }
        if (used + 1 >= size)
            return -ENAMETOOLONG;
        dst[used++] = byte;
    }
    dst[used] = '\0';
    return 0;
}
