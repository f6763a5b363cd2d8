/* /debug/pprof/profile: any Python process as a pprof endpoint. Two at once, at most a minute each.
 * Without a collector of the daemon's the windows that arrive in the store meanwhile are the
 * profile: those that overlap the time asked for, whole, since a window cannot be cut. */
#include <errno.h>
#include <stdio.h>
#include <sys/socket.h>

#include "base/clock.h"
#include "internal.h"
#include "profile/pprof.h"

enum { WINDOW_WAIT_S = 20 };

struct names {
    struct pst_buf text;
    char only[512];
    size_t count;
};

static int note_service(void *context, const struct pst_store_service *service)
{
    struct names *names = context;
    char name[512];
    size_t len = service->name.len < sizeof(name) ? service->name.len : sizeof(name) - 1;
    (void)snprintf(name, sizeof(name), "%.*s", (int)len, service->name.ptr);
    if (names->count > 0 && pst_str_eq(pst_str(names->only), pst_str(name)))
        return 0;
    (void)snprintf(names->only, sizeof(names->only), "%s", name);
    if (names->count++ > 0)
        (void)pst_buf_puts(&names->text, ", ");
    return pst_buf_puts(&names->text, name) == 0 ? 0 : 1;
}

struct sought {
    struct pst_str name;
    bool found;
};

static int seek_service(void *context, const struct pst_store_service *service)
{
    struct sought *sought = context;
    sought->found = pst_str_eq(service->name, sought->name);
    return sought->found ? 1 : 0;
}

/* Whether a process has that name now, or had it in the last hour. */
static bool is_known(struct pst_server *server, struct pst_str name)
{
    struct sought sought = {name, false};
    struct pst_target_snapshot *targets =
        server->hooks.targets ? server->hooks.targets(server->hooks.context) : NULL;
    for (size_t i = 0; targets && i < targets->count && !sought.found; i++)
        sought.found =
            targets->rows[i].service && pst_str_eq(pst_str(targets->rows[i].service), name);
    pst_target_snapshot_unref(targets);
    int64_t now_ns = (int64_t)pst_clock_realtime_ns();
    if (!sought.found && server->store)
        (void)pst_store_services(server->store, now_ns - 3600 * (int64_t)PST_NS_PER_S, now_ns,
                                 seek_service, &sought);
    return sought.found;
}

/* Without service= there must be exactly one to take. */
static bool choose_service(struct pst_request *request, struct names *names, struct pst_str *ret,
                           struct pst_answer *answer)
{
    *ret = pst_request_argument(request, "service");
    if (ret->len > 0 && is_known(request->server, *ret))
        return true;
    if (ret->len > 0) {
        pst_answer_text(answer, MHD_HTTP_NOT_FOUND,
                        "no such service: %.*s; /debug/targets lists them",
                        (int)(ret->len < 200 ? ret->len : 200), ret->ptr);
        return false;
    }
    int64_t now_ns = (int64_t)pst_clock_realtime_ns();
    if (request->server->store)
        (void)pst_store_services(request->server->store, now_ns - 600 * (int64_t)PST_NS_PER_S,
                                 now_ns, note_service, names);
    *ret = pst_str(names->only);
    if (names->count == 1)
        return true;
    pst_answer_text(
        answer, MHD_HTTP_BAD_REQUEST, "say which service: /debug/pprof/profile?service=%s",
        names->count == 0 ? "NAME (none was seen in the last 10 minutes)" : "NAME, one of:");
    if (names->count > 0 && answer->body.len > 0) {
        answer->body.len--;
        (void)pst_buf_puts(&answer->body, " ");
        (void)pst_buf_utf8(&answer->body, pst_buf_view(&names->text));
        (void)pst_buf_puts(&answer->body, "\n");
    }
    return false;
}

static int merge_windows(struct pst_server *server, const struct pst_server_pull *pull,
                         int64_t from_ns, int64_t to_ns, struct pst_profile **ret,
                         struct pst_store_query_result *result)
{
    struct pst_store_query query = {
        .service = pull->service, .mode = pull->mode, .from_ns = from_ns, .to_ns = to_ns};
    return pst_store_merge(server->store, &query, pst_server_stopping, server, ret, result);
}

/* A client that went away would keep the next ones out for the rest of its minute. */
static bool is_in_vain(void *context)
{
    const struct pst_request *request = context;
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(request->connection, MHD_CONNECTION_INFO_CONNECTION_FD);
    char byte;
    return pst_server_stopping(request->server) ||
           (info && recv(info->connect_fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) == 0);
}

static bool sleep_through(struct pst_server *server, const struct pst_server_pull *pull)
{
    for (uint64_t second = 0; second < pull->seconds; second++) {
        if (!pst_server_sleep(server, PST_NS_PER_S) || pull->cancelled(pull->cancel_context))
            return false;
    }
    return true;
}

/* After the time asked for, the window that was open at its end is still to come. */
static int pull_from_store(struct pst_server *server, const struct pst_server_pull *pull,
                           struct pst_profile **ret)
{
    int64_t from_ns = (int64_t)pst_clock_realtime_ns();
    int64_t to_ns = from_ns + (int64_t)(pull->seconds * PST_NS_PER_S);
    if (!sleep_through(server, pull))
        return -ECANCELED;
    for (int second = 0;; second++) {
        struct pst_store_query_result result;
        struct pst_profile *profile = NULL;
        int r = merge_windows(server, pull, from_ns, to_ns, &profile, &result);
        if (r < 0)
            return r;
        if ((result.windows > 0 && result.last_ns >= to_ns) || second == WINDOW_WAIT_S) {
            *ret = profile;
            return 0;
        }
        pst_profile_free(profile);
        if (!pst_server_sleep(server, PST_NS_PER_S) || pull->cancelled(pull->cancel_context))
            return -ECANCELED;
    }
}

static int collect(struct pst_server *server, const struct pst_server_pull *pull,
                   struct pst_profile **ret)
{
    if (server->hooks.pull)
        return server->hooks.pull(server->hooks.context, pull, ret);
    return server->store ? pull_from_store(server, pull, ret) : -ENODEV;
}

static void answer_profile(struct pst_request *request, const struct pst_server_pull *pull,
                           struct pst_answer *answer)
{
    struct pst_profile *profile = NULL;
    int r = collect(request->server, pull, &profile);
    if (r == 0)
        r = pst_pprof_encode(profile, true, &answer->body);
    pst_profile_free(profile);
    if (r == 0) {
        answer->type = "application/octet-stream";
        (void)snprintf(answer->disposition, sizeof(answer->disposition),
                       "attachment; filename=\"%s.pb.gz\"", pst_mode_word(pull->mode));
    } else if (r == -ECANCELED) {
        pst_answer_text(answer, MHD_HTTP_SERVICE_UNAVAILABLE, "the agent is stopping");
    } else if (r == -ENOENT) {
        pst_answer_text(answer, MHD_HTTP_NOT_FOUND, "no such service");
    } else {
        pst_answer_text(answer, MHD_HTTP_SERVICE_UNAVAILABLE,
                        "no profile can be collected at the moment (error %d)", -r);
    }
}

void pst_serve_pull(struct pst_request *request, struct pst_answer *answer)
{
    struct pst_server *server = request->server;
    struct pst_server_pull pull = {
        .seconds = 30, .cancelled = is_in_vain, .cancel_context = request};
    struct pst_str seconds = pst_request_argument(request, "seconds");
    if (!pst_request_mode(request, &pull.mode, answer))
        return;
    if (seconds.len > 0 &&
        (pst_str_u64(seconds, 10, PST_MAX_HTTP_PULL_S, &pull.seconds) < 0 || pull.seconds == 0)) {
        pst_answer_text(answer, MHD_HTTP_BAD_REQUEST, "seconds: 1 to %d", PST_MAX_HTTP_PULL_S);
        return;
    }
    struct names names = {.count = 0};
    pst_buf_init(&names.text, 8192);
    if (choose_service(request, &names, &pull.service, answer)) {
        if (atomic_fetch_add(&server->pulls, 1) < PST_MAX_HTTP_PULLS) {
            answer_profile(request, &pull, answer);
        } else {
            pst_answer_text(answer, MHD_HTTP_TOO_MANY_REQUESTS,
                            "%d profiles are being collected already", PST_MAX_HTTP_PULLS);
            answer->retry_after_s = 30;
        }
        (void)atomic_fetch_sub(&server->pulls, 1);
    }
    pst_buf_done(&names.text);
}
