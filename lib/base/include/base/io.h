/* Files of our own and of /proc, always bounded, always O_CLOEXEC. */
#ifndef PST_BASE_IO_H
#define PST_BASE_IO_H

#include <sys/types.h>

#include "base/buf.h"

/* Appends what there is to read up to buf->max. 0 or -errno; -EFBIG when it is more (content then
 * holds what fitted when truncate is true, and 0 is returned). */
int pst_io_read_all(int fd, struct pst_buf *buf, bool truncate);
/* The same of a file. Waits for nobody: a pipe whose writer is slow is -EAGAIN. */
int pst_io_read_file(int dirfd, const char *path, struct pst_buf *buf, bool truncate);
/* Reads from offset 0 of a kept-open fd with pread; returns bytes or -errno. */
ssize_t pst_io_pread_all(int fd, char *dst, size_t size);
int pst_io_write_all(int fd, const void *data, size_t len);
/* Writes a temporary file in the same folder, fsync, rename. */
int pst_io_write_atomic(const char *path, const void *data, size_t len, unsigned mode);
/* Creates the folder and missing parents with mode 0700. */
int pst_io_mkdir_p(const char *path);

#endif
