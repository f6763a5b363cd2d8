/* Reads Retry-After. A server's word is data: nonsense counts as absent. */
#include <stdio.h>
#include <time.h>

#include "base/clock.h"
#include "net/net.h"

static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";

static bool month_number(const char *name, int *ret_month)
{
    for (int i = 0; i < 12; i++) {
        if (memcmp(months + 3 * i, name, 3) == 0) {
            *ret_month = i;
            return true;
        }
    }
    return false;
}

static bool digits(const char *text, size_t count, int *ret_value)
{
    uint64_t value = 0;
    if (pst_str_u64((struct pst_str){text, count}, 10, 9999, &value) != 0)
        return false;
    *ret_value = (int)value;
    return true;
}

/* Only the form that RFC 9110 tells senders to use: "Sun, 06 Nov 1994 08:49:37 GMT". */
static bool http_date(struct pst_str value, int64_t *ret_seconds)
{
    static const char shape[] = "???, ?? ??? ???? ??:??:?? GMT";
    if (value.len != sizeof(shape) - 1)
        return false;
    for (size_t i = 0; i < value.len; i++) {
        if (shape[i] != '?' && shape[i] != value.ptr[i])
            return false;
    }
    struct tm tm = {0};
    int year = 0;
    if (!digits(value.ptr + 5, 2, &tm.tm_mday) || !month_number(value.ptr + 8, &tm.tm_mon) ||
        !digits(value.ptr + 12, 4, &year) || !digits(value.ptr + 17, 2, &tm.tm_hour) ||
        !digits(value.ptr + 20, 2, &tm.tm_min) || !digits(value.ptr + 23, 2, &tm.tm_sec))
        return false;
    if (year < 1970 || tm.tm_mday < 1 || tm.tm_mday > 31 || tm.tm_hour > 23 || tm.tm_min > 59 ||
        tm.tm_sec > 60)
        return false;
    tm.tm_year = year - 1900;
    *ret_seconds = (int64_t)timegm(&tm);
    return true;
}

bool pst_net_retry_after(struct pst_str value, uint64_t now_realtime_ns, uint64_t *ret_delay_ns)
{
    value = pst_str_trim(value);
    const uint64_t max_seconds = UINT64_MAX / PST_NS_PER_S;
    uint64_t seconds = 0;
    bool number = value.len > 0;
    for (size_t i = 0; i < value.len; i++)
        number = number && value.ptr[i] >= '0' && value.ptr[i] <= '9';
    if (number) {
        if (pst_str_u64(value, 10, max_seconds, &seconds) != 0)
            seconds = max_seconds; /* more digits than fit: simply very long */
    } else {
        int64_t date = 0;
        int64_t now = (int64_t)(now_realtime_ns / PST_NS_PER_S);
        if (!http_date(value, &date) || date <= now)
            return false;
        seconds = (uint64_t)(date - now);
    }
    if (seconds == 0)
        return false;
    if (seconds > max_seconds)
        seconds = max_seconds;
    *ret_delay_ns = seconds * PST_NS_PER_S;
    return true;
}
