/* /proc/PID/stat. Its second field is a name that the process chose: it may hold spaces, newlines
 * and parentheses, so the fields are counted from the last ')'. */
#include <errno.h>
#include <stdbool.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/str.h"
#include "target/procfs.h"

enum {
    STAT_BYTES = 2048, /* 52 numbers of at most 20 digits and a comm of 64 bytes */
    STAT_FIELDS = 52,
};

/* Decimal, sign kept as two's complement. Moves *at behind the number. */
static int next_number(const char **at, const char *end, uint64_t *ret)
{
    const char *p = *at;
    uint64_t value = 0;

    while (p < end && *p == ' ')
        p++;
    bool negative = p < end && *p == '-';
    if (negative)
        p++;
    const char *first = p;
    for (; p < end && *p >= '0' && *p <= '9'; p++) {
        if (__builtin_mul_overflow(value, 10, &value) ||
            __builtin_add_overflow(value, (uint64_t)(*p - '0'), &value))
            return -EBADMSG;
    }
    if (p == first)
        return -EBADMSG;
    *at = p;
    *ret = negative ? 0 - value : value;
    return 0;
}

static void copy_comm(struct pst_stat *stat, const char *from, const char *to)
{
    size_t len = (size_t)(to - from);

    if (len >= sizeof(stat->comm))
        len = sizeof(stat->comm) - 1;
    memcpy(stat->comm, from, len);
    stat->comm[len] = '\0';
}

int pst_stat_parse(const char *text, size_t len, struct pst_stat *ret)
{
    uint64_t field[STAT_FIELDS + 1] = {0};
    const char *end = text + len;
    const char *open = memchr(text, '(', len);
    const char *close = memrchr(text, ')', len);
    struct pst_stat stat = {0};

    if (!open || !close || close < open || end - close < 4 || close[1] != ' ')
        return -EBADMSG;
    copy_comm(&stat, open + 1, close);
    stat.state = close[2];
    const char *at = close + 3;
    for (int i = 4; i <= STAT_FIELDS; i++) {
        if (next_number(&at, end, &field[i]) == 0)
            continue;
        if (i <= 22) /* later ones came with later kernels */
            return -EBADMSG;
        break;
    }
    stat.ppid = (pid_t)(int64_t)field[4];
    stat.flags = (uint32_t)field[9];
    stat.utime_ticks = field[14];
    stat.stime_ticks = field[15];
    stat.num_threads = field[20];
    stat.start_ticks = field[22];
    stat.vsize_bytes = field[23];
    stat.start_stack = field[28];
    stat.arg_start = field[48];
    stat.arg_end = field[49];
    stat.env_start = field[50];
    stat.env_end = field[51];
    *ret = stat;
    return 0;
}

int pst_statm_mapped(pid_t pid, uint64_t *ret_bytes)
{
    enum { SIZE = 0, DATA = 5 };
    char text[256];
    uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);
    uint64_t pages[DATA + 1];
    ssize_t len = pst_procfs_read(pid, "statm", text, sizeof(text));

    if (len < 0)
        return (int)len;
    struct pst_str rest = {text, (size_t)len}, word;
    for (size_t i = 0; i < PST_ARRAY_SIZE(pages); i++) {
        if (!pst_str_next(&rest, ' ', &word) ||
            pst_str_u64(word, 10, UINT64_MAX / page, &pages[i]) < 0)
            return -EBADMSG;
    }
    *ret_bytes = pages[SIZE] > pages[DATA] ? (pages[SIZE] - pages[DATA]) * page : 0;
    return 0;
}

int pst_stat_read(pid_t pid, struct pst_stat *ret)
{
    char text[STAT_BYTES];
    ssize_t len = pst_procfs_read(pid, "stat", text, sizeof(text));

    if (len < 0)
        return (int)len;
    return pst_stat_parse(text, (size_t)len, ret);
}
