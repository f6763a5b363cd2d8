/* The listening socket: address text to a bound, listening descriptor, and whether it is reachable
 * from this machine only. Called once, at the start. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "internal.h"

static const char remedy_form[] =
    "write HOST:PORT, [ADDRESS]:PORT, :PORT or unix:/path in server.listen";
static const char remedy_busy[] =
    "another agent may be running: stop it, or choose another server.listen";

static int fail_bind(const char *listen_text, int kernel_errno, struct pst_error *error)
{
    if (kernel_errno == EADDRINUSE)
        return pst_error_set(error, PST_EXIT_FAILED, "server.listen", remedy_busy,
                             "address %s is in use", listen_text);
    if (kernel_errno == EACCES || kernel_errno == EPERM)
        return pst_error_set(error, PST_EXIT_DENIED, "server.listen",
                             "choose a port above 1023 or a folder that this user may write",
                             "not permitted to listen on %s", listen_text);
    return pst_error_set(error, PST_EXIT_FAILED, "server.listen", "choose another server.listen",
                         "cannot listen on %s: %s", listen_text, strerror(kernel_errno));
}

static bool someone_answers(const struct sockaddr_un *address)
{
    pst_autofd int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    return fd >= 0 && (connect(fd, (const struct sockaddr *)address, sizeof(*address)) == 0 ||
                       errno == EAGAIN);
}

static int open_unix(const char *listen_text, struct pst_server *server, struct pst_error *error)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    const char *path = listen_text + strlen("unix:");
    size_t len = strlen(path);
    if (path[0] != '/' || len >= sizeof(address.sun_path) || len >= sizeof(server->unix_path))
        return pst_error_set(error, PST_EXIT_USAGE, "server.listen", remedy_form,
                             "%s is no absolute path of at most %zu bytes", listen_text,
                             sizeof(address.sun_path) - 1);
    memcpy(address.sun_path, path, len + 1);
    struct stat st;
    if (lstat(path, &st) == 0) {
        if (!S_ISSOCK(st.st_mode) || st.st_uid != geteuid())
            return pst_error_set(error, PST_EXIT_FAILED, "server.listen", "choose another path",
                                 "%s exists and is no socket of this user", path);
        if (someone_answers(&address))
            return fail_bind(listen_text, EADDRINUSE, error);
        (void)unlink(path); /* left by an agent that was killed */
    }
    pst_autofd int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    /* The mode of the descriptor becomes the mode of the name: no moment in which others connect.
     */
    if (fd < 0 || fchmod(fd, 0600) < 0 ||
        bind(fd, (const struct sockaddr *)&address, sizeof(address)) < 0 || listen(fd, 64) < 0)
        return fail_bind(listen_text, errno, error);
    (void)chmod(path, 0600);
    memcpy(server->unix_path, path, len + 1);
    (void)snprintf(server->address, sizeof(server->address), "%s", listen_text);
    server->unix_socket = true;
    server->loopback = true;
    server->listen_fd = pst_steal_fd(&fd);
    return 0;
}

/* "[HOST]:PORT" or "HOST:PORT" or ":PORT". */
static int split(const char *text, char *host, size_t host_size, char port[8])
{
    const char *colon = strrchr(text, ':');
    if (!colon)
        return -EINVAL;
    const char *first = text, *end = colon;
    if (text[0] == '[') {
        if (colon == text || colon[-1] != ']')
            return -EINVAL;
        first = text + 1;
        end = colon - 1;
    } else if (memchr(text, ':', (size_t)(colon - text))) {
        return -EINVAL; /* an IPv6 address needs its brackets */
    }
    size_t len = (size_t)(end - first);
    uint64_t number;
    if (len >= host_size || pst_str_u64(pst_str(colon + 1), 10, 65535, &number) < 0)
        return -EINVAL;
    memcpy(host, first, len);
    host[len] = '\0';
    (void)snprintf(port, 8, "%u", (unsigned)number);
    return 0;
}

static bool is_loopback(const struct sockaddr *address)
{
    if (address->sa_family == AF_INET) {
        const struct sockaddr_in *in = (const void *)address;
        return ntohl(in->sin_addr.s_addr) >> 24 == 127;
    }
    const struct sockaddr_in6 *in6 = (const void *)address;
    return address->sa_family == AF_INET6 && IN6_IS_ADDR_LOOPBACK(&in6->sin6_addr);
}

static int bind_one(const struct addrinfo *info)
{
    pst_autofd int fd =
        socket(info->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, IPPROTO_TCP);
    if (fd < 0)
        return -errno;
    int on = 1, off = 0;
    (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    if (info->ai_family == AF_INET6)
        (void)setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof(off));
    if (bind(fd, info->ai_addr, info->ai_addrlen) < 0 || listen(fd, 64) < 0)
        return -errno;
    return pst_steal_fd(&fd);
}

/* The port that the kernel chose when 0 was asked for, in the address for people. */
static void describe(struct pst_server *server)
{
    struct sockaddr_storage storage;
    socklen_t len = sizeof(storage);
    char host[NI_MAXHOST], port[NI_MAXSERV];
    if (getsockname(server->listen_fd, (struct sockaddr *)&storage, &len) < 0 ||
        getnameinfo((struct sockaddr *)&storage, len, host, sizeof(host), port, sizeof(port),
                    NI_NUMERICHOST | NI_NUMERICSERV) != 0)
        return;
    server->loopback = is_loopback((struct sockaddr *)&storage);
    (void)snprintf(server->address, sizeof(server->address),
                   strchr(host, ':') ? "http://[%.200s]:%s/" : "http://%.200s:%s/", host, port);
}

int pst_listen_open(const char *listen_text, struct pst_server *server, struct pst_error *error)
{
    if (strncmp(listen_text, "unix:", 5) == 0)
        return open_unix(listen_text, server, error);
    char port[8];
    if (split(listen_text, server->host, sizeof(server->host), port) < 0)
        return pst_error_set(error, PST_EXIT_USAGE, "server.listen", remedy_form,
                             "\"%s\" is no address", listen_text);
    /* Without a host: every address, of both families where IPv6 exists. */
    const char *const hosts[] = {server->host[0] ? server->host : "::",
                                 server->host[0] ? NULL : "0.0.0.0"};
    int r = -EADDRNOTAVAIL;
    for (size_t i = 0; i < 2 && hosts[i] && r < 0; i++) {
        struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE}, *list = NULL;
        int code = getaddrinfo(hosts[i], port, &hints, &list);
        if (code != 0)
            return pst_error_set(error, PST_EXIT_USAGE, "server.listen", remedy_form,
                                 "\"%s\" is no address: %s", listen_text, gai_strerror(code));
        for (const struct addrinfo *at = list; at && r < 0; at = at->ai_next)
            r = bind_one(at);
        freeaddrinfo(list);
    }
    if (r < 0)
        return fail_bind(listen_text, -r, error);
    server->listen_fd = r;
    describe(server);
    return 0;
}

void pst_listen_close(struct pst_server *server)
{
    if (server->listen_fd >= 0)
        (void)close(server->listen_fd);
    server->listen_fd = -1;
    if (server->unix_path[0])
        (void)unlink(server->unix_path);
    server->unix_path[0] = '\0';
}
