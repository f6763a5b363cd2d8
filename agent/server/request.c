/* Reading a request: headers and query parameters as views, ranges and modes checked. */
#include <errno.h>
#include <string.h>

#include "base/clock.h"
#include "internal.h"

static struct pst_str lookup(const struct pst_request *request, enum MHD_ValueKind kind,
                             const char *name)
{
    const char *value = NULL;
    size_t len = 0;
    if (MHD_lookup_connection_value_n(request->connection, kind, name, strlen(name), &value,
                                      &len) != MHD_YES ||
        !value)
        return (struct pst_str){"", 0};
    return (struct pst_str){value, len};
}

struct pst_str pst_request_argument(const struct pst_request *request, const char *name)
{
    return lookup(request, MHD_GET_ARGUMENT_KIND, name);
}

struct pst_str pst_request_header(const struct pst_request *request, const char *name)
{
    return lookup(request, MHD_HEADER_KIND, name);
}

bool pst_request_mode(struct pst_request *request, enum pst_mode *ret, struct pst_answer *answer)
{
    struct pst_str word = pst_request_argument(request, "mode");
    *ret = PST_MODE_CPU;
    if (word.len == 0 || pst_mode_parse(word, ret) == 0)
        return true;
    pst_answer_text(answer, MHD_HTTP_BAD_REQUEST, "mode: one of cpu, wall, gil");
    return false;
}

/* "90", "90s", "15m", "6h", "1d" */
static int parse_length(struct pst_str text, int64_t *ret_ns)
{
    uint64_t unit = 1, number;
    if (text.len > 0) {
        static const char letters[] = "smhd";
        static const uint64_t seconds[] = {1, 60, 3600, 86400};
        const char *at = strchr(letters, text.ptr[text.len - 1]);
        if (at && *at) {
            unit = seconds[at - letters];
            text.len--;
        }
    }
    if (pst_str_u64(text, 10, PST_MAX_HTTP_RANGE_S / unit, &number) < 0 || number == 0)
        return -EINVAL;
    *ret_ns = (int64_t)(number * unit * PST_NS_PER_S);
    return 0;
}

/* Unix seconds, with at most nine decimals. */
static int parse_time(struct pst_str text, int64_t *ret_ns)
{
    size_t dot = pst_str_find(text, '.');
    uint64_t whole, part = 0;
    if (pst_str_u64((struct pst_str){text.ptr, dot}, 10, 9000000000ULL, &whole) < 0)
        return -EINVAL;
    if (dot < text.len) {
        struct pst_str decimals = {text.ptr + dot + 1, text.len - dot - 1};
        if (decimals.len > 9 || pst_str_u64(decimals, 10, 999999999, &part) < 0)
            return -EINVAL;
        for (size_t i = decimals.len; i < 9; i++)
            part *= 10;
    }
    *ret_ns = (int64_t)(whole * PST_NS_PER_S + part);
    return 0;
}

bool pst_request_range(struct pst_request *request, struct pst_range *ret,
                       struct pst_answer *answer)
{
    struct pst_str last = pst_request_argument(request, "last");
    struct pst_str from = pst_request_argument(request, "from");
    struct pst_str to = pst_request_argument(request, "to");
    int64_t length_ns = 900 * (int64_t)PST_NS_PER_S;
    const int64_t longest_ns = PST_MAX_HTTP_RANGE_S * (int64_t)PST_NS_PER_S;
    ret->service = pst_request_argument(request, "service");
    ret->to_ns = (int64_t)pst_clock_realtime_ns();
    bool good = pst_request_mode(request, &ret->mode, answer);
    if (!good)
        return false;
    if (last.len > 0)
        good = parse_length(last, &length_ns) == 0;
    if (good && to.len > 0)
        good = parse_time(to, &ret->to_ns) == 0;
    ret->from_ns = ret->to_ns - length_ns;
    if (good && from.len > 0)
        good = parse_time(from, &ret->from_ns) == 0;
    if (good && ret->from_ns < ret->to_ns && ret->to_ns - ret->from_ns <= longest_ns)
        return true;
    pst_answer_text(
        answer, MHD_HTTP_BAD_REQUEST,
        "range: last=15m (s, m, h, d), or from= and to= in Unix seconds, at most %d days",
        PST_MAX_HTTP_RANGE_S / 86400);
    return false;
}
