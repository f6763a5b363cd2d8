/* Owns the shared target table: slots under a sequence lock in a sealed memfd. The writer is the
 * only one to change it; the reader trusts nothing that it finds there. No allocation after open,
 * no knowledge of what a runtime means. */
#include "roles/table.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "base/limits.h"

enum {
    SLOT_BITS = 12,
    SLOTS = 1 << SLOT_BITS,
    VERSION = 1,
    READ_TRIES = 16,
};
#define MAGIC UINT64_C(0x656c626174747370) /* "psttable" */

_Static_assert((int)SLOTS == (int)PST_MAX_TARGETS, "an id's low bits name its slot");
_Static_assert(sizeof(struct pst_table_entry) % sizeof(uint64_t) == 0, "copied by words");

#define ENTRY_WORDS (sizeof(struct pst_table_entry) / sizeof(uint64_t))

/* seq is odd while the writer is inside. Words are copied one by one with relaxed order between
 * two fences: a torn copy is seen by seq and thrown away. */
struct slot {
    _Atomic uint32_t seq;
    uint32_t generation; /* writer's own */
    _Atomic uint64_t words[ENTRY_WORDS];
};

struct head {
    uint64_t magic;
    uint32_t version, slot_bytes;
    uint32_t next_slot; /* writer's own: slots are reused in turn, so that an id comes back late */
    uint32_t unused;
};

struct image {
    struct head head;
    struct slot slots[SLOTS];
};

struct pst_table {
    struct image *image;
    bool writable;
};

int pst_table_create(int *ret_fd)
{
    pst_autofd int fd = memfd_create("pystrobe-targets", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    struct head head = {.magic = MAGIC, .version = VERSION, .slot_bytes = sizeof(struct slot)};

    if (fd < 0 || ftruncate(fd, sizeof(struct image)) < 0)
        return -errno;
    ssize_t wrote = pwrite(fd, &head, sizeof(head), 0);
    if (wrote != (ssize_t)sizeof(head))
        return wrote < 0 ? -errno : -EIO;
    if (fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) < 0)
        return -errno;
    *ret_fd = pst_steal_fd(&fd);
    return 0;
}

static void slot_read(const struct slot *slot, struct pst_table_entry *ret)
{
    uint64_t words[ENTRY_WORDS];

    for (size_t i = 0; i < ENTRY_WORDS; i++)
        words[i] = atomic_load_explicit(&slot->words[i], memory_order_relaxed);
    memcpy(ret, words, sizeof(*ret));
}

static void slot_write(struct slot *slot, const struct pst_table_entry *entry)
{
    uint64_t words[ENTRY_WORDS];
    uint32_t seq = atomic_load_explicit(&slot->seq, memory_order_relaxed);

    memcpy(words, entry, sizeof(words));
    atomic_store_explicit(&slot->seq, seq + 1, memory_order_relaxed);
    atomic_thread_fence(memory_order_release);
    for (size_t i = 0; i < ENTRY_WORDS; i++)
        atomic_store_explicit(&slot->words[i], words[i], memory_order_relaxed);
    atomic_store_explicit(&slot->seq, seq + 2, memory_order_release);
}

static void slot_clear(struct slot *slot)
{
    struct pst_table_entry none;

    memset(&none, 0, sizeof(none));
    slot_write(slot, &none);
}

static void drop_half_written(struct image *image)
{
    for (size_t i = 0; i < SLOTS; i++) {
        uint32_t seq = atomic_load_explicit(&image->slots[i].seq, memory_order_relaxed);
        if (seq & 1) {
            atomic_store_explicit(&image->slots[i].seq, seq + 1, memory_order_relaxed);
            slot_clear(&image->slots[i]);
        }
    }
}

int pst_table_open(int fd, bool writable, struct pst_table **ret)
{
    struct stat stat;

    if (fstat(fd, &stat) < 0)
        return -errno;
    /* Without the seals a mapping could be cut under its reader, who would die of SIGBUS. */
    int seals = fcntl(fd, F_GET_SEALS);
    if (stat.st_size != sizeof(struct image) || seals < 0 || !(seals & F_SEAL_SHRINK))
        return -EBADMSG;
    struct pst_table *table = calloc(1, sizeof(*table));
    if (!table)
        return -ENOMEM;
    table->image = mmap(NULL, sizeof(struct image), writable ? PROT_READ | PROT_WRITE : PROT_READ,
                        MAP_SHARED, fd, 0);
    if (table->image == MAP_FAILED) {
        int error = errno;
        free(table);
        return -error;
    }
    table->writable = writable;
    if (table->image->head.magic != MAGIC || table->image->head.version != VERSION ||
        table->image->head.slot_bytes != sizeof(struct slot)) {
        (void)pst_table_close(table);
        return -EBADMSG;
    }
    if (writable)
        drop_half_written(table->image);
    *ret = table;
    return 0;
}

struct pst_table *pst_table_close(struct pst_table *table)
{
    if (table)
        (void)munmap(table->image, sizeof(struct image));
    free(table);
    return NULL;
}

static bool same_process(const struct pst_table_entry *entry, pid_t pid, uint64_t start_ticks,
                         uint64_t exec_id)
{
    return entry->id != 0 && entry->pid == pid && entry->start_ticks == start_ticks &&
           entry->exec_id == exec_id;
}

uint32_t pst_table_find(const struct pst_table *table, pid_t pid, uint64_t start_ticks,
                        uint64_t exec_id)
{
    for (size_t i = 0; i < SLOTS; i++) {
        struct pst_table_entry entry;
        slot_read(&table->image->slots[i], &entry);
        if (same_process(&entry, pid, start_ticks, exec_id))
            return entry.id;
    }
    return 0;
}

static int issue_id(struct image *image, uint32_t *ret_id)
{
    for (uint32_t tried = 0; tried < SLOTS; tried++) {
        uint32_t index = (image->head.next_slot + tried) % SLOTS;
        struct slot *slot = &image->slots[index];
        struct pst_table_entry entry;
        slot_read(slot, &entry);
        if (entry.id != 0)
            continue;
        image->head.next_slot = (index + 1) % SLOTS;
        slot->generation = (slot->generation + 1) % (UINT32_MAX >> SLOT_BITS);
        *ret_id = (slot->generation + 1) << SLOT_BITS | index;
        return 0;
    }
    return -ENOSPC;
}

int pst_table_put(struct pst_table *table, const struct pst_table_entry *entry, uint32_t *ret_id)
{
    struct pst_table_entry copy;
    uint32_t id;

    if (!table->writable)
        return -EROFS;
    id = pst_table_find(table, entry->pid, entry->start_ticks, entry->exec_id);
    if (id == 0) {
        int status = issue_id(table->image, &id);
        if (status < 0)
            return status;
    }
    copy = *entry;
    copy.id = id;
    slot_write(&table->image->slots[id % SLOTS], &copy);
    *ret_id = id;
    return 0;
}

void pst_table_remove(struct pst_table *table, uint32_t id)
{
    struct slot *slot = &table->image->slots[id % SLOTS];
    struct pst_table_entry entry;

    slot_read(slot, &entry);
    if (table->writable && id != 0 && entry.id == id)
        slot_clear(slot);
}

bool pst_table_next(const struct pst_table *table, uint32_t *cursor, struct pst_table_entry *ret)
{
    while (*cursor < SLOTS) {
        slot_read(&table->image->slots[(*cursor)++], ret);
        if (ret->id != 0)
            return true;
    }
    return false;
}

/* What the walker is handed must at least be a process and numbers of the right kind; that they
 * describe a runtime is for the walker to validate. bool is checked as a byte: any other value
 * would be undefined behaviour to read. */
static bool plausible(const struct pst_table_entry *entry)
{
    unsigned char first, second;

    memcpy(&first, &entry->runtime.free_threaded, 1);
    memcpy(&second, &entry->second.free_threaded, 1);
    return entry->pid > 0 && entry->start_ticks > 0 && first <= 1 && second <= 1 &&
           entry->parent != entry->id;
}

int pst_table_get(const struct pst_table *table, uint32_t id, struct pst_table_entry *ret)
{
    const struct slot *slot = &table->image->slots[id % SLOTS];

    if (id == 0)
        return -ENOENT;
    for (int tries = 0; tries < READ_TRIES; tries++) {
        struct pst_table_entry entry;
        uint32_t before = atomic_load_explicit(&slot->seq, memory_order_acquire);
        slot_read(slot, &entry);
        atomic_thread_fence(memory_order_acquire);
        uint32_t after = atomic_load_explicit(&slot->seq, memory_order_relaxed);
        if (before != after || (before & 1))
            continue;
        if (entry.id != id)
            return -ENOENT;
        if (!plausible(&entry))
            return -EBADMSG;
        *ret = entry;
        return 0;
    }
    return -EAGAIN;
}
