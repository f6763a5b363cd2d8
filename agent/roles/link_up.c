/* The window message: counters of one target's window, and what its bodies hold. */
#include <errno.h>
#include <math.h>
#include <string.h>

#include "base/clock.h"
#include "base/limits.h"
#include "link.pb-c.h"
#include "link_codec.h"
#include "roles/link.h"

#define MAX_DURATION_NS ((int64_t)(2 * PST_MAX_WINDOW_SECONDS * PST_NS_PER_S))

/* The fields that have the same name on both sides; the lists below are the only place that knows
 * them. */
/* clang-format off */
#define WINDOW_FIELDS(X) \
    X(target) X(sequence) X(gone) X(jit) X(time_ns) \
    X(duration_ns) X(hz) X(achieved_hz) X(ticks) \
    X(late) X(samples) X(torn) X(failed) \
    X(trimmed) X(retries) X(cpu_ns) X(code_hits) \
    X(code_misses) X(threads)
/* clang-format on */
#define TOTALS_FIELDS(X)                                                                           \
    X(wakeups)                                                                                     \
    X(looks) X(idle_looks) X(stacks) X(reused) X(overruns) X(attach_failures) X(read_calls)
#define READER_FIELDS(X)                                                                           \
    X(sequence) X(cpu_ns) X(memory_bytes) X(unsent_windows) X(plan_generation) X(window_end)

static int encode_window(const struct pst_link_up *up, struct pst_buf *out)
{
    Pst__Link__Up message = PST__LINK__UP__INIT;
    Pst__Link__Window window = PST__LINK__WINDOW__INIT;
    Pst__Link__Body bodies[PST_MODE_COUNT], *pointers[PST_MODE_COUNT];
    uint64_t verdicts[PST_VERDICT_COUNT];

    if (up->body_count > PST_MODE_COUNT)
        return -EINVAL;
#define X(field) window.field = up->window.field;
    WINDOW_FIELDS(X)
#undef X
    window.verdict = up->window.verdict;
    memcpy(verdicts, up->window.verdicts, sizeof(verdicts));
    window.n_verdicts = PST_VERDICT_COUNT;
    window.verdicts = verdicts;
    for (size_t i = 0; i < up->body_count; i++) {
        pst__link__body__init(&bodies[i]);
        bodies[i].mode = up->bodies[i].mode;
        bodies[i].samples = up->bodies[i].samples;
        bodies[i].value_ns = up->bodies[i].value_ns;
        bodies[i].bytes = up->bodies[i].bytes;
        pointers[i] = &bodies[i];
    }
    window.n_bodies = up->body_count;
    window.bodies = pointers;
    message.version = PST_LINK_VERSION;
    message.window = &window;
    return pst_link_pack(&message.base, out);
}

static int encode_reader(const struct pst_link_up *up, struct pst_buf *out)
{
    Pst__Link__Up message = PST__LINK__UP__INIT;
    Pst__Link__Reader reader = PST__LINK__READER__INIT;

#define X(field) reader.field = up->reader.field;
    READER_FIELDS(X)
#undef X
#define X(field) reader.field = up->reader.totals.field;
    TOTALS_FIELDS(X)
#undef X
    message.version = PST_LINK_VERSION;
    message.reader = &reader;
    return pst_link_pack(&message.base, out);
}

int pst_link_up_encode(const struct pst_link_up *up, struct pst_buf *out)
{
    return up->kind == PST_LINK_WINDOW ? encode_window(up, out) : encode_reader(up, out);
}

static int decode_bodies(const Pst__Link__Window *window, struct pst_link_up *ret)
{
    unsigned seen = 0;

    if (window->n_bodies > PST_MODE_COUNT)
        return -EBADMSG;
    for (size_t i = 0; i < window->n_bodies; i++) {
        const Pst__Link__Body *body = window->bodies[i];
        if (body->mode >= PST_MODE_COUNT || (seen & 1u << body->mode) != 0)
            return -EBADMSG;
        if (body->bytes == 0 || body->bytes > PST_MAX_LINK_BODY_BYTES || body->samples < 0 ||
            body->value_ns < 0)
            return -EBADMSG;
        seen |= 1u << body->mode;
        ret->bodies[i] = (struct pst_link_body){
            .mode = (enum pst_mode)body->mode,
            .samples = body->samples,
            .value_ns = body->value_ns,
            .bytes = body->bytes,
        };
    }
    ret->body_count = window->n_bodies;
    return 0;
}

static bool rate_in_bounds(double hz)
{
    return isfinite(hz) && !signbit(hz) && hz <= 1e6;
}

static int decode_window(const Pst__Link__Window *window, struct pst_link_up *ret)
{
    if (window->target == 0 || window->target > UINT32_MAX ||
        window->n_verdicts != PST_VERDICT_COUNT || window->verdict >= PST_VERDICT_COUNT)
        return -EBADMSG;
    if (!rate_in_bounds(window->hz) || !rate_in_bounds(window->achieved_hz) ||
        window->time_ns < 0 || window->duration_ns < 0 || window->duration_ns > MAX_DURATION_NS)
        return -EBADMSG;
#define X(field) ret->window.field = window->field;
    WINDOW_FIELDS(X)
#undef X
    ret->kind = PST_LINK_WINDOW;
    ret->window.verdict = (enum pst_verdict)window->verdict;
    memcpy(ret->window.verdicts, window->verdicts, sizeof(ret->window.verdicts));
    return decode_bodies(window, ret);
}

static int decode_reader(const Pst__Link__Reader *reader, struct pst_link_up *ret)
{
    ret->kind = PST_LINK_READER;
#define X(field) ret->reader.field = reader->field;
    READER_FIELDS(X)
#undef X
#define X(field) ret->reader.totals.field = reader->field;
    TOTALS_FIELDS(X)
#undef X
    return 0;
}

int pst_link_up_decode(const void *data, size_t len, struct pst_link_up *ret)
{
    ProtobufCMessage *base = pst_link_unpack(&pst__link__up__descriptor, data, len);
    const Pst__Link__Up *message = (const Pst__Link__Up *)base;
    int status = -EBADMSG;

    memset(ret, 0, sizeof(*ret));
    if (message && message->version == PST_LINK_VERSION) {
        if (message->window && !message->reader)
            status = decode_window(message->window, ret);
        else if (message->reader && !message->window)
            status = decode_reader(message->reader, ret);
    }
    pst_link_release(base);
    return status;
}
