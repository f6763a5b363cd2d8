/* A child that is asked one path at a time and answers with the place in it where its package
 * begins; what it answered is remembered. */
#include "session/packages.h"

#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/intern.h"
#include "base/limits.h"
#include "target/rootfs.h"

static const uint64_t patience_ns = PST_NS_PER_S;

struct pst_packages {
    pid_t pids[PST_MAX_OPTION_VALUES];
    size_t count;
    struct pst_intern *paths;
    uint32_t *places; /* by path: where its short form begins, and one; 0: unknown */
    uint32_t known, cap;
    bool started;
    pid_t child;
    int link; /* -1: nobody answers */
    uint64_t waited_ns;
};

/* --- the child --- */

static bool is_there(pid_t pid, const char *path)
{
    int fd = pst_rootfs_open(pid, path);

    if (fd >= 0)
        (void)close(fd);
    return fd >= 0;
}

/* Where in an absolute path the outermost package begins. */
static size_t package_in(pid_t pid, const char *path)
{
    static const char mark[] = "/__init__.py";
    const char *name = strrchr(path, '/');
    char folder[PATH_MAX + sizeof(mark)];
    size_t begin = (size_t)(name - path);

    (void)snprintf(folder, sizeof(folder), "%s", path);
    for (;;) {
        memcpy(folder + begin, mark, sizeof(mark));
        if (begin == 0 || !is_there(pid, folder))
            return begin + 1;
        folder[begin] = 0;
        begin = (size_t)(strrchr(folder, '/') - folder);
    }
}

/* A path that is relative was so to the folder that the program was started in. */
static size_t behind_cwd(pid_t pid, const char *path, char *whole, size_t size)
{
    char link[32], cwd[PATH_MAX];

    (void)snprintf(link, sizeof(link), "/proc/%d/cwd", (int)pid);
    ssize_t len = path[0] == '/' ? 0 : readlink(link, cwd, sizeof(cwd) - 1);
    if (len < 0)
        return SIZE_MAX;
    cwd[len] = 0;
    size_t prefix = len > 0 ? (size_t)len + 1 : 0;
    int all = snprintf(whole, size, "%s%s%s", cwd, len > 0 ? "/" : "", path);
    return all < 0 || (size_t)all >= size ? SIZE_MAX : prefix;
}

static uint32_t place_of(pid_t pid, const char *path)
{
    char whole[PATH_MAX];
    size_t prefix = behind_cwd(pid, path, whole, sizeof(whole));

    if (prefix == SIZE_MAX || !is_there(pid, whole))
        return 0;
    size_t begin = package_in(pid, whole);
    return (uint32_t)(begin < prefix ? 1 : begin - prefix + 1);
}

static void serve(const struct pst_packages *packages)
{
    char path[PATH_MAX];
    ssize_t len;

    while ((len = recv(STDIN_FILENO, path, sizeof(path) - 1, 0)) > 0) {
        uint32_t place = 0;

        path[len] = 0;
        for (size_t i = 0; i < packages->count && place == 0; i++)
            place = place_of(packages->pids[i], path);
        if (place == 0)
            place = place_of(getpid(), path);
        if (send(STDIN_FILENO, &place, sizeof(place), MSG_NOSIGNAL) < 0)
            break;
    }
    _exit(0);
}

/* --- asking it --- */

static void give_up(struct pst_packages *packages)
{
    if (packages->link < 0)
        return;
    (void)close(packages->link);
    packages->link = -1;
    (void)kill(packages->child, SIGKILL);
    (void)waitpid(packages->child, NULL, WNOHANG);
}

static void start(struct pst_packages *packages)
{
    int ends[2];

    packages->started = true;
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) < 0)
        return;
    packages->child = fork();
    if (packages->child == 0) {
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
        /* Nothing that others wait for the end of is held open. */
        if (dup2(ends[1], STDIN_FILENO) < 0 || close_range(1, ~0U, 0) < 0)
            _exit(1);
        serve(packages);
    }
    (void)close(ends[1]);
    packages->link = ends[0];
    if (packages->child < 0) {
        (void)close(ends[0]);
        packages->link = -1;
    }
}

static uint32_t ask(struct pst_packages *packages, struct pst_str path)
{
    struct pollfd fd = {packages->link, POLLIN, 0};
    uint64_t begin_ns = pst_clock_monotonic_ns();
    uint32_t place = 0;

    if (packages->link < 0 || packages->waited_ns >= patience_ns || path.len >= PATH_MAX ||
        memchr(path.ptr, 0, path.len))
        return 0;
    int left_ms = (int)((patience_ns - packages->waited_ns) / PST_NS_PER_MS) + 1;
    if (send(packages->link, path.ptr, path.len, MSG_NOSIGNAL) < 0 || poll(&fd, 1, left_ms) != 1 ||
        recv(packages->link, &place, sizeof(place), MSG_DONTWAIT) != sizeof(place)) {
        give_up(packages);
        return 0;
    }
    packages->waited_ns += pst_clock_monotonic_ns() - begin_ns;
    return place <= path.len ? place : 0;
}

static uint32_t remembered(struct pst_packages *packages, struct pst_str path)
{
    uint32_t id;

    if (pst_intern_add(packages->paths, path.ptr, path.len, &id) < 0)
        return 0;
    if (id < packages->known)
        return packages->places[id];
    if (id == packages->cap) {
        uint32_t cap = packages->cap ? 2 * packages->cap : 256;
        uint32_t *places = realloc(packages->places, cap * sizeof(*places));

        if (!places) {
            pst_intern_clear(packages->paths);
            packages->known = 0;
            return 0;
        }
        packages->places = places;
        packages->cap = cap;
    }
    packages->places[id] = ask(packages, path);
    packages->known = id + 1;
    return packages->places[id];
}

bool pst_packages_file(void *context, struct pst_str path, struct pst_str *ret)
{
    struct pst_packages *packages = context;

    if (!packages || path.len == 0 || path.ptr[0] == '<')
        return false;
    if (!packages->started)
        start(packages);
    uint32_t place = remembered(packages, path);
    if (place == 0)
        return false;
    *ret = (struct pst_str){path.ptr + place - 1, path.len - (place - 1)};
    return true;
}

struct pst_packages *pst_packages_new(const pid_t *pids, size_t count)
{
    struct pst_packages *packages = calloc(1, sizeof(*packages));

    if (!packages)
        return NULL;
    packages->link = -1;
    packages->count = count < PST_MAX_OPTION_VALUES ? count : PST_MAX_OPTION_VALUES;
    for (size_t i = 0; i < packages->count; i++)
        packages->pids[i] = pids[i];
    packages->paths = pst_intern_new(PST_MAX_SHORT_FILES, PST_MAX_SHORT_FILES_BYTES);
    return packages->paths ? packages : pst_packages_free(packages);
}

struct pst_packages *pst_packages_free(struct pst_packages *packages)
{
    if (!packages)
        return NULL;
    give_up(packages);
    pst_intern_free(packages->paths);
    free(packages->places);
    free(packages);
    return NULL;
}
