/* Environment, arguments and AT_RANDOM of a process, through its memory. */
#ifndef PST_SCAN_ENVIRON_H
#define PST_SCAN_ENVIRON_H

#include "base/buf.h"
#include "target/memory.h"
#include "target/procfs.h"

/* Appends the environment block as the kernel laid it out, cut at the buffer's bound. Through
 * memory, else /proc/PID/environ. 0 or -errno (-EACCES, -EPERM refused). */
int pst_environ_read(const struct pst_stat *stat, pid_t pid, struct pst_memory *memory,
                     struct pst_buf *out);
/* False when the block is not, from its first to its last entry, NAME=VALUE: something has
 * overwritten it. An empty block is intact. `cut`: its end was not read. */
bool pst_environ_intact(struct pst_str block, bool cut);
/* Appends the entries whose names are allowed, each with its NUL. 0 or -ENOMEM. */
int pst_environ_filter(struct pst_str block, struct pst_buf *out);
/* Appends one NAME=VALUE NUL. */
int pst_environ_append(struct pst_buf *out, struct pst_str name, struct pst_str value);

/* Address of the 16 bytes AT_RANDOM, from the stack that the kernel laid out; 0 when not found. */
uint64_t pst_random_address(const struct pst_stat *stat, struct pst_memory *memory);
/* The same from bytes: words from argc on. */
uint64_t pst_random_parse(const uint64_t *words, size_t count);

#endif
