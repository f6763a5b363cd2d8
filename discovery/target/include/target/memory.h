/* The one door to a target's memory: process_vm_readv, or /proc/PID/mem where that call is refused
 * and the file can be had. Reads are bounded by a budget per sample, never write, never stop the
 * target. One thread per object. */
#ifndef PST_TARGET_MEMORY_H
#define PST_TARGET_MEMORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "target/procref.h"

struct pst_memory;

/* Live process; the procref is copied, its pidfd borrowed. NULL when out of memory. */
struct pst_memory *pst_memory_new(const struct pst_procref *ref);
/* Who opens /proc/PID/mem for this process where the kernel refuses it: a descriptor that becomes
 * the memory's, or negative. One for the process, set before the first memory; none by default. */
typedef int pst_memory_opener(pid_t pid, uint64_t start_ticks);
void pst_memory_set_opener(pst_memory_opener *opener);
/* /proc/PID/mem for reading, by this process's own right: a descriptor or -errno. What it reads is
 * the memory that the process had then; after an exec that is nothing. */
int pst_memory_open(pid_t pid);
/* A core file; borrowed. Addresses that neither it nor its files hold are unmapped. */
struct pst_core;
struct pst_memory *pst_memory_new_core(struct pst_core *core);
/* NULL for any other memory. */
struct pst_core *pst_memory_core(const struct pst_memory *memory);
/* A window of bytes standing for addresses [base, base+len): fake runtimes, fuzzing. Borrowed.
 * Add further windows with pst_memory_add_buffer. */
struct pst_memory *pst_memory_new_buffer(uint64_t base, const void *data, size_t len);
int pst_memory_add_buffer(struct pst_memory *memory, uint64_t base, const void *data, size_t len);
/* Windows only: called before each piece is copied, so that a test may be a target that goes on
 * meanwhile. */
void pst_memory_before_piece(struct pst_memory *memory, void (*change)(void *context),
                             void *context);
struct pst_memory *pst_memory_free(struct pst_memory *memory);

struct pst_piece {
    uint64_t address;
    void *dst;
    size_t len;
};

/* Reads all pieces in one call where the kernel allows (IOV_MAX 1024). 0 when all were read;
 * otherwise -errno and *ret_done (may be NULL) is the number of whole pieces read before the
 * failing one. -EFAULT unmapped, -ESRCH gone, -EPERM refused, -EDQUOT over the sample's budget. */
int pst_memory_readv(struct pst_memory *memory, const struct pst_piece *pieces, size_t count,
                     size_t *ret_done);
int pst_memory_read(struct pst_memory *memory, uint64_t address, void *dst, size_t len);
/* 8-byte little-endian word. */
int pst_memory_u64(struct pst_memory *memory, uint64_t address, uint64_t *ret);

/* Starts a new budget (PST_MAX_SAMPLE_BYTES, PST_MAX_SAMPLE_READS); attach uses a larger one. */
void pst_memory_budget(struct pst_memory *memory, size_t max_bytes, size_t max_reads);
/* Calls of the kernel so far, for benchmarks and tests. */
uint64_t pst_memory_calls(const struct pst_memory *memory);
/* Whether process_vm_readv was refused and /proc/PID/mem is read instead: one call a piece. */
bool pst_memory_by_file(const struct pst_memory *memory);

/* Around each kernel call the reader publishes that it is inside, so that a watchdog can tell a
 * stall: *sequence is incremented before and after (odd = inside). May be NULL. */
void pst_memory_watch(struct pst_memory *memory, _Atomic uint64_t *sequence);
/* From enter to leave the reader counts as inside, whatever of the target's it waits for (a file);
 * each read of memory and each step says that it goes on. */
void pst_memory_enter(struct pst_memory *memory);
void pst_memory_step(struct pst_memory *memory);
void pst_memory_leave(struct pst_memory *memory);

/* User-space pointer that could hold an object: not NULL, 8-byte aligned, canonical (< 2^47; < 2^56
 * with 5-level paging). */
bool pst_memory_plausible(uint64_t pointer);

#endif
