/* Separate debug information: by build id under /usr/lib/debug, or by the name that the image links
 * to. A file of the target's is copied before libdw sees it, since libdw maps what it is given. */
#include <elfutils/libdwelf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/sendfile.h>

#include "base/cleanup.h"
#include "base/limits.h"
#include "image.h"
#include "target/rootfs.h"

enum { PATH_BYTES = 4096 };

/* A sealed copy of at most PST_MAX_NATIVE_DEBUG_BYTES. */
static int copy(int from)
{
    pst_autofd int to = memfd_create("debug", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    struct stat st;

    if (to < 0 || fstat(from, &st) < 0 || !S_ISREG(st.st_mode))
        return -1;
    if (st.st_size <= 0 || st.st_size > PST_MAX_NATIVE_DEBUG_BYTES)
        return -1;
    for (off_t left = st.st_size; left > 0;) {
        ssize_t sent = sendfile(to, from, NULL, (size_t)left);
        if (sent <= 0)
            return -1;
        left -= sent;
    }
    if (fcntl(to, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL) < 0)
        return -1;
    return pst_steal_fd(&to);
}

static int in_target(pid_t pid, const char *path)
{
    pst_autofd int found = pst_rootfs_open(pid, path);
    struct stat st;

    if (found < 0 || fstat(found, &st) < 0 || !S_ISREG(st.st_mode))
        return -1;
    pst_autofd int fd = pst_rootfs_reopen(found);
    return fd < 0 ? -1 : copy(fd);
}

static int by_build_id(const struct pst_native_image *image, pid_t pid)
{
    char path[PATH_BYTES];

    if (strlen(image->build_id) < 4)
        return -1;
    (void)snprintf(path, sizeof(path), "/usr/lib/debug/.build-id/%.2s/%s.debug", image->build_id,
                   image->build_id + 2);
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    return fd >= 0 ? fd : in_target(pid, path);
}

/* Names with a slash could lead anywhere; debuglinks have none. */
static int by_link(const struct pst_native_image *image, pid_t pid, const char *link)
{
    static const struct {
        const char *before, *between;
    } places[] = {{"", ""}, {"", ".debug/"}, {"/usr/lib/debug", ""}};
    const char *slash = image->path ? strrchr(image->path, '/') : NULL;
    int folder = slash ? (int)(slash - image->path) + 1 : 0;
    char path[PATH_BYTES];
    int fd = -1;

    if (!link || !link[0] || strchr(link, '/') || !slash || strlen(image->path) > PATH_BYTES / 2)
        return -1;
    for (size_t i = 0; i < PST_ARRAY_SIZE(places) && fd < 0; i++) {
        (void)snprintf(path, sizeof(path), "%s%.*s%s%.256s", places[i].before, folder, image->path,
                       places[i].between, link);
        if (strcmp(path, image->path) != 0)
            fd = in_target(pid, path);
    }
    return fd;
}

int pst_image_debug(struct pst_native_image *image, pid_t pid, struct pst_elves *elves)
{
    GElf_Word checksum;

    if (image->debug_tried || !image->elf)
        return image->debug_fd;
    image->debug_tried = true;
    int fd = by_build_id(image, pid);
    if (fd < 0)
        fd = by_link(image, pid, dwelf_elf_gnu_debuglink(image->elf, &checksum));
    if (fd >= 0 && !pst_image_debug_fits(image, fd)) {
        (void)close(fd);
        fd = -1;
    }
    image->debug_opened = fd < 0 ? NULL : pst_elves_open(elves, fd);
    if (image->debug_opened)
        image->debug_fd = image->debug_opened->fd;
    return image->debug_fd;
}
