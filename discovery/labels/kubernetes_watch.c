/* Changes to the pods of this node, as the API server tells them: one JSON document a line, for
 * some minutes, then asked for anew from where it ended. A line that is too long is passed over,
 * not the watch. */
#include <errno.h>
#include <stdio.h>

#include "base/clock.h"
#include "base/limits.h"
#include "base/metrics.h"
#include "base/random.h"
#include "engine.h"

/* The server ends it after this, at another time on each node, so that they do not all come back
 * at once; bookmarks come every minute and tell that it is alive. */
enum { SHORTEST_S = 300, SPREAD_S = 300, SLACK_S = 30, SILENCE_S = 150 };
enum { GONE = 410, FORBIDDEN = 403, PATH_BYTES = 4352 };

struct watch {
    struct pst_asking *asking;
    struct pst_buf line;
    bool skipping; /* the rest of a line that is too long */
    int status;    /* what ends it; 0: nothing */
};

void pst_kubernetes_note_version(struct pst_engine_memory *memory, const json_t *metadata)
{
    struct pst_str text = pst_json_member(metadata, "resourceVersion");

    if (text.len == 0 || text.len >= sizeof(memory->version))
        return;
    for (size_t i = 0; i < text.len; i++) {
        char c = text.ptr[i];
        if (!((c >= '0' && c <= '9') || ((c | 32) >= 'a' && (c | 32) <= 'z') || c == '-'))
            return;
    }
    memcpy(memory->version, text.ptr, text.len);
    memory->version[text.len] = '\0';
}

static int end_with(struct watch *watch, const json_t *object)
{
    json_int_t code = json_integer_value(json_object_get(object, "code"));
    struct pst_str message = pst_json_member(object, "message");

    (void)pst_buf_printf(watch->asking->why, "the watch ended with %d: ", (int)code);
    (void)pst_buf_escaped(watch->asking->why, message);
    return code == GONE ? -ESTALE : -EIO;
}

static int take_event(struct watch *watch, const json_t *event)
{
    const json_t *object = json_object_get(event, "object");
    struct pst_str type = pst_json_member(event, "type");

    if (pst_str_eq(type, PST_STR("ERROR")))
        return end_with(watch, object);
    if (!pst_str_eq(type, PST_STR("BOOKMARK")) &&
        pst_kubernetes_take_pod(watch->asking->metadata, object) == -ENOMEM)
        pst_metric_add(PST_METRIC_OVERFLOW, "pods", NULL, 1);
    pst_kubernetes_note_version(watch->asking->memory, json_object_get(object, "metadata"));
    return 0;
}

static void take_line(struct watch *watch)
{
    struct pst_str line = pst_str_trim(pst_buf_view(&watch->line));

    if (line.len == 0)
        return;
    struct pst_buf ignored;
    pst_buf_init(&ignored, 128);
    json_t *event = pst_json_parse(line, &ignored);
    pst_buf_done(&ignored);
    if (event) {
        pst_asking_answered(watch->asking);
        watch->status = take_event(watch, event);
    } else {
        pst_metric_add(PST_METRIC_OVERFLOW, "pods", NULL, 1);
    }
    json_decref(event);
}

static int take(void *context, const char *data, size_t len)
{
    struct watch *watch = context;
    struct pst_str rest = {data, len};

    while (rest.len > 0 && watch->status == 0) {
        size_t piece = pst_str_find(rest, '\n');
        bool whole = piece < rest.len;
        if (!watch->skipping && pst_buf_append(&watch->line, rest.ptr, piece) < 0) {
            watch->skipping = true;
            pst_metric_add(PST_METRIC_OVERFLOW, "pods", NULL, 1);
        }
        if (whole && !watch->skipping)
            take_line(watch);
        if (whole || watch->skipping)
            pst_buf_done(&watch->line); /* most lines are short, and the next may be long after */
        watch->skipping = watch->skipping && !whole;
        rest = (struct pst_str){rest.ptr + piece + whole, rest.len - piece - whole};
    }
    return watch->status;
}

static int outcome(const struct watch *watch, const struct pst_http_reply *reply)
{
    struct pst_buf *why = watch->asking->why;

    if (watch->status < 0)
        return watch->status;
    if (reply->status == 200 && (!reply->failure || strcmp(reply->failure, "timeout") == 0))
        return 0;
    if (reply->failure)
        (void)pst_buf_printf(why, "%s: %s", reply->failure, reply->detail);
    else
        (void)pst_buf_printf(why, "status %d for a watch", reply->status);
    if (reply->failure)
        return -EIO;
    return reply->status == GONE ? -ESTALE : reply->status == FORBIDDEN ? -EACCES : -EIO;
}

static void exchange(struct watch *watch, struct pst_http *http, const char *path,
                     struct pst_http_reply *reply)
{
    struct pst_http_request request = {
        .path = path, .take = take, .context = watch, .silence_s = SILENCE_S};

    pst_buf_init(&watch->line, PST_MAX_WATCH_LINE_BYTES);
    pst_http_send(http, &request, reply);
    pst_buf_done(&watch->line);
}

int pst_kubernetes_watch(struct pst_asking *asking, const struct pst_net_settings *settings,
                         const char *path, int *ret_status)
{
    struct pst_random random = {pst_random_seed() ^ pst_clock_monotonic_ns()};
    unsigned length_s = SHORTEST_S + (unsigned)pst_random_below(&random, SPREAD_S);
    struct pst_net_settings patient = *settings;
    struct watch watch = {.asking = asking};
    struct pst_http *http = NULL;
    struct pst_error error = {0};
    struct pst_http_reply reply;
    char whole[PATH_BYTES];

    *ret_status = 0;
    patient.timeout_ns = (length_s + SLACK_S) * PST_NS_PER_S;
    (void)snprintf(whole, sizeof(whole),
                   "%s&watch=1&allowWatchBookmarks=true&timeoutSeconds=%u&resourceVersion=%s", path,
                   length_s, asking->memory->version);
    if (pst_http_new(&patient, asking->cancel, &http, &error) < 0) {
        (void)pst_buf_puts(asking->why, error.text[0] ? error.text : "out of memory");
        return -EIO;
    }
    pst_http_reply_init(&reply);
    exchange(&watch, http, whole, &reply);
    int status = outcome(&watch, &reply);
    *ret_status = status == -ESTALE ? GONE : reply.status;
    pst_http_reply_done(&reply);
    pst_http_free(http);
    return status;
}
