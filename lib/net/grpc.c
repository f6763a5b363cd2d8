/* Unary calls on one HTTP/2 connection. Every wait has the call's deadline, every quantity that the
 * server chooses has a bound, and a connection that misbehaved is not used again. */
#include "net/grpc.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>

#include "auth.h"
#include "base/clock.h"
#include "base/limits.h"
#include "grpc_call.h"
#include "oauth2.h"

#define READ_BYTES 16384
#define OUT_BYTES  32768
/* Frames that nghttp2 ignores are counted by nobody: deadline and cancellation get their turn. */
#define READS_A_TURN 64

struct pst_grpc {
    const struct pst_net_settings *settings;
    struct pst_cancel *cancel;
    struct pst_net_target target;
    struct pst_auth *auth;
    struct pst_net_header *headers; /* lower-case names, own memory */
    size_t header_count;
    struct pst_connection *connection;
    struct pst_grpc_session *session;
    struct pst_buf out; /* what the socket did not take yet */
};

void pst_grpc_reply_init(struct pst_grpc_reply *reply)
{
    memset(reply, 0, sizeof(*reply));
    reply->code = PST_GRPC_NONE;
    pst_buf_init(&reply->body, PST_MAX_REPLY_BYTES);
}

void pst_grpc_reply_done(struct pst_grpc_reply *reply)
{
    pst_buf_done(&reply->body);
}

/* ---- making ---- */

/* Names that HTTP/2 or gRPC give a meaning of their own. */
static bool reserved_header(const char *name)
{
    static const char *const names[] = {
        "host",         "connection", "keep-alive",        "te",
        "content-type", "upgrade",    "transfer-encoding", "content-length"};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (strcmp(names[i], name) == 0)
            return true;
    }
    return strncmp(name, "grpc-", 5) == 0;
}

/* Metadata ending in -bin travels as base64. */
static char *metadata_value(const char *name, const char *value)
{
    size_t len = strlen(name), ignored = 0;
    if (len < 4 || strcmp(name + len - 4, "-bin") != 0)
        return strdup(value);
    struct pst_buf out;
    pst_buf_init(&out, 2 * PST_NET_SECRET_BYTES);
    if (pst_base64_encode(&out, value, strlen(value)) < 0) {
        pst_buf_done(&out);
        return NULL;
    }
    return pst_buf_steal(&out, &ignored);
}

static int copy_headers(struct pst_grpc *grpc, struct pst_error *error)
{
    const struct pst_net_settings *settings = grpc->settings;
    grpc->headers = calloc(settings->header_count + 1, sizeof(*grpc->headers));
    if (!grpc->headers)
        return -ENOMEM;
    for (size_t i = 0; i < settings->header_count; i++) {
        const char *given = pst_net_text(settings->headers[i].name);
        const char *value = pst_net_text(settings->headers[i].value);
        char *name = strdup(given);
        for (char *c = name; c && *c; c++)
            *c = (char)tolower((unsigned char)*c);
        grpc->headers[grpc->header_count].name = name;
        grpc->headers[grpc->header_count].value = name ? metadata_value(name, value) : NULL;
        grpc->header_count++;
        if (!name || !grpc->headers[i].value)
            return -ENOMEM;
        if (!pst_net_header_valid(name, value) || reserved_header(name))
            return pst_error_set(error, PST_EXIT_USAGE, NULL, NULL,
                                 "header \"%s\" cannot be sent with gRPC", given);
    }
    return 0;
}

int pst_grpc_new(const struct pst_net_settings *settings, struct pst_cancel *cancel,
                 struct pst_grpc **ret, struct pst_error *error)
{
    if (!pst_net_curl_start())
        return -ENOMEM;
    struct pst_grpc *grpc = calloc(1, sizeof(*grpc));
    if (!grpc)
        return -ENOMEM;
    grpc->settings = settings;
    grpc->cancel = cancel;
    pst_buf_init(&grpc->out, 2UL * OUT_BYTES + PST_GRPC_FRAME_BYTES);
    int r = pst_net_target_init(&grpc->target, settings, error);
    if (r == 0 && grpc->target.has_userinfo)
        r = pst_error_set(error, PST_EXIT_USAGE, NULL, "use basic_auth",
                          "user and password in the URL do not work with gRPC");
    if (r == 0)
        r = copy_headers(grpc, error);
    if (r == 0)
        r = pst_auth_new(settings, cancel, &grpc->auth, error);
    if (r < 0) {
        pst_grpc_free(grpc);
        return r;
    }
    *ret = grpc;
    return 0;
}

static void disconnect(struct pst_grpc *grpc)
{
    grpc->session = pst_grpc_session_free(grpc->session);
    grpc->connection = pst_connection_free(grpc->connection);
    pst_buf_reset(&grpc->out);
}

struct pst_grpc *pst_grpc_free(struct pst_grpc *grpc)
{
    if (!grpc)
        return NULL;
    disconnect(grpc);
    for (size_t i = 0; i < grpc->header_count; i++) {
        free((char *)(uintptr_t)grpc->headers[i].name);
        free((char *)(uintptr_t)grpc->headers[i].value);
    }
    free(grpc->headers);
    pst_auth_free(grpc->auth);
    pst_net_target_done(&grpc->target);
    pst_buf_done(&grpc->out);
    free(grpc);
    return NULL;
}

/* ---- moving bytes ---- */

/* Gives the socket what it takes. 0 or -EPIPE; what is left stays in out. */
static int write_out(struct pst_grpc *grpc)
{
    for (;;) {
        if (grpc->out.len < OUT_BYTES && pst_grpc_session_output(grpc->session, &grpc->out) < 0)
            return -EPIPE;
        if (grpc->out.len == 0)
            return 0;
        ssize_t n = pst_connection_write(grpc->connection, grpc->out.data, grpc->out.len);
        if (n == -EAGAIN)
            return 0;
        if (n < 0)
            return -EPIPE;
        grpc->out.len -= (size_t)n;
        memmove(grpc->out.data, grpc->out.data + n, grpc->out.len);
    }
}

/* Hands the session what has arrived. 0, -EAGAIN when nothing (more) is there, -EPIPE. */
static int read_in(struct pst_grpc *grpc)
{
    unsigned char data[READ_BYTES];
    ssize_t n = pst_connection_read(grpc->connection, data, sizeof(data));
    if (n == -EAGAIN)
        return -EAGAIN;
    if (n <= 0)
        return -EPIPE;
    return pst_grpc_session_input(grpc->session, data, (size_t)n) < 0 ? -EPIPE : 0;
}

/* A kept connection may have been closed, or told to go away, since the last call. */
static bool still_usable(struct pst_grpc *grpc)
{
    if (!grpc->connection)
        return false;
    for (unsigned i = 0; i < READS_A_TURN; i++) {
        int r = read_in(grpc);
        if (r == -EAGAIN)
            return pst_grpc_session_open(grpc->session);
        if (r < 0)
            return false;
    }
    return false;
}

/* 1: the connection of the last call; 0: a new one; -1 with trouble. */
static int connect_if_needed(struct pst_grpc *grpc, uint64_t deadline_ns,
                             struct pst_net_trouble *trouble)
{
    if (still_usable(grpc))
        return 1;
    disconnect(grpc);
    grpc->connection = pst_connection_open(grpc->settings, &grpc->target, "h2", grpc->cancel,
                                           deadline_ns, trouble);
    if (!grpc->connection)
        return -1;
    grpc->session = pst_grpc_session_new();
    if (!grpc->session) {
        trouble->failure = "no_memory";
        return -1;
    }
    return 0;
}

static void fail_cut(struct pst_grpc *grpc, struct pst_grpc_call *call)
{
    const char *alert = pst_connection_alert(grpc->connection);
    pst_grpc_call_fail(call, alert ? "tls" : "cut", alert ? alert : "the connection was closed");
}

/* Until the call is over, its deadline has come, or nothing of it has moved for the stall time. */
static void drive(struct pst_grpc *grpc, struct pst_grpc_call *call, uint64_t deadline_ns)
{
    const uint64_t stall_ns = PST_NET_STALL_S * PST_NS_PER_S;
    uint64_t moved_ns = pst_clock_monotonic_ns(), moved = call->moved_bytes;
    while (!call->over) {
        bool shut = write_out(grpc) < 0; /* what the server said before it counts */
        int r = 0;
        for (unsigned i = 0; r == 0 && !call->over && i < READS_A_TURN; i++)
            r = read_in(grpc);
        if (call->over)
            break;
        if (shut || r == -EPIPE) {
            fail_cut(grpc, call);
            break;
        }
        if (grpc->out.len == 0 && pst_grpc_session_dead(grpc->session)) {
            pst_grpc_call_fail(call, "bad_reply", "the server broke the protocol");
            break;
        }
        if (call->moved_bytes != moved) {
            moved = call->moved_bytes;
            moved_ns = pst_clock_monotonic_ns();
        }
        uint64_t until_ns = moved_ns + stall_ns < deadline_ns ? moved_ns + stall_ns : deadline_ns;
        bool want_write = grpc->out.len > 0 || pst_grpc_session_wants_write(grpc->session);
        r = pst_connection_wait(grpc->connection, want_write, grpc->cancel, until_ns);
        if (r == -ECANCELED)
            pst_grpc_call_fail(call, "cancelled", "the agent ends or has a new configuration");
        else if (r < 0)
            pst_grpc_call_fail(call, "timeout", "the server does not answer");
    }
    (void)write_out(grpc);
}

/* ---- the call ---- */

struct field_list {
    struct pst_net_header items[64];
    size_t count;
};

static void add_field(struct field_list *list, const char *name, const char *value)
{
    if (value && list->count < sizeof(list->items) / sizeof(list->items[0]))
        list->items[list->count++] = (struct pst_net_header){name, value};
}

static void make_fields(const struct pst_grpc *grpc, const struct pst_grpc_request *request,
                        const char *timeout, const char *authorization, struct field_list *list)
{
    list->count = 0;
    add_field(list, ":method", "POST");
    add_field(list, ":scheme", grpc->target.tls ? "https" : "http");
    add_field(list, ":path", request->path);
    add_field(list, ":authority", grpc->target.authority);
    add_field(list, "grpc-timeout", timeout);
    add_field(list, "te", "trailers");
    add_field(list, "content-type", "application/grpc");
    add_field(list, "user-agent", "grpc-c-pystrobe/" PST_VERSION);
    add_field(list, "grpc-encoding", request->encoding);
    add_field(list, "authorization", authorization);
    for (size_t i = 0; i < grpc->header_count; i++)
        add_field(list, grpc->headers[i].name, grpc->headers[i].value);
}

/* Whether the server closed, or gave up, the connection before it said anything of the call. */
static bool call_connected(struct pst_grpc *grpc, const struct pst_grpc_request *request,
                           const char *authorization, uint64_t deadline_ns,
                           struct pst_grpc_reply *reply)
{
    struct field_list fields;
    char timeout[24];
    uint64_t now_ns = pst_clock_monotonic_ns();
    uint64_t left_ms = deadline_ns > now_ns ? (deadline_ns - now_ns) / PST_NS_PER_MS : 0;
    (void)snprintf(timeout, sizeof(timeout), "%llum",
                   (unsigned long long)(left_ms > 99999999 ? 99999999 : left_ms));
    make_fields(grpc, request, timeout, authorization, &fields);
    struct pst_grpc_call call;
    pst_grpc_call_init(&call, request->message, request->message_bytes, request->encoding != NULL,
                       reply);
    if (pst_grpc_session_start(grpc->session, &call, fields.items, fields.count) == 0)
        drive(grpc, &call, deadline_ns);
    else
        pst_grpc_call_fail(&call, "no_memory", "out of memory");
    pst_grpc_session_finish(grpc->session, &call);
    (void)write_out(grpc);
    if (call.broken || !pst_grpc_session_open(grpc->session))
        disconnect(grpc);
    return call.header_bytes == 0 && reply->failure &&
           (strcmp(reply->failure, "cut") == 0 || strcmp(reply->failure, "goaway") == 0);
}

static void reset_reply(struct pst_grpc_reply *reply, size_t max_bytes)
{
    pst_buf_done(&reply->body);
    memset(reply, 0, sizeof(*reply));
    reply->code = PST_GRPC_NONE;
    pst_buf_init(&reply->body, max_bytes ? max_bytes : PST_MAX_REPLY_BYTES);
}

/* A server may close a kept connection at any moment, also as a call begins: then a new one gets
 * it, as with libcurl. */
static void call(struct pst_grpc *grpc, const struct pst_grpc_request *request,
                 const char *authorization, uint64_t deadline_ns, struct pst_grpc_reply *reply)
{
    struct pst_net_trouble trouble = {0};
    int kept = connect_if_needed(grpc, deadline_ns, &trouble);
    if (kept >= 0 && call_connected(grpc, request, authorization, deadline_ns, reply) && kept) {
        disconnect(grpc);
        reset_reply(reply, request->max_reply_bytes);
        kept = connect_if_needed(grpc, deadline_ns, &trouble);
        if (kept >= 0)
            (void)call_connected(grpc, request, authorization, deadline_ns, reply);
    }
    if (kept < 0) {
        reply->failure = trouble.failure;
        (void)snprintf(reply->message, sizeof(reply->message), "%s", trouble.detail);
    }
}

void pst_grpc_call(struct pst_grpc *grpc, const struct pst_grpc_request *request,
                   struct pst_grpc_reply *reply)
{
    uint64_t timeout_ns =
        grpc->settings->timeout_ns ? grpc->settings->timeout_ns : PST_NET_TIMEOUT_NS;
    uint64_t deadline_ns = pst_clock_monotonic_ns() + timeout_ns;
    struct pst_buf authorization;
    reset_reply(reply, request->max_reply_bytes);
    pst_buf_init(&authorization, 4 * PST_NET_SECRET_BYTES);
    int r = pst_auth_value(grpc->auth, &authorization, reply->message);
    if (r < 0)
        reply->failure = pst_auth_failure(r);
    else
        call(grpc, request, authorization.len ? authorization.data : NULL, deadline_ns, reply);
    if (reply->code == PST_GRPC_UNAUTHENTICATED)
        pst_auth_refused(grpc->auth);
    pst_auth_wipe(&authorization);
}
