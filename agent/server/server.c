/* Starting and ending the endpoint, and what libmicrohttpd calls. Each connection has a thread of
 * the library, so that a pull of a minute or a large merge delays nobody; their number is bounded.
 */
#include "server/server.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/log.h"
#include "cache.h"

enum { THREAD_STACK_BYTES = 512 * 1024 };

static void count_body(struct pst_request *request, size_t bytes)
{
    request->body_bytes += bytes;
    request->too_large = request->body_bytes > PST_MAX_HTTP_BODY_BYTES;
}

/* The first call comes when the headers are there, then one for each piece of the body, and the
 * last with nothing: only then is there an answer. */
static enum MHD_Result handle(void *context, struct MHD_Connection *connection, const char *url,
                              const char *method, const char *version, const char *data,
                              size_t *data_bytes, void **state)
{
    struct pst_request *request = *state;
    if (!request) {
        request = calloc(1, sizeof(*request));
        if (!request)
            return MHD_NO;
        *state = request;
        *request = (struct pst_request){
            .server = context, .connection = connection, .method = method, .path = url};
        return MHD_YES;
    }
    request->method = method;
    request->path = url;
    if (*data_bytes > 0) {
        count_body(request, *data_bytes);
        *data_bytes = 0;
        return request->body_bytes > 4 * PST_MAX_HTTP_BODY_BYTES ? MHD_NO : MHD_YES;
    }
    struct pst_answer answer;
    pst_answer_init(&answer);
    pst_watch_phase(request, PST_WORKING);
    pst_route(request, &answer);
    pst_watch_phase(request, PST_SENDING);
    enum MHD_Result r = pst_answer_send(&answer, connection);
    pst_answer_done(&answer);
    return r;
}

static void completed(void *context, struct MHD_Connection *connection, void **state,
                      enum MHD_RequestTerminationCode code)
{
    struct pst_request *request = *state;
    if (!request)
        return;
    pst_watch_phase(request, PST_READING);
    free(request);
    *state = NULL;
}

/* What the library has to say is about clients that went away. */
static void quiet(void *context, const char *format, va_list arguments)
{
}

static int start_daemon(struct pst_server *server)
{
    server->daemon = MHD_start_daemon(
        MHD_USE_THREAD_PER_CONNECTION | MHD_USE_INTERNAL_POLLING_THREAD | MHD_USE_POLL |
            MHD_USE_ITC | MHD_USE_ERROR_LOG,
        0, NULL, NULL, handle, server, MHD_OPTION_EXTERNAL_LOGGER, quiet, NULL,
        MHD_OPTION_LISTEN_SOCKET, server->listen_fd, MHD_OPTION_NOTIFY_COMPLETED, completed, NULL,
        MHD_OPTION_NOTIFY_CONNECTION, pst_watch_notify, server, MHD_OPTION_CONNECTION_LIMIT,
        (unsigned)PST_MAX_HTTP_CONNECTIONS, MHD_OPTION_PER_IP_CONNECTION_LIMIT,
        server->unix_socket ? 0U : (unsigned)PST_MAX_HTTP_CONNECTIONS_PER_PEER,
        MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)PST_MAX_HTTP_CONNECTION_BYTES,
        MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)PST_MAX_HTTP_SEND_S, MHD_OPTION_THREAD_STACK_SIZE,
        (size_t)THREAD_STACK_BYTES, MHD_OPTION_STRICT_FOR_CLIENT, 1, MHD_OPTION_END);
    return server->daemon ? 0 : -EIO;
}

static struct pst_server *new_server(const struct pst_config *config, struct pst_store *store,
                                     const struct pst_server_hooks *hooks)
{
    struct pst_server *server = calloc(1, sizeof(*server));
    if (!server)
        return NULL;
    server->token_file =
        strdup(config->server.bearer_token_file ? config->server.bearer_token_file : "");
    server->cache = pst_cache_new();
    if (!server->token_file || !server->cache) {
        pst_cache_free(server->cache);
        free(server->token_file);
        free(server);
        return NULL;
    }
    server->listen_fd = -1;
    server->store = store;
    if (hooks)
        server->hooks = *hooks;
    (void)pthread_mutex_init(&server->lock, NULL);
    (void)pthread_mutex_init(&server->large, NULL);
    pthread_condattr_t attributes;
    (void)pthread_condattr_init(&attributes);
    (void)pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    (void)pthread_cond_init(&server->wake, &attributes);
    (void)pthread_condattr_destroy(&attributes);
    return server;
}

static void free_server(struct pst_server *server)
{
    (void)pthread_cond_destroy(&server->wake);
    (void)pthread_mutex_destroy(&server->lock);
    (void)pthread_mutex_destroy(&server->large);
    pst_cache_free(server->cache);
    free(server->token_file);
    free(server);
}

int pst_server_start(const struct pst_config *config, struct pst_store *store,
                     const struct pst_server_hooks *hooks, struct pst_server **ret,
                     struct pst_error *error)
{
    struct pst_server *server = new_server(config, store, hooks);
    if (!server)
        return pst_error_set(error, PST_EXIT_FAILED, NULL, NULL, "out of memory");
    int r = pst_listen_open(config->server.listen, server, error);
    if (r < 0) {
        free_server(server);
        return r;
    }
    if (pst_picture_policy(server->picture_policy, sizeof(server->picture_policy)) < 0 ||
        pst_watch_start(server) < 0 || start_daemon(server) < 0) {
        atomic_store(&server->stopping, true);
        pst_watch_stop(server);
        pst_listen_close(server);
        free_server(server);
        return pst_error_set(error, PST_EXIT_FAILED, "server.listen", NULL,
                             "cannot start the HTTP endpoint's threads");
    }
    *ret = server;
    return 0;
}

const char *pst_server_address(const struct pst_server *server)
{
    return server->address;
}

struct stop {
    struct pst_server *server;
    pthread_mutex_t lock;
    pthread_cond_t done;
    bool finished, abandoned;
};

static void free_stop(struct stop *stop)
{
    (void)pthread_cond_destroy(&stop->done);
    (void)pthread_mutex_destroy(&stop->lock);
    free(stop);
}

/* The library waits for its threads without a deadline, so it waits in a thread that can be left.
 */
static void *stop_main(void *argument)
{
    struct stop *stop = argument;
    MHD_stop_daemon(stop->server->daemon); /* closes the listener too */
    pst_watch_stop(stop->server);
    (void)pthread_mutex_lock(&stop->lock);
    stop->finished = true;
    bool abandoned = stop->abandoned;
    (void)pthread_cond_signal(&stop->done);
    (void)pthread_mutex_unlock(&stop->lock);
    if (abandoned)
        free_stop(stop);
    return NULL;
}

static bool wait_for_stop(struct pst_server *server, uint64_t timeout_ns)
{
    struct stop *stop = calloc(1, sizeof(*stop));
    pthread_t thread;
    if (!stop)
        return false;
    stop->server = server;
    (void)pthread_mutex_init(&stop->lock, NULL);
    pthread_condattr_t attributes;
    (void)pthread_condattr_init(&attributes);
    (void)pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    (void)pthread_cond_init(&stop->done, &attributes);
    (void)pthread_condattr_destroy(&attributes);
    if (pthread_create(&thread, NULL, stop_main, stop) != 0) {
        free_stop(stop);
        return false;
    }
    (void)pthread_detach(thread);
    struct timespec until;
    (void)clock_gettime(CLOCK_MONOTONIC, &until);
    uint64_t nsec = (uint64_t)until.tv_nsec + timeout_ns % PST_NS_PER_S;
    until.tv_sec += (time_t)(timeout_ns / PST_NS_PER_S + nsec / PST_NS_PER_S);
    until.tv_nsec = (long)(nsec % PST_NS_PER_S);
    (void)pthread_mutex_lock(&stop->lock);
    while (!stop->finished)
        if (pthread_cond_timedwait(&stop->done, &stop->lock, &until) != 0)
            break;
    bool finished = stop->finished;
    stop->abandoned = !finished;
    (void)pthread_mutex_unlock(&stop->lock);
    if (finished)
        free_stop(stop);
    return finished;
}

struct pst_server *pst_server_stop(struct pst_server *server, uint64_t timeout_ns)
{
    if (!server)
        return NULL;
    (void)pthread_mutex_lock(&server->lock);
    atomic_store(&server->stopping, true);
    (void)pthread_cond_broadcast(&server->wake);
    (void)pthread_mutex_unlock(&server->lock);
    if (!wait_for_stop(server, timeout_ns)) {
        pst_log_warn("server_stuck", "a request to the HTTP endpoint does not end: left behind");
        return NULL;
    }
    server->listen_fd = -1;
    pst_listen_close(server);
    free_server(server);
    return NULL;
}
