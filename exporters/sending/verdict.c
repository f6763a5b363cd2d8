/* One table from what a server said to the three words. */
#include <stdarg.h>
#include <stdio.h>
#include <strings.h>

#include "sending/sending.h"

const char pst_sending_too_large[] = "too_large";

struct pst_export_verdict pst_sending_delivered(void)
{
    return (struct pst_export_verdict){.word = PST_EXPORT_DELIVERED, .reason = "delivered"};
}

struct pst_export_verdict pst_sending_retry(uint64_t after_ns, const char *reason,
                                            const char *format, ...)
{
    struct pst_export_verdict verdict = {
        .word = PST_EXPORT_RETRY, .retry_after_ns = after_ns, .reason = reason};
    if (after_ns > PST_SENDING_RETRY_AFTER_MAX_NS)
        verdict.retry_after_ns = PST_SENDING_RETRY_AFTER_MAX_NS;
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(verdict.detail, sizeof(verdict.detail), format, arguments);
    va_end(arguments);
    return verdict;
}

struct pst_export_verdict pst_sending_rejected(const char *reason, const char *format, ...)
{
    struct pst_export_verdict verdict = {.word = PST_EXPORT_REJECTED, .reason = reason};
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(verdict.detail, sizeof(verdict.detail), format, arguments);
    va_end(arguments);
    return verdict;
}

static const char *status_word(int status)
{
    static const struct {
        int status;
        const char *word;
    } words[] = {{400, "status_400"}, {401, "status_401"}, {403, "status_403"}, {404, "status_404"},
                 {405, "status_405"}, {407, "status_407"}, {408, "status_408"}, {409, "status_409"},
                 {413, "status_413"}, {415, "status_415"}, {422, "status_422"}, {425, "status_425"},
                 {429, "status_429"}, {499, "status_499"}, {500, "status_500"}, {501, "status_501"},
                 {502, "status_502"}, {503, "status_503"}, {504, "status_504"}};
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        if (words[i].status == status)
            return words[i].word;
    }
    return status >= 500 ? "status_5xx" : status >= 400 ? "status_4xx" : "status_3xx";
}

/* What has to be mended between us and the backend; 407 is a proxy's word, of 3xx none is followed.
 */
static bool is_operators(int status)
{
    return status == 401 || status == 403 || status == 404 || status == 407 || status < 400;
}

/* 425: too early; 499: the other side gave the request up, as Connect's "canceled" has it. */
static bool is_passing(int status)
{
    return status == 408 || status == 425 || status == 429 || status == 499 || status >= 500;
}

/* No backend answers with a page: something else stands at the address, and takes any path. */
static bool is_page(const struct pst_http_reply *reply)
{
    return strncasecmp(reply->content_type, "text/html", 9) == 0 && reply->body.len > 0;
}

struct pst_export_verdict pst_sending_http(const struct pst_http_reply *reply)
{
    int status = reply->status;
    struct pst_str text = pst_buf_view(&reply->body);
    int len = text.len < 200 ? (int)text.len : 200;
    if (status >= 200 && status <= 299 && is_page(reply))
        return pst_sending_retry(PST_SENDING_OPERATOR_NS, "web_page",
                                 "status %d with a web page: no backend answers so", status);
    if (status >= 200 && status <= 299)
        return pst_sending_delivered();
    if (!status && reply->failure && strcmp(reply->failure, "auth") == 0)
        return pst_sending_retry(PST_SENDING_OPERATOR_NS, "auth", "%s", reply->detail);
    if (!status)
        return pst_sending_retry(0, reply->failure ? reply->failure : "bad_reply", "%s",
                                 reply->detail);
    if (is_operators(status))
        return pst_sending_retry(PST_SENDING_OPERATOR_NS, status_word(status), "status %d: %.*s",
                                 status, len, text.ptr);
    if (status == 413)
        return pst_sending_rejected(pst_sending_too_large, "status 413: %.*s", len, text.ptr);
    if (is_passing(status))
        return pst_sending_retry(reply->retry_after_ns, status_word(status), "status %d: %.*s",
                                 status, len, text.ptr);
    return pst_sending_rejected(status_word(status), "status %d: %.*s", status, len, text.ptr);
}

struct pst_export_verdict pst_sending_doubtful(struct pst_sending *sending,
                                               struct pst_export_verdict verdict)
{
    verdict.word = PST_EXPORT_RETRY;
    /* Without an item, in a probe, there is nothing to give up. */
    if (sending->progress && ++sending->progress->doubtful >= PST_SENDING_DOUBTFUL_MAX)
        verdict.word = PST_EXPORT_REJECTED;
    return verdict;
}

static struct pst_export_verdict grpc_transport(const struct pst_grpc_reply *reply)
{
    int status = reply->http_status;
    bool operator_error =
        strcmp(reply->failure, "auth") == 0 || status == 401 || status == 403 || status == 404;
    if (status == 413)
        return pst_sending_rejected(pst_sending_too_large, "status 413");
    return pst_sending_retry(operator_error ? PST_SENDING_OPERATOR_NS : 0,
                             status >= 400 ? status_word(status) : reply->failure, "%s",
                             reply->message);
}

struct pst_export_verdict pst_sending_grpc(struct pst_sending *sending,
                                           const struct pst_grpc_reply *reply)
{
    if (reply->failure)
        return grpc_transport(reply);
    const char *word = pst_grpc_code_word(reply->code);
    switch (reply->code) {
    case PST_GRPC_OK:
        return pst_sending_delivered();
    case PST_GRPC_CANCELLED:
    case PST_GRPC_DEADLINE_EXCEEDED:
    case PST_GRPC_ABORTED:
    case PST_GRPC_OUT_OF_RANGE:
    case PST_GRPC_UNAVAILABLE:
    case PST_GRPC_DATA_LOSS:
        return pst_sending_retry(reply->retry_after_ns, word, "%s: %s", word, reply->message);
    case PST_GRPC_UNAUTHENTICATED:
    case PST_GRPC_PERMISSION_DENIED:
    case PST_GRPC_UNIMPLEMENTED:
        return pst_sending_retry(PST_SENDING_OPERATOR_NS, word, "%s: %s", word, reply->message);
    case PST_GRPC_RESOURCE_EXHAUSTED:
        if (reply->has_retry_info)
            return pst_sending_retry(reply->retry_after_ns, word, "%s: %s", word, reply->message);
        if (strstr(reply->message, "larger than") || strstr(reply->message, "too large"))
            return pst_sending_rejected(pst_sending_too_large, "%s: %s", word, reply->message);
        return pst_sending_doubtful(sending,
                                    pst_sending_rejected(word, "%s: %s", word, reply->message));
    case PST_GRPC_UNKNOWN:
    case PST_GRPC_INTERNAL:
        return pst_sending_doubtful(sending,
                                    pst_sending_rejected(word, "%s: %s", word, reply->message));
    default:
        return pst_sending_rejected(word, "%s: %s", word, reply->message);
    }
}
