/* Log lines: one write(2) each, given up when it would block, at most 6 a minute per cause. */
#include "base/log.h"

#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"

enum { CAUSES = 64, LINES_A_MINUTE = 6, LINE_BYTES = 4096 };

struct cause {
    const char *name;
    uint64_t minute_start_ns;
    unsigned lines, suppressed;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct cause causes[CAUSES];
static enum pst_log_level least = PST_LOG_INFO;
static enum pst_log_format shape = PST_LOG_LOGFMT;
static const char *role_name = "";

void pst_log_setup(enum pst_log_level level, enum pst_log_format format, const char *role)
{
    pthread_mutex_lock(&lock);
    least = level;
    shape = format;
    role_name = role ? role : "";
    pthread_mutex_unlock(&lock);
}

/* True when the line may go out; *ret_suppressed is what was held back since the last one. */
static bool admit(const char *name, unsigned *ret_suppressed)
{
    struct cause *cause = &causes[CAUSES - 1]; /* past 63 causes the rest share one */
    for (size_t i = 0; i < CAUSES; i++)
        if (!causes[i].name || strcmp(causes[i].name, name) == 0) {
            cause = &causes[i];
            break;
        }
    if (!cause->name)
        cause->name = name;
    uint64_t now = pst_clock_monotonic_ns();
    *ret_suppressed = 0;
    if (cause->lines == 0 || now - cause->minute_start_ns >= 60 * PST_NS_PER_S) {
        *ret_suppressed = cause->suppressed;
        cause->suppressed = 0;
        cause->lines = 0;
        cause->minute_start_ns = now;
    }
    if (cause->lines >= LINES_A_MINUTE) {
        cause->suppressed++;
        return false;
    }
    cause->lines++;
    return true;
}

static void stamp(char *dst, size_t size)
{
    uint64_t now = pst_clock_realtime_ns();
    time_t seconds = (time_t)(now / PST_NS_PER_S);
    struct tm tm;
    (void)gmtime_r(&seconds, &tm);
    size_t n = strftime(dst, size, "%Y-%m-%dT%H:%M:%S", &tm);
    (void)snprintf(dst + n, size - n, ".%03uZ", (unsigned)(now % PST_NS_PER_S / PST_NS_PER_MS));
}

/* JSON has no \xNN: control characters and quotes as \u00NN, bad UTF-8 replaced. */
static void json_text(struct pst_buf *line, const char *text)
{
    struct pst_buf clean;
    pst_buf_init(&clean, LINE_BYTES * 3);
    (void)pst_buf_utf8(&clean, pst_str(text));
    for (size_t i = 0; i < clean.len; i++) {
        unsigned char c = (unsigned char)clean.data[i];
        if (c < 0x20 || c == '"' || c == '\\' || c == 0x7f)
            (void)pst_buf_printf(line, "\\u%04x", c);
        else
            (void)pst_buf_append(line, &c, 1);
    }
    pst_buf_done(&clean);
}

static void format_line(struct pst_buf *line, enum pst_log_level level, const char *cause,
                        const char *text, unsigned suppressed)
{
    static const char *const words[] = {"debug", "info", "warn", "error"};
    char time[40];
    stamp(time, sizeof(time));
    if (shape == PST_LOG_JSON) {
        (void)pst_buf_printf(
            line, "{\"time\":\"%s\",\"level\":\"%s\",\"role\":\"%s\",\"cause\":\"%s\",\"msg\":\"",
            time, words[level], role_name, cause);
        json_text(line, text);
        (void)pst_buf_puts(line, "\"");
        if (suppressed)
            (void)pst_buf_printf(line, ",\"suppressed\":%u", suppressed);
        (void)pst_buf_puts(line, "}\n");
        return;
    }
    (void)pst_buf_printf(line, "time=%s level=%s", time, words[level]);
    if (role_name[0])
        (void)pst_buf_printf(line, " role=%s", role_name);
    (void)pst_buf_printf(line, " cause=%s msg=\"", cause);
    (void)pst_buf_escaped(line, pst_str(text));
    (void)pst_buf_puts(line, "\"");
    if (suppressed)
        (void)pst_buf_printf(line, " suppressed=%u", suppressed);
    (void)pst_buf_puts(line, "\n");
}

/* stderr may be a full pipe: setting O_NONBLOCK would change it for everybody who shares the open
 * file, so readiness is asked first. A pipe that is ready takes PIPE_BUF bytes without blocking. */
static void emit(const struct pst_buf *line)
{
    struct pollfd ready = {.fd = STDERR_FILENO, .events = POLLOUT};
    if (poll(&ready, 1, 0) == 1 && (ready.revents & POLLOUT)) {
        size_t len = line->len < LINE_BYTES ? line->len : LINE_BYTES;
        ssize_t ignored = write(STDERR_FILENO, line->data, len);
        (void)ignored;
    }
}

void pst_log(enum pst_log_level level, const char *cause, const char *format, ...)
{
    if (level < least)
        return;
    char text[1024];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(text, sizeof(text), format, args);
    va_end(args);

    pthread_mutex_lock(&lock);
    unsigned suppressed;
    if (admit(cause, &suppressed)) {
        struct pst_buf line;
        pst_buf_init(&line, 4 * LINE_BYTES);
        format_line(&line, level, cause, text, suppressed);
        if (line.data)
            emit(&line);
        pst_buf_done(&line);
    }
    pthread_mutex_unlock(&lock);
}
