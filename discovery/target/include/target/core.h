/* A core file: the memory of a process that is no more. What the core leaves out (code and
 * constants of mapped files) is read from those files on disk, when they still are the ones that
 * were mapped. All of it is hostile; reads never leave the core and the ELF files that it names. */
#ifndef PST_TARGET_CORE_H
#define PST_TARGET_CORE_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/buf.h"

struct pst_core;

/* Takes fd over, also on failure. 0; -ENOEXEC no core file of this machine; -EBADMSG it contradicts
 * itself; -EFBIG more segments or notes than are read; -ENOMEM; -errno. */
int pst_core_open(int fd, struct pst_core **ret);
struct pst_core *pst_core_free(struct pst_core *core);

/* All of len bytes at the address; -EFAULT when they are neither in the core nor in a file. */
int pst_core_read(struct pst_core *core, uint64_t address, void *dst, size_t len);

/* A descriptor of the file with this inode in the maps' text, when it still is the one that was
 * mapped; the caller's to close. -ENOENT else. */
int pst_core_open_file(struct pst_core *core, uint64_t inode);

/* The nth thread that the core tells of, and its general registers as ptrace would give them
 * (struct user_regs_struct). 0; -ENOENT past the last; -EINVAL when they are not that long. */
int pst_core_thread(const struct pst_core *core, size_t nth, pid_t *ret_tid, void *registers,
                    size_t len);

/* Appends what /proc/PID/maps may have said. Each file has an inode of its own, on a device that no
 * machine has. 0, -ENOMEM, -EFBIG. */
int pst_core_maps(const struct pst_core *core, struct pst_buf *out);

struct pst_core_info {
    pid_t pid, ppid;
    int signal;          /* that ended it; 0: none, as in a snapshot of a running process */
    struct pst_str args; /* joined by blanks, at most 80 characters of them */
    struct pst_str exe;  /* file that holds the program's headers; empty: not told */
    size_t thread_count;
    uint32_t files_other; /* mapped files that are on disk, but not as they were */
    uint32_t files_gone;  /* or are not there */
};
/* Views live as long as the core. Numbers of files count those that were asked for so far. */
void pst_core_info(const struct pst_core *core, struct pst_core_info *ret);

#endif
