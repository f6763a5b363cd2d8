/* What a gRPC answer means: code names, percent-encoded messages, RetryInfo in the status details.
 */
#include "grpc_reply.h"

#include <errno.h>

#include "auth.h"
#include "base/clock.h"
#include "base/limits.h"

const char *pst_grpc_code_word(int code)
{
    static const char *const words[] = {"ok",
                                        "cancelled",
                                        "unknown",
                                        "invalid_argument",
                                        "deadline",
                                        "not_found",
                                        "already_exists",
                                        "permission_denied",
                                        "resource_exhausted",
                                        "failed_precondition",
                                        "aborted",
                                        "out_of_range",
                                        "unimplemented",
                                        "internal",
                                        "unavailable",
                                        "data_loss",
                                        "unauthenticated"};
    return code >= 0 && code <= 16 ? words[code] : "unknown";
}

int pst_grpc_code_from_http(int status)
{
    switch (status) {
    case 400:
    case 431:
        return PST_GRPC_INTERNAL;
    case 401:
        return PST_GRPC_UNAUTHENTICATED;
    case 403:
        return PST_GRPC_PERMISSION_DENIED;
    case 404:
        return PST_GRPC_UNIMPLEMENTED;
    case 429:
    case 502:
    case 503:
    case 504:
        return PST_GRPC_UNAVAILABLE;
    default:
        return PST_GRPC_UNKNOWN;
    }
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

void pst_grpc_message(struct pst_str text, char *ret, size_t size)
{
    size_t len = 0;
    for (size_t i = 0; i < text.len && len + 1 < size; i++) {
        int high = i + 2 < text.len && text.ptr[i] == '%' ? hex_digit(text.ptr[i + 1]) : -1;
        int low = high >= 0 ? hex_digit(text.ptr[i + 2]) : -1;
        char c = text.ptr[i];
        if (low >= 0) {
            c = (char)(high * 16 + low);
            i += 2;
        }
        ret[len++] = c ? c : ' ';
    }
    ret[pst_utf8_valid_prefix((struct pst_str){ret, len})] = '\0';
}

/* ---- the few fields of google.rpc.Status that matter, read by hand: three nested messages ---- */

static bool take_varint(struct pst_str *in, uint64_t *ret)
{
    uint64_t value = 0;
    for (unsigned i = 0; i < 10 && i < in->len; i++) {
        unsigned char byte = (unsigned char)in->ptr[i];
        value |= (uint64_t)(byte & 0x7f) << (7 * i);
        if (!(byte & 0x80)) {
            in->ptr += i + 1;
            in->len -= i + 1;
            *ret = value;
            return true;
        }
    }
    return false;
}

/* The next field: its number, and its varint or its bytes. False at the end or when malformed. */
static bool take_field(struct pst_str *in, uint64_t *ret_number, uint64_t *ret_value,
                       struct pst_str *ret_bytes)
{
    uint64_t tag = 0;
    *ret_bytes = PST_STR("");
    *ret_value = 0;
    if (!take_varint(in, &tag))
        return false;
    *ret_number = tag >> 3;
    switch (tag & 7) {
    case 0:
        return take_varint(in, ret_value);
    case 1:
    case 5:
        *ret_value = (tag & 7) == 1 ? 8 : 4;
        break;
    case 2:
        if (!take_varint(in, ret_value))
            return false;
        break;
    default:
        return false;
    }
    if (*ret_value > in->len)
        return false;
    *ret_bytes = (struct pst_str){in->ptr, (size_t)*ret_value};
    in->ptr += *ret_value;
    in->len -= (size_t)*ret_value;
    return true;
}

static uint64_t duration_ns(struct pst_str in)
{
    uint64_t number = 0, value = 0, seconds = 0, nanos = 0;
    struct pst_str bytes;
    while (take_field(&in, &number, &value, &bytes)) {
        if (number == 1)
            seconds = value;
        if (number == 2)
            nanos = value;
    }
    /* Negative ones are nonsense, and look enormous here. */
    if (seconds > INT64_MAX || nanos >= PST_NS_PER_S)
        return 0;
    if (seconds > UINT64_MAX / PST_NS_PER_S - 1)
        return UINT64_MAX;
    return seconds * PST_NS_PER_S + nanos;
}

/* RetryInfo: {1 retry_delay Duration}. */
static uint64_t retry_delay_ns(struct pst_str in)
{
    uint64_t number = 0, value = 0, delay_ns = 0;
    struct pst_str bytes;
    while (take_field(&in, &number, &value, &bytes)) {
        if (number == 1)
            delay_ns = duration_ns(bytes);
    }
    return delay_ns;
}

/* Any: {1 type_url, 2 value}. */
static bool retry_info(struct pst_str in, uint64_t *ret_ns)
{
    uint64_t number = 0, value = 0;
    struct pst_str bytes, type = PST_STR(""), content = PST_STR("");
    while (take_field(&in, &number, &value, &bytes)) {
        if (number == 1)
            type = bytes;
        if (number == 2)
            content = bytes;
    }
    if (!pst_str_ends(type, PST_STR("/google.rpc.RetryInfo")))
        return false;
    *ret_ns = retry_delay_ns(content);
    return true;
}

bool pst_grpc_retry_info(struct pst_str details_base64, uint64_t *ret_ns)
{
    struct pst_buf bytes;
    uint64_t number = 0, value = 0;
    struct pst_str field;
    bool found = false;
    pst_buf_init(&bytes, PST_MAX_REPLY_HEADER_BYTES);
    if (pst_base64_decode(&bytes, details_base64) == 0) {
        struct pst_str in = pst_buf_view(&bytes);
        while (!found && take_field(&in, &number, &value, &field))
            found = number == 3 && retry_info(field, ret_ns);
    }
    pst_buf_done(&bytes);
    return found;
}
