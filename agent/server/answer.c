/* Answers: one place that puts the headers on, so that none goes out without them. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "internal.h"

void pst_answer_init(struct pst_answer *answer)
{
    *answer = (struct pst_answer){.status = MHD_HTTP_OK, .type = "text/plain; charset=utf-8"};
    pst_buf_init(&answer->body, PST_MAX_HTTP_ANSWER_BYTES);
}

void pst_answer_done(struct pst_answer *answer)
{
    pst_buf_done(&answer->body);
}

void pst_answer_text(struct pst_answer *answer, unsigned status, const char *format, ...)
{
    char text[1024];
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    pst_buf_reset(&answer->body);
    answer->status = status;
    answer->type = "text/plain; charset=utf-8";
    (void)pst_buf_utf8(&answer->body, pst_str(text));
    (void)pst_buf_puts(&answer->body, "\n");
}

static int append(const char *data, size_t len, void *context)
{
    return pst_buf_append(context, data, len);
}

void pst_answer_json(struct pst_answer *answer, unsigned status, json_t *json)
{
    pst_buf_reset(&answer->body);
    answer->status = status;
    answer->type = "application/json";
    if (!json ||
        json_dump_callback(json, append, &answer->body, JSON_COMPACT | JSON_REAL_PRECISION(9)) <
            0 ||
        pst_buf_puts(&answer->body, "\n") < 0)
        pst_answer_text(answer, MHD_HTTP_INTERNAL_SERVER_ERROR, "not enough memory");
    json_decref(json);
}

json_t *pst_json_str(struct pst_str text)
{
    if (pst_utf8_valid_prefix(text) == text.len)
        return json_stringn_nocheck(text.len ? text.ptr : "", text.len);
    struct pst_buf clean;
    pst_buf_init(&clean, 4 * text.len + 16);
    json_t *json = NULL;
    if (pst_buf_utf8(&clean, text) == 0)
        json = json_stringn_nocheck(clean.data ? clean.data : "", clean.len);
    pst_buf_done(&clean);
    return json;
}

json_t *pst_json_text(const char *text)
{
    return pst_json_str(pst_str(text ? text : ""));
}

int pst_html_text(struct pst_buf *out, struct pst_str text)
{
    struct pst_buf clean;
    pst_buf_init(&clean, 4 * text.len + 16);
    int r = pst_buf_utf8(&clean, text);
    for (size_t i = 0; r == 0 && i < clean.len; i++) {
        switch (clean.data[i]) {
        case '&':
            r = pst_buf_puts(out, "&amp;");
            break;
        case '<':
            r = pst_buf_puts(out, "&lt;");
            break;
        case '>':
            r = pst_buf_puts(out, "&gt;");
            break;
        case '"':
            r = pst_buf_puts(out, "&quot;");
            break;
        case '\'':
            r = pst_buf_puts(out, "&#39;");
            break;
        default:
            r = pst_buf_append(out, &clean.data[i], 1);
        }
    }
    pst_buf_done(&clean);
    return r;
}

/* The page runs our own files only; data runs nothing. */
static const char *policy_text(const struct pst_answer *answer)
{
    switch (answer->policy) {
    case PST_POLICY_PICTURE:
        return answer->picture_policy;
    case PST_POLICY_PAGE:
        return "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
               "connect-src 'self'; frame-src 'self'; base-uri 'none'; form-action 'self'; "
               "frame-ancestors 'none'";
    case PST_POLICY_DATA:
    default:
        return "default-src 'none'; style-src 'self'; base-uri 'none'; form-action 'none'; "
               "frame-ancestors 'none'";
    }
}

static void add_headers(const struct pst_answer *answer, struct MHD_Response *response)
{
    (void)MHD_add_response_header(response, "Content-Type", answer->type);
    (void)MHD_add_response_header(response, "Content-Security-Policy", policy_text(answer));
    (void)MHD_add_response_header(response, "X-Content-Type-Options", "nosniff");
    (void)MHD_add_response_header(response, "Referrer-Policy", "no-referrer");
    (void)MHD_add_response_header(response, "Cross-Origin-Resource-Policy", "same-origin");
    (void)MHD_add_response_header(response, "Cross-Origin-Opener-Policy", "same-origin");
    if (answer->policy != PST_POLICY_PICTURE)
        (void)MHD_add_response_header(response, "X-Frame-Options", "DENY");
    (void)MHD_add_response_header(response, "Cache-Control",
                                  answer->cacheable ? "no-cache" : "no-store");
    if (answer->allow)
        (void)MHD_add_response_header(response, "Allow", answer->allow);
    if (answer->authenticate)
        (void)MHD_add_response_header(response, "WWW-Authenticate", answer->authenticate);
    if (answer->location)
        (void)MHD_add_response_header(response, "Location", answer->location);
    if (answer->disposition[0])
        (void)MHD_add_response_header(response, "Content-Disposition", answer->disposition);
    if (answer->retry_after_s) {
        char seconds[16];
        (void)snprintf(seconds, sizeof(seconds), "%u", answer->retry_after_s);
        (void)MHD_add_response_header(response, "Retry-After", seconds);
    }
}

enum MHD_Result pst_answer_send(struct pst_answer *answer, struct MHD_Connection *connection)
{
    struct MHD_Response *response;
    if (answer->fixed) {
        union {
            const void *from;
            void *to; /* the library only reads it */
        } fixed = {answer->fixed};
        response =
            MHD_create_response_from_buffer(answer->fixed_bytes, fixed.to, MHD_RESPMEM_PERSISTENT);
    } else {
        size_t len = 0;
        char *bytes = pst_buf_steal(&answer->body, &len);
        response =
            bytes ? MHD_create_response_from_buffer(len, bytes, MHD_RESPMEM_MUST_FREE) : NULL;
        if (!response)
            free(bytes);
    }
    if (!response)
        return MHD_NO;
    add_headers(answer, response);
    enum MHD_Result r = MHD_queue_response(connection, answer->status, response);
    MHD_destroy_response(response);
    return r;
}
