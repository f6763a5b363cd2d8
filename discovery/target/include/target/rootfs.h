/* Opens files of a target's file system: the very file that is mapped, regular, and nothing else.
 * A path of the target never leads outside its root, never opens a device or a FIFO. */
#ifndef PST_TARGET_ROOTFS_H
#define PST_TARGET_ROOTFS_H

#include <sys/stat.h>
#include <sys/types.h>

#include "target/maps.h"

/* A descriptor that can only be looked at (O_PATH) of the file that the image maps, and what fstat
 * says of it. Tries /proc/PID/exe, /proc/PID/root + path, path, and accepts only the device and
 * inode of the mapping. The fd; -ENOENT when no way leads there, -EACCES when one is refused. */
int pst_rootfs_find(pid_t pid, const struct pst_image *image, struct stat *ret_stat);
/* The same by one of its mappings, which also leads to a file that has been deleted; the kernel
 * asks for CAP_CHECKPOINT_RESTORE or CAP_SYS_ADMIN. */
int pst_rootfs_find_mapped(pid_t pid, uint64_t start, uint64_t end, const struct pst_image *image,
                           struct stat *ret_stat);
/* O_PATH of any file by its path in the target's root: what it is, the caller has to judge. */
int pst_rootfs_open(pid_t pid, const char *path);
/* Opens for reading what pst_rootfs_find gave; regular files only. The fd or -errno. */
int pst_rootfs_reopen(int path_fd);

#endif
