/* The one door to another process's memory: process_vm_readv under a budget, /proc/PID/mem where
 * that call is refused, or what stands for it: a core file, or byte windows. Owns no policy:
 * what an address means, and whether to try again, is the caller's. */
#include "target/memory.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

#include "base/limits.h"
#include "target/core.h"

enum {
    PIECES_PER_CALL = 1024, /* UIO_MAXIOV */
    WINDOWS_MAX = 64,
    LOWEST_ADDRESS = 4096,
};

struct window {
    uint64_t base;
    const unsigned char *data;
    size_t len;
};

struct pst_memory {
    pid_t pid; /* 0: windows stand for the memory */
    uint64_t start_ticks;
    int file_fd; /* /proc/PID/mem, once process_vm_readv was refused and it was not; else -1 */
    struct pst_core *core; /* with pid 0; else NULL */
    struct window *windows;
    size_t window_count;
    void (*change)(void *context); /* before each piece of a window */
    void *change_context;
    size_t bytes_left, reads_left;
    uint64_t calls;
    _Atomic uint64_t *sequence;
    bool entered;
};

static struct pst_memory *memory_new(pid_t pid)
{
    struct pst_memory *memory = calloc(1, sizeof(*memory));

    if (!memory)
        return NULL;
    memory->pid = pid;
    memory->file_fd = -1;
    pst_memory_budget(memory, PST_MAX_SAMPLE_BYTES, PST_MAX_SAMPLE_READS);
    return memory;
}

static pst_memory_opener *opener;

void pst_memory_set_opener(pst_memory_opener *function)
{
    opener = function;
}

struct pst_memory *pst_memory_new(const struct pst_procref *ref)
{
    struct pst_memory *memory = ref->pid > 0 ? memory_new(ref->pid) : NULL;

    if (memory)
        memory->start_ticks = ref->start_ticks;
    return memory;
}

struct pst_memory *pst_memory_new_core(struct pst_core *core)
{
    struct pst_memory *memory = memory_new(0);

    if (memory)
        memory->core = core;
    return memory;
}

struct pst_core *pst_memory_core(const struct pst_memory *memory)
{
    return memory->core;
}

struct pst_memory *pst_memory_new_buffer(uint64_t base, const void *data, size_t len)
{
    struct pst_memory *memory = memory_new(0);

    if (memory && pst_memory_add_buffer(memory, base, data, len) < 0)
        return pst_memory_free(memory);
    return memory;
}

int pst_memory_add_buffer(struct pst_memory *memory, uint64_t base, const void *data, size_t len)
{
    uint64_t end;

    if (memory->pid != 0 || __builtin_add_overflow(base, len, &end))
        return -EINVAL;
    if (memory->window_count >= WINDOWS_MAX)
        return -ENOSPC;
    struct window *grown =
        realloc(memory->windows, (memory->window_count + 1) * sizeof(*memory->windows));
    if (!grown)
        return -ENOMEM;
    memory->windows = grown;
    memory->windows[memory->window_count++] = (struct window){base, data, len};
    return 0;
}

void pst_memory_before_piece(struct pst_memory *memory, void (*change)(void *context),
                             void *context)
{
    memory->change = change;
    memory->change_context = context;
}

struct pst_memory *pst_memory_free(struct pst_memory *memory)
{
    if (!memory)
        return NULL;
    if (memory->file_fd >= 0)
        (void)close(memory->file_fd);
    free(memory->windows);
    free(memory);
    return NULL;
}

void pst_memory_budget(struct pst_memory *memory, size_t max_bytes, size_t max_reads)
{
    memory->bytes_left = max_bytes;
    memory->reads_left = max_reads;
}

uint64_t pst_memory_calls(const struct pst_memory *memory)
{
    return memory->calls;
}

bool pst_memory_by_file(const struct pst_memory *memory)
{
    return memory->file_fd >= 0;
}

void pst_memory_watch(struct pst_memory *memory, _Atomic uint64_t *sequence)
{
    memory->sequence = sequence;
}

/* No allocator hands out addresses above 2^47 unless it was asked for one there by a hint, also
 * where five-level paging would allow them; CPython gives no such hint. */
/* What the kernel gives to programs that do not ask for more. */
#if defined(__aarch64__)
#define HIGHEST_ADDRESS (UINT64_C(1) << 48)
#else
#define HIGHEST_ADDRESS (UINT64_C(1) << 47)
#endif

bool pst_memory_plausible(uint64_t pointer)
{
    return pointer >= LOWEST_ADDRESS && (pointer & 7) == 0 && pointer < HIGHEST_ADDRESS;
}

static int read_window(const struct pst_memory *memory, const struct pst_piece *piece)
{
    for (size_t i = 0; i < memory->window_count; i++) {
        const struct window *window = &memory->windows[i];
        if (piece->address < window->base)
            continue;
        uint64_t offset = piece->address - window->base;
        if (offset <= window->len && piece->len <= window->len - offset) {
            memcpy(piece->dst, window->data + offset, piece->len);
            return 0;
        }
    }
    return -EFAULT;
}

static int read_core(struct pst_memory *memory, const struct pst_piece *pieces, size_t count,
                     size_t *ret_done)
{
    for (size_t i = 0; i < count; i++) {
        if (pst_core_read(memory->core, pieces[i].address, pieces[i].dst, pieces[i].len) < 0) {
            *ret_done = i;
            return -EFAULT;
        }
    }
    *ret_done = count;
    return 0;
}

static int read_windows(const struct pst_memory *memory, const struct pst_piece *pieces,
                        size_t count, size_t *ret_done)
{
    for (size_t i = 0; i < count; i++) {
        if (memory->change)
            memory->change(memory->change_context);
        if (pieces[i].len != 0 && read_window(memory, &pieces[i]) < 0) {
            *ret_done = i;
            return -EFAULT;
        }
    }
    *ret_done = count;
    return 0;
}

static void advance(struct pst_memory *memory, uint64_t by)
{
    if (memory->sequence)
        (void)atomic_fetch_add_explicit(memory->sequence, by, memory_order_acq_rel);
}

/* Odd: inside. */
static void step(struct pst_memory *memory)
{
    advance(memory, memory->entered ? 2 : 1);
}

void pst_memory_enter(struct pst_memory *memory)
{
    advance(memory, 1);
    memory->entered = true;
}

void pst_memory_step(struct pst_memory *memory)
{
    if (memory->entered)
        advance(memory, 2);
}

void pst_memory_leave(struct pst_memory *memory)
{
    memory->entered = false;
    advance(memory, 1);
}

static ssize_t vm_readv(struct pst_memory *memory, const struct iovec *local,
                        const struct iovec *remote, size_t count)
{
    step(memory);
    ssize_t got = process_vm_readv(memory->pid, local, count, remote, count, 0);
    int error = errno;
    step(memory);
    return got >= 0 ? got : -error;
}

/* One piece a call; the kernel's right is the same as for process_vm_readv. The file belongs to the
 * memory that the process had when it was opened: after exec it reads nothing. */
static int read_file(struct pst_memory *memory, const struct pst_piece *pieces, size_t count,
                     size_t *ret_done)
{
    for (*ret_done = 0; *ret_done < count; ++*ret_done) {
        const struct pst_piece *piece = &pieces[*ret_done];
        if (piece->len == 0)
            continue;
        if (piece->address > INT64_MAX)
            return -EFAULT;
        step(memory);
        ssize_t got = pread(memory->file_fd, piece->dst, piece->len, (off_t)piece->address);
        int error = errno;
        step(memory);
        if (got == 0)
            return -ESRCH;
        if (got < 0)
            return error == EIO ? -EFAULT : -error;
        if ((size_t)got < piece->len)
            return -EFAULT;
    }
    return 0;
}

int pst_memory_open(pid_t pid)
{
    char path[32];

    (void)snprintf(path, sizeof(path), "/proc/%d/mem", (int)pid);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    return fd < 0 ? -errno : fd;
}

static int ask_opener(const struct pst_memory *memory, int refusal)
{
    int fd = opener(memory->pid, memory->start_ticks);

    return fd < 0 ? refusal : fd;
}

/* Container engines before moby 23 refuse process_vm_readv to whoever lacks CAP_SYS_PTRACE, by
 * their default seccomp profile, also where the kernel would allow it (same uid). Where the kernel
 * refuses the file too, the opener may have the right. Else the answer is the refusal. */
static int open_file(struct pst_memory *memory, int refusal)
{
    step(memory);
    int fd = pst_memory_open(memory->pid);
    if ((fd == -EPERM || fd == -EACCES) && opener)
        fd = ask_opener(memory, fd);
    step(memory);
    if (fd < 0)
        return fd == -EACCES || fd == -EPERM ? refusal : fd == -ENOENT ? -ESRCH : fd;
    memory->file_fd = fd;
    return 0;
}

/* The kernel stops at the first byte that it cannot read and answers what came before it; it says
 * -EFAULT only when that was nothing. */
static int read_process(struct pst_memory *memory, const struct pst_piece *pieces, size_t count,
                        size_t *ret_done)
{
    struct iovec local[PIECES_PER_CALL], remote[PIECES_PER_CALL];

    for (size_t i = 0; i < count; i++) {
        local[i] = (struct iovec){pieces[i].dst, pieces[i].len};
        remote[i] = (struct iovec){(void *)(uintptr_t)pieces[i].address, pieces[i].len};
    }
    if (memory->file_fd >= 0)
        return read_file(memory, pieces, count, ret_done);
    ssize_t got = vm_readv(memory, local, remote, count);
    if (got == -EPERM || got == -ENOSYS) {
        got = open_file(memory, (int)got);
        if (got == 0)
            return read_file(memory, pieces, count, ret_done);
    }
    size_t left = got > 0 ? (size_t)got : 0, done = 0;
    while (done < count && pieces[done].len <= left)
        left -= pieces[done++].len;
    *ret_done = got < 0 ? 0 : done;
    if (got < 0)
        return (int)got;
    return done == count ? 0 : -EFAULT;
}

/* The longest run of pieces from the first that is sane and within the budget; *ret_error says
 * what ended it. */
static size_t affordable(const struct pst_memory *memory, const struct pst_piece *pieces,
                         size_t count, size_t *ret_bytes, int *ret_error)
{
    size_t total = 0;

    *ret_error = 0;
    for (size_t i = 0; i < count; i++) {
        uint64_t end;
        if (__builtin_add_overflow(pieces[i].address, pieces[i].len, &end))
            *ret_error = -EFAULT;
        else if (pieces[i].len > memory->bytes_left - total)
            *ret_error = -EDQUOT;
        if (*ret_error < 0) {
            *ret_bytes = total;
            return i;
        }
        total += pieces[i].len;
    }
    *ret_bytes = total;
    return count;
}

static int read_batch(struct pst_memory *memory, const struct pst_piece *pieces, size_t count,
                      size_t *ret_done)
{
    if (memory->pid != 0)
        return read_process(memory, pieces, count, ret_done);
    return memory->core ? read_core(memory, pieces, count, ret_done)
                        : read_windows(memory, pieces, count, ret_done);
}

int pst_memory_readv(struct pst_memory *memory, const struct pst_piece *pieces, size_t count,
                     size_t *ret_done)
{
    size_t total_done = 0;
    int status = 0;

    while (status == 0 && total_done < count) {
        const struct pst_piece *next = pieces + total_done;
        size_t batch = count - total_done, bytes, done = 0;
        int stop;
        if (batch > PIECES_PER_CALL)
            batch = PIECES_PER_CALL;
        batch = affordable(memory, next, batch, &bytes, &stop);
        if (batch > 0 && memory->reads_left == 0)
            stop = -EDQUOT, batch = 0;
        if (batch > 0) {
            memory->reads_left--;
            memory->bytes_left -= bytes;
            memory->calls++;
            status = read_batch(memory, next, batch, &done);
        }
        total_done += done;
        if (status == 0)
            status = stop;
    }
    if (ret_done)
        *ret_done = total_done;
    return status;
}

int pst_memory_read(struct pst_memory *memory, uint64_t address, void *dst, size_t len)
{
    struct pst_piece piece = {address, dst, len};

    return pst_memory_readv(memory, &piece, 1, NULL);
}

int pst_memory_u64(struct pst_memory *memory, uint64_t address, uint64_t *ret)
{
    uint64_t word;
    int status = pst_memory_read(memory, address, &word, sizeof(word));

    if (status == 0)
        *ret = word;
    return status;
}
