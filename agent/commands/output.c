/* Temporary files, renaming, links. */
#include "output.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/io.h"
#include "session/launch.h"

static int refuse(const struct pst_output *output, int status, struct pst_error *error)
{
    bool standard = output->path && strcmp(output->path, "-") == 0;
    const char *why = status == -ENXIO ? "nobody reads this pipe" : strerror(-status), *remedy;

    switch (status) {
    case -EISDIR:
        remedy = "name a file in it";
        break;
    case -ENOENT:
        remedy = "make its folder first";
        break;
    case -ENXIO:
        remedy = "start its reader first";
        break;
    case -EACCES:
    case -EROFS:
    case -ENOSPC:
    case -EDQUOT:
        remedy = "choose another place with -o FILE";
        break;
    default:
        remedy = NULL;
    }
    (void)pst_error_set(error, PST_EXIT_FAILED, standard ? "standard output" : output->path, remedy,
                        "cannot be written: %s", why);
    return status;
}

/* The file's own name, all links followed, by the kernel: with its rules for other people's links
 * in shared folders. */
static char *name_of(int fd)
{
    char link[64], name[PATH_MAX];

    (void)snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
    ssize_t len = readlink(link, name, sizeof(name) - 1);
    if (len < 0)
        return NULL;
    name[len] = 0;
    return strdup(name);
}

/* Follows a link to a file that is not there: it is made, so that what its name is can be asked. */
static int make_linked(struct pst_output *output)
{
    pst_autofd int fd = open(output->path, O_WRONLY | O_CREAT | O_CLOEXEC | O_NOCTTY, 0600);

    if (fd < 0)
        return -errno;
    output->target = name_of(fd);
    output->created = true;
    return output->target ? 0 : -errno;
}

/* What is there already: a pipe or device is written directly, and so is /dev/stdout, which may
 * be a file that others write too. */
static int take_existing(struct pst_output *output, int fd)
{
    struct stat st, standard;

    if (fstat(fd, &st) < 0)
        return -errno;
    if (fstat(STDOUT_FILENO, &standard) == 0 && st.st_dev == standard.st_dev &&
        st.st_ino == standard.st_ino) {
        output->fd = STDOUT_FILENO;
        return 0;
    }
    if (S_ISREG(st.st_mode)) {
        output->target = name_of(fd);
        return output->target ? 0 : -errno;
    }
    output->fd = fcntl(fd, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
    /* It was opened without waiting for the other end only. */
    return output->fd < 0 || fcntl(output->fd, F_SETFL, 0) < 0 ? -errno : 0;
}

static int find_target(struct pst_output *output)
{
    pst_autofd int fd = open(output->path, O_WRONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    struct stat st;

    if (fd >= 0)
        return take_existing(output, fd);
    if (errno != ENOENT)
        return -errno;
    if (lstat(output->path, &st) == 0 && S_ISLNK(st.st_mode))
        return make_linked(output);
    output->target = strdup(output->path);
    return output->target ? 0 : -ENOMEM;
}

/* In the same folder, with the file's name as far as the ending leaves room for it. */
static char *temporary_name(const char *target)
{
    static const char ending[] = ".tmp-XXXXXX";
    struct pst_str base = pst_str_basename(pst_str(target));
    size_t most = NAME_MAX - (sizeof(ending) - 1);
    char *name;

    if (base.len < most)
        most = base.len;
    if (asprintf(&name, "%.*s%s", (int)((size_t)(base.ptr - target) + most), target, ending) < 0)
        return NULL;
    return name;
}

static int open_file(struct pst_output *output)
{
    int status = find_target(output);

    if (status < 0 || output->fd >= 0)
        return status;
    output->temporary = temporary_name(output->target);
    if (!output->temporary)
        return -ENOMEM;
    output->fd = mkostemp(output->temporary, O_CLOEXEC);
    if (output->fd >= 0)
        return 0;
    status = -errno;
    free(output->temporary);
    output->temporary = NULL;
    return status;
}

int pst_output_open(char *path, struct pst_output *ret, struct pst_error *error)
{
    *ret = (struct pst_output){.path = path, .fd = -1};
    int status = path ? 0 : -ENOMEM;

    if (status == 0 && strcmp(path, "-") == 0)
        ret->fd = STDOUT_FILENO;
    else if (status == 0)
        status = open_file(ret);
    return status < 0 ? refuse(ret, status, error) : 0;
}

static int settle(const struct pst_output *output)
{
    struct pst_launch_user user;
    mode_t mask = umask(0);

    (void)umask(mask);
    if (fchmod(output->fd, 0666 & ~mask) < 0)
        return -errno;
    if (pst_launch_invoker(&user) && fchown(output->fd, user.uid, user.gid) < 0)
        return -errno;
    if (fsync(output->fd) < 0 || rename(output->temporary, output->target) < 0)
        return -errno;
    return 0;
}

int pst_output_commit(struct pst_output *output, const struct pst_buf *bytes,
                      struct pst_error *error)
{
    struct pst_str all = pst_buf_view(bytes);
    int status = pst_io_write_all(output->fd, all.ptr, all.len);

    if (status == 0 && output->temporary)
        status = settle(output);
    if (status < 0)
        return refuse(output, status, error);
    free(output->temporary);
    output->temporary = NULL;
    output->created = false;
    return 0;
}

void pst_output_done(struct pst_output *output)
{
    if (output->temporary)
        (void)unlink(output->temporary);
    if (output->created)
        (void)unlink(output->target);
    if (output->fd > STDERR_FILENO)
        (void)close(output->fd);
    free(output->temporary);
    free(output->target);
    free(output->path);
    *output = (struct pst_output){.fd = -1};
}
