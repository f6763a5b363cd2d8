/* Deadlines for whole requests and answers. The library's own timeout starts again with every byte,
 * so a client that sends one byte every few seconds would hold its connection for ever. One thread
 * looks at all connections twice a second and shuts those down that are past their time. */
#include <errno.h>
#include <stdlib.h>
#include <time.h>

#include "base/clock.h"
#include "cache.h"

static struct pst_connection *connection_of(struct MHD_Connection *connection)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
    return info ? info->socket_context : NULL;
}

static void opened(struct pst_server *server, struct MHD_Connection *connection,
                   void **socket_context)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD);
    struct pst_connection *own = calloc(1, sizeof(*own));
    *socket_context = own;
    if (!own || !info)
        return;
    own->fd = info->connect_fd;
    own->since_ns = pst_clock_monotonic_ns();
    (void)pthread_mutex_lock(&server->lock);
    own->next = server->connections;
    if (own->next)
        own->next->previous = own;
    server->connections = own;
    (void)pthread_mutex_unlock(&server->lock);
}

/* Called before the library closes the descriptor, so the watch never shuts down somebody else's.
 */
static void closed(struct pst_server *server, struct pst_connection *own)
{
    if (!own)
        return;
    (void)pthread_mutex_lock(&server->lock);
    if (own->previous)
        own->previous->next = own->next;
    else if (server->connections == own)
        server->connections = own->next;
    if (own->next)
        own->next->previous = own->previous;
    (void)pthread_mutex_unlock(&server->lock);
    free(own);
}

void pst_watch_notify(void *argument, struct MHD_Connection *connection, void **socket_context,
                      enum MHD_ConnectionNotificationCode code)
{
    if (code == MHD_CONNECTION_NOTIFY_STARTED)
        opened(argument, connection, socket_context);
    else
        closed(argument, *socket_context);
}

void pst_watch_phase(struct pst_request *request, enum pst_connection_phase phase)
{
    struct pst_connection *own = connection_of(request->connection);
    if (!own)
        return;
    (void)pthread_mutex_lock(&request->server->lock);
    own->phase = phase;
    own->since_ns = pst_clock_monotonic_ns();
    (void)pthread_mutex_unlock(&request->server->lock);
}

static bool overdue(const struct pst_connection *own, uint64_t now_ns)
{
    uint64_t age_ns = now_ns - own->since_ns;
    switch (own->phase) {
    case PST_READING:
        return age_ns > PST_MAX_HTTP_READ_S * PST_NS_PER_S;
    case PST_SENDING:
        return age_ns > PST_MAX_HTTP_SEND_S * PST_NS_PER_S;
    case PST_WORKING:
    default:
        return false; /* our own work has its own bounds */
    }
}

static void *watch_main(void *argument)
{
    struct pst_server *server = argument;
    (void)pthread_mutex_lock(&server->lock);
    while (!atomic_load(&server->stopping)) {
        uint64_t now_ns = pst_clock_monotonic_ns();
        for (struct pst_connection *own = server->connections; own; own = own->next)
            if (!own->cut && overdue(own, now_ns)) {
                own->cut = true;
                (void)shutdown(own->fd, SHUT_RDWR);
            }
        pst_cache_prune(server->cache);
        struct timespec until;
        (void)clock_gettime(CLOCK_MONOTONIC, &until);
        until.tv_nsec += 500000000;
        until.tv_sec += until.tv_nsec / 1000000000;
        until.tv_nsec %= 1000000000;
        (void)pthread_cond_timedwait(&server->wake, &server->lock, &until);
    }
    (void)pthread_mutex_unlock(&server->lock);
    return NULL;
}

int pst_watch_start(struct pst_server *server)
{
    int r = pthread_create(&server->watch, NULL, watch_main, server);
    server->watching = r == 0;
    return -r;
}

void pst_watch_stop(struct pst_server *server)
{
    if (server->watching)
        (void)pthread_join(server->watch, NULL);
    server->watching = false;
}

bool pst_server_stopping(void *server)
{
    return atomic_load(&((struct pst_server *)server)->stopping);
}

bool pst_server_sleep(struct pst_server *server, uint64_t duration_ns)
{
    struct timespec until;
    (void)clock_gettime(CLOCK_MONOTONIC, &until);
    uint64_t nsec = (uint64_t)until.tv_nsec + duration_ns % PST_NS_PER_S;
    until.tv_sec += (time_t)(duration_ns / PST_NS_PER_S + nsec / PST_NS_PER_S);
    until.tv_nsec = (long)(nsec % PST_NS_PER_S);
    (void)pthread_mutex_lock(&server->lock);
    while (!atomic_load(&server->stopping) &&
           pthread_cond_timedwait(&server->wake, &server->lock, &until) == 0)
        ;
    bool on = !atomic_load(&server->stopping);
    (void)pthread_mutex_unlock(&server->lock);
    return on;
}
