/* Reads the own CPU clock, the own smaps_rollup and the own statm. */
#include "usage.h"

#include <fcntl.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/io.h"
#include "base/str.h"

enum {
    TEXT_BYTES = 4096,
    /* An eighth of a bound is kept free for what grows unseen: of 16 MiB that is four of these. */
    GROWTH_BYTES = 1 << 19,
};

static uint64_t pss_bytes(void)
{
    static const char key[] = "\nPss:";
    char text[TEXT_BYTES + 1];
    uint64_t kib = 0;
    pst_autofd int fd = open("/proc/self/smaps_rollup", O_RDONLY | O_CLOEXEC);
    ssize_t got = fd < 0 ? -1 : pst_io_pread_all(fd, text, TEXT_BYTES);

    if (got <= 0)
        return 0;
    text[got] = '\0';
    const char *line = strstr(text, key);
    if (!line)
        return 0;
    struct pst_str rest = pst_str_trim(pst_str(line + sizeof(key) - 1));
    rest.len = pst_str_find(rest, ' ');
    return pst_str_u64(rest, 10, UINT64_MAX / 1024, &kib) == 0 ? kib * 1024 : 0;
}

void pst_usage_self(uint64_t *ret_cpu_ns, uint64_t *ret_memory_bytes)
{
    struct timespec cpu = {0, 0};

    (void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &cpu);
    *ret_cpu_ns = (uint64_t)cpu.tv_sec * PST_NS_PER_S + (uint64_t)cpu.tv_nsec;
    *ret_memory_bytes = pss_bytes();
}

static uint64_t resident_bytes(void)
{
    char text[128];
    uint64_t pages = 0;
    pst_autofd int fd = open("/proc/self/statm", O_RDONLY | O_CLOEXEC);
    ssize_t got = fd < 0 ? -1 : pst_io_pread_all(fd, text, sizeof(text) - 1);

    if (got <= 0)
        return 0;
    struct pst_str rest = {text, (size_t)got}, field;
    (void)pst_str_next(&rest, ' ', &field);
    if (!pst_str_next(&rest, ' ', &field) || pst_str_u64(field, 10, UINT32_MAX, &pages) < 0)
        return 0;
    return pages * (uint64_t)sysconf(_SC_PAGESIZE);
}

bool pst_usage_has_grown(const struct pst_usage_growth *growth)
{
    return resident_bytes() > growth->told_bytes + GROWTH_BYTES;
}

void pst_usage_told(struct pst_usage_growth *growth)
{
    growth->told_bytes = resident_bytes();
}
