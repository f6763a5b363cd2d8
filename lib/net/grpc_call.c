/* The nghttp2 session of a gRPC client. A server chooses what comes in: header bytes, frames and
 * the message are bounded here, CONTINUATION and acknowledgement floods by nghttp2 itself. */
#include "grpc_call.h"

#include <errno.h>
#include <nghttp2/nghttp2.h>
#include <stdlib.h>

#include "base/limits.h"
#include "grpc_reply.h"

#define MAX_FRAMES   20000 /* received during one call */
#define MAX_SETTINGS 32    /* entries of one SETTINGS frame */
#define MAX_ACKS     256   /* answers to PING and SETTINGS that wait to be sent */
#define WINDOW_BYTES 65535

struct pst_grpc_session {
    nghttp2_session *http2;
    struct pst_grpc_call *call; /* NULL between calls */
    unsigned frames;
    bool going_away;
};

/* ---- the call ---- */

void pst_grpc_call_init(struct pst_grpc_call *call, const void *message, size_t message_bytes,
                        bool compressed, struct pst_grpc_reply *reply)
{
    memset(call, 0, sizeof(*call));
    call->message = message;
    call->message_bytes = message_bytes;
    call->reply = reply;
    call->prefix[0] = compressed;
    for (int i = 0; i < 4; i++)
        call->prefix[1 + i] = (unsigned char)(message_bytes >> (24 - 8 * i));
}

void pst_grpc_call_fail(struct pst_grpc_call *call, const char *failure, const char *detail)
{
    if (call->over)
        return;
    call->over = true;
    call->broken = true;
    call->reply->failure = failure;
    (void)snprintf(call->reply->message, sizeof(call->reply->message), "%s", detail);
}

/* ---- receiving ---- */

static void take_field(struct pst_grpc_call *call, struct pst_str name, struct pst_str value)
{
    struct pst_grpc_reply *reply = call->reply;
    uint64_t number = 0;
    if (pst_str_eq(name, PST_STR(":status"))) {
        if (pst_str_u64(value, 10, 999, &number) == 0)
            reply->http_status = (int)number;
    } else if (pst_str_eq(name, PST_STR("grpc-status"))) {
        reply->code =
            pst_str_u64(value, 10, INT32_MAX, &number) == 0 ? (int)number : PST_GRPC_UNKNOWN;
    } else if (pst_str_eq(name, PST_STR("grpc-message"))) {
        pst_grpc_message(value, reply->message, sizeof(reply->message));
    } else if (pst_str_eq(name, PST_STR("grpc-status-details-bin"))) {
        uint64_t delay_ns = 0;
        if (pst_grpc_retry_info(value, &delay_ns)) {
            reply->has_retry_info = true;
            reply->retry_after_ns = delay_ns;
        }
    }
}

static int on_header(nghttp2_session *http2, const nghttp2_frame *frame, const uint8_t *name,
                     size_t name_len, const uint8_t *value, size_t value_len, uint8_t flags,
                     void *context)
{
    struct pst_grpc_session *session = context;
    struct pst_grpc_call *call = session->call;
    if (!call || call->over || frame->hd.stream_id != call->stream)
        return 0;
    call->header_bytes += name_len + value_len + 32;
    if (call->header_bytes > PST_MAX_REPLY_HEADER_BYTES) {
        pst_grpc_call_fail(call, "bad_reply", "the reply's headers are too large");
        return NGHTTP2_ERR_CALLBACK_FAILURE;
    }
    take_field(call, (struct pst_str){(const char *)name, name_len},
               (struct pst_str){(const char *)value, value_len});
    call->moved_bytes += name_len + value_len;
    return 0;
}

/* The message's five-byte prefix goes aside, its content into the reply's body. */
static int on_data(nghttp2_session *http2, uint8_t flags, int32_t stream, const uint8_t *data,
                   size_t len, void *context)
{
    struct pst_grpc_session *session = context;
    struct pst_grpc_call *call = session->call;
    if (!call || call->over || stream != call->stream)
        return 0;
    call->moved_bytes += len;
    while (len > 0 && call->reply_prefix_bytes < sizeof(call->reply_prefix)) {
        call->reply_prefix[call->reply_prefix_bytes++] = *data++;
        len--;
    }
    if (pst_buf_append(&call->reply->body, data, len) < 0) {
        pst_grpc_call_fail(call, "bad_reply", "the reply is too large");
        return NGHTTP2_ERR_CALLBACK_FAILURE;
    }
    return 0;
}

static int on_frame(nghttp2_session *http2, const nghttp2_frame *frame, void *context)
{
    struct pst_grpc_session *session = context;
    struct pst_grpc_call *call = session->call;
    if (frame->hd.type == NGHTTP2_GOAWAY)
        session->going_away = true;
    if (++session->frames > MAX_FRAMES) {
        if (call)
            pst_grpc_call_fail(call, "flood", "the server sends too many frames");
        return NGHTTP2_ERR_CALLBACK_FAILURE;
    }
    if (!call || frame->hd.stream_id != call->stream)
        return 0;
    bool carries = frame->hd.type == NGHTTP2_HEADERS || frame->hd.type == NGHTTP2_DATA;
    if (carries && (frame->hd.flags & NGHTTP2_FLAG_END_STREAM))
        call->over = true;
    /* Room to send is progress as well. */
    call->moved_bytes += frame->hd.type == NGHTTP2_WINDOW_UPDATE;
    return 0;
}

static const char *reset_word(uint32_t code, bool going_away)
{
    if (code == NGHTTP2_REFUSED_STREAM)
        return going_away ? "goaway" : "refused_stream";
    return "reset";
}

static int on_close(nghttp2_session *http2, int32_t stream, uint32_t code, void *context)
{
    struct pst_grpc_session *session = context;
    struct pst_grpc_call *call = session->call;
    if (!call || stream != call->stream)
        return 0;
    call->closed = true;
    if (call->over)
        return 0;
    call->over = true;
    /* A status that came before the reset is the answer (Trailers-Only for what is too large). */
    if (call->reply->code == PST_GRPC_NONE) {
        call->reply->failure = reset_word(code, session->going_away);
        (void)snprintf(call->reply->message, sizeof(call->reply->message), "stream closed: %s",
                       nghttp2_http2_strerror(code));
    }
    return 0;
}

/* ---- sending ---- */

static ssize_t on_read(nghttp2_session *http2, int32_t stream, uint8_t *to, size_t size,
                       uint32_t *flags, nghttp2_data_source *source, void *context)
{
    struct pst_grpc_session *session = context;
    struct pst_grpc_call *call = session->call;
    if (!call || stream != call->stream)
        return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
    size_t given = 0;
    while (given < size && call->sent < sizeof(call->prefix))
        to[given++] = call->prefix[call->sent++];
    size_t offset = call->sent - sizeof(call->prefix);
    size_t left = call->sent >= sizeof(call->prefix) ? call->message_bytes - offset : 0;
    size_t part = left < size - given ? left : size - given;
    if (part)
        memcpy(to + given, call->message + offset, part);
    call->sent += part;
    given += part;
    call->moved_bytes += given;
    if (call->sent == sizeof(call->prefix) + call->message_bytes)
        *flags |= NGHTTP2_DATA_FLAG_EOF;
    return (ssize_t)given;
}

int pst_grpc_session_start(struct pst_grpc_session *session, struct pst_grpc_call *call,
                           const struct pst_net_header *fields, size_t count)
{
    nghttp2_nv *list = calloc(count, sizeof(*list));
    if (!list)
        return -ENOMEM;
    for (size_t i = 0; i < count; i++) {
        list[i].name = (uint8_t *)(uintptr_t)fields[i].name;
        list[i].namelen = strlen(fields[i].name);
        list[i].value = (uint8_t *)(uintptr_t)fields[i].value;
        list[i].valuelen = strlen(fields[i].value);
        /* Credentials stay out of compression tables. */
        list[i].flags = strcmp(fields[i].name, "authorization") == 0 ? NGHTTP2_NV_FLAG_NO_INDEX
                                                                     : NGHTTP2_NV_FLAG_NONE;
    }
    nghttp2_data_provider provider = {.read_callback = on_read};
    session->call = call;
    session->frames = 0;
    int32_t stream = nghttp2_submit_request(session->http2, NULL, list, count, &provider, NULL);
    free(list);
    if (stream < 0) {
        session->call = NULL;
        return -ENOMEM;
    }
    call->stream = stream;
    return 0;
}

static void settle(struct pst_grpc_call *call)
{
    struct pst_grpc_reply *reply = call->reply;
    size_t size = 0;
    for (int i = 1; i < 5; i++)
        size = size << 8 | call->reply_prefix[i];
    bool whole = call->reply_prefix_bytes == 5 && !call->reply_prefix[0] && size == reply->body.len;
    if (!whole)
        pst_buf_reset(&reply->body);
    if (reply->failure || reply->code != PST_GRPC_NONE)
        return;
    if (reply->http_status && reply->http_status != 200) {
        reply->failure = "http_status";
        (void)snprintf(reply->message, sizeof(reply->message), "HTTP status %d: %s",
                       reply->http_status,
                       pst_grpc_code_word(pst_grpc_code_from_http(reply->http_status)));
        return;
    }
    reply->failure = "bad_reply";
    (void)snprintf(reply->message, sizeof(reply->message), "the reply has no grpc-status");
}

void pst_grpc_session_finish(struct pst_grpc_session *session, struct pst_grpc_call *call)
{
    if (call->stream > 0 && !call->closed)
        (void)nghttp2_submit_rst_stream(session->http2, NGHTTP2_FLAG_NONE, call->stream,
                                        NGHTTP2_CANCEL);
    session->call = NULL;
    settle(call);
}

int pst_grpc_session_output(struct pst_grpc_session *session, struct pst_buf *out)
{
    while (out->max - out->len >= PST_GRPC_FRAME_BYTES) {
        const uint8_t *data = NULL;
        ssize_t n = nghttp2_session_mem_send(session->http2, &data);
        if (n < 0)
            return -EPIPE;
        if (n == 0)
            return 0;
        if (pst_buf_append(out, data, (size_t)n) < 0)
            return -EPIPE;
    }
    return 0;
}

int pst_grpc_session_input(struct pst_grpc_session *session, const void *data, size_t len)
{
    ssize_t n = nghttp2_session_mem_recv(session->http2, data, len);
    if (n == NGHTTP2_ERR_FLOODED && session->call)
        pst_grpc_call_fail(session->call, "flood", "the server floods the connection");
    else if (n < 0 && session->call)
        pst_grpc_call_fail(session->call, "bad_reply", nghttp2_strerror((int)n));
    return n < 0 ? -EPIPE : 0;
}

bool pst_grpc_session_wants_write(struct pst_grpc_session *session)
{
    return nghttp2_session_want_write(session->http2) != 0;
}

bool pst_grpc_session_dead(struct pst_grpc_session *session)
{
    return !nghttp2_session_want_read(session->http2) &&
           !nghttp2_session_want_write(session->http2);
}

bool pst_grpc_session_open(struct pst_grpc_session *session)
{
    return !session->going_away && nghttp2_session_check_request_allowed(session->http2) != 0;
}

/* ---- making ---- */

static int make_http2(struct pst_grpc_session *session)
{
    nghttp2_session_callbacks *callbacks = NULL;
    nghttp2_option *option = NULL;
    int r = nghttp2_session_callbacks_new(&callbacks);
    if (r == 0)
        r = nghttp2_option_new(&option);
    if (r == 0) {
        nghttp2_session_callbacks_set_on_header_callback(callbacks, on_header);
        nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, on_data);
        nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, on_frame);
        nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, on_close);
        nghttp2_option_set_max_settings(option, MAX_SETTINGS);
        nghttp2_option_set_max_outbound_ack(option, MAX_ACKS);
        r = nghttp2_session_client_new2(&session->http2, callbacks, session, option);
    }
    nghttp2_option_del(option);
    nghttp2_session_callbacks_del(callbacks);
    return r;
}

struct pst_grpc_session *pst_grpc_session_new(void)
{
    static const nghttp2_settings_entry settings[] = {
        {NGHTTP2_SETTINGS_ENABLE_PUSH, 0},
        {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, WINDOW_BYTES},
        {NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, PST_MAX_REPLY_HEADER_BYTES},
    };
    struct pst_grpc_session *session = calloc(1, sizeof(*session));
    if (!session)
        return NULL;
    if (make_http2(session) != 0 ||
        nghttp2_submit_settings(session->http2, NGHTTP2_FLAG_NONE, settings,
                                sizeof(settings) / sizeof(settings[0])) != 0)
        return pst_grpc_session_free(session);
    return session;
}

struct pst_grpc_session *pst_grpc_session_free(struct pst_grpc_session *session)
{
    if (session) {
        nghttp2_session_del(session->http2);
        free(session);
    }
    return NULL;
}
