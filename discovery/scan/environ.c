/* What the kernel laid out at exec: environment and auxiliary vector, read from memory, since the
 * files of another uid (environ, auxv) are closed to a reader that holds CAP_SYS_PTRACE alone. */
#include "environ.h"

#include <elf.h>
#include <errno.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "base/io.h"
#include "base/limits.h"
#include "scan/facts.h"

enum {
    PAGE = 4096,
    PIECES = 64,
    STACK_BYTES = 262144, /* pointers to arguments and environment, and the vector behind them */
};

/* Reads page by page; what follows the first unreadable page is left out. Bytes read or -errno
 * when there are none. */
static ssize_t read_pages(struct pst_memory *memory, uint64_t address, char *dst, size_t len)
{
    struct pst_piece pieces[PIECES];
    size_t used = 0;

    pst_memory_budget(memory, len, PST_MAX_SAMPLE_READS);
    while (used < len) {
        size_t count = 0, done = 0, planned = used;
        while (count < PIECES && planned < len) {
            size_t room = PAGE - (size_t)((address + planned) & (PAGE - 1));
            size_t take = len - planned < room ? len - planned : room;
            pieces[count++] = (struct pst_piece){address + planned, dst + planned, take};
            planned += take;
        }
        int status = pst_memory_readv(memory, pieces, count, &done);
        for (size_t i = 0; i < done; i++)
            used += pieces[i].len;
        if (status < 0)
            return used ? (ssize_t)used : status;
    }
    return (ssize_t)used;
}

static int read_block(const struct pst_stat *stat, struct pst_memory *memory, struct pst_buf *out)
{
    if (stat->env_start == 0 || stat->env_end < stat->env_start)
        return -EACCES;
    size_t len = stat->env_end - stat->env_start;
    if (len > out->max - out->len)
        len = out->max - out->len;
    int status = pst_buf_reserve(out, len);
    if (status < 0 || len == 0)
        return status;
    ssize_t got = read_pages(memory, stat->env_start, out->data + out->len, len);
    if (got < 0)
        return (int)got;
    out->len += (size_t)got;
    out->data[out->len] = '\0';
    return 0;
}

static int read_environ_file(pid_t pid, struct pst_buf *out)
{
    pst_autofd int fd = pst_procfs_open(pid, "environ");

    if (fd < 0)
        return fd;
    size_t room = out->max - out->len;
    int status = pst_buf_reserve(out, room);
    if (status < 0)
        return status;
    ssize_t got = pst_procfs_read_fd(fd, out->data + out->len, room);
    if (got < 0)
        return (int)got;
    out->len += (size_t)got;
    return 0;
}

int pst_environ_read(const struct pst_stat *stat, pid_t pid, struct pst_memory *memory,
                     struct pst_buf *out)
{
    int status = read_block(stat, memory, out);

    if (status == -EACCES || status == -EPERM)
        status = read_environ_file(pid, out);
    return status;
}

/* Names that shells and launchers really export: "BASH_FUNC_x%%", "npm_config_//host/:_auth",
 * "ProgramFiles(x86)". A blank or a control character is in none; a title has blanks early. */
static bool is_entry(struct pst_str entry)
{
    size_t name = pst_str_find(entry, '=');

    if (name == 0 || name == entry.len)
        return false;
    for (size_t i = 0; i < name; i++) {
        unsigned char c = (unsigned char)entry.ptr[i];
        if (c <= ' ' || c == 127 || c == '[' || c == ']')
            return false;
    }
    return true;
}

static bool next_entry(struct pst_str *rest, struct pst_str *ret)
{
    if (rest->len == 0)
        return false;
    size_t len = pst_str_find(*rest, '\0');
    *ret = (struct pst_str){rest->ptr, len};
    size_t step = len < rest->len ? len + 1 : len;
    *rest = (struct pst_str){rest->ptr + step, rest->len - step};
    return true;
}

bool pst_environ_intact(struct pst_str block, bool cut)
{
    struct pst_str entry = {NULL, 0}, rest = block;

    if (block.len == 0)
        return true;
    while (next_entry(&rest, &entry)) {
        if (cut && rest.len == 0)
            break;
        if (!is_entry(entry))
            return false;
    }
    return true;
}

int pst_environ_append(struct pst_buf *out, struct pst_str name, struct pst_str value)
{
    int status = pst_buf_reserve(out, name.len + value.len + 2);

    if (status == 0)
        status = pst_buf_str(out, name);
    if (status == 0)
        status = pst_buf_append(out, "=", 1);
    if (status == 0)
        status = pst_buf_str(out, value);
    return status == 0 ? pst_buf_append(out, "", 1) : status;
}

int pst_environ_filter(struct pst_str block, struct pst_buf *out)
{
    struct pst_str entry;

    while (next_entry(&block, &entry)) {
        size_t name = pst_str_find(entry, '=');
        if (!is_entry(entry) || !pst_env_allowed((struct pst_str){entry.ptr, name}))
            continue;
        int status =
            pst_environ_append(out, (struct pst_str){entry.ptr, name},
                               (struct pst_str){entry.ptr + name + 1, entry.len - name - 1});
        if (status < 0)
            return status == -EFBIG ? 0 : status;
    }
    return 0;
}

/* argc, argv..., NULL, envp..., NULL, (type, value)..., AT_NULL */
uint64_t pst_random_parse(const uint64_t *words, size_t count)
{
    size_t at;

    if (count < 4 || words[0] > count - 4)
        return 0;
    at = 1 + (size_t)words[0];
    if (words[at++] != 0)
        return 0;
    while (at < count && words[at] != 0)
        at++;
    for (at++; at + 1 < count && words[at] != AT_NULL; at += 2) {
        if (words[at] == AT_RANDOM)
            return words[at + 1];
    }
    return 0;
}

uint64_t pst_random_address(const struct pst_stat *stat, struct pst_memory *memory)
{
    uint64_t start = stat->start_stack, end = stat->arg_start;

    if (start == 0 || (start & 7) != 0)
        return 0;
    size_t len = end > start && end - start < STACK_BYTES ? (size_t)(end - start) : STACK_BYTES;
    pst_autofree uint64_t *words = malloc(len + sizeof(*words));
    if (!words)
        return 0;
    ssize_t got = read_pages(memory, start, (char *)words, len);
    return got > 0 ? pst_random_parse(words, (size_t)got / sizeof(*words)) : 0;
}
