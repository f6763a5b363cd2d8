/* The shipping thread's side: closed windows become profiles and go to the hooks. */
#include <inttypes.h>
#include <time.h>

#include "all.h"
#include "base/buf.h"
#include "base/clock.h"

static struct pst_closed *wait_closed(struct pst_sampler *sampler, int timeout_ms)
{
    uint64_t wait_ms = timeout_ms > 0 ? (uint64_t)timeout_ms : 0;
    uint64_t until = pst_clock_monotonic_ns() + wait_ms * PST_NS_PER_MS;
    struct timespec deadline = {(time_t)(until / PST_NS_PER_S),
                                (__syscall_slong_t)(until % PST_NS_PER_S)};
    pthread_mutex_lock(&sampler->shared.windows_lock);
    struct pst_closed *entry = pst_closed_queue_pop(&sampler->queue);
    if (!entry && timeout_ms > 0) {
        (void)pthread_cond_timedwait(&sampler->arrived, &sampler->shared.windows_lock, &deadline);
        entry = pst_closed_queue_pop(&sampler->queue);
    }
    pthread_mutex_unlock(&sampler->shared.windows_lock);
    return entry;
}

static int add_native(struct pst_buf *text, const struct pst_closed *entry)
{
    if (!entry->native)
        return 0;
    return pst_buf_printf(text, "; threads were stopped for native frames, median %" PRIu64 " us",
                          entry->stop_ns / 1000);
}

/* What a reader needs to judge the profile; stands in it as a comment. */
static void add_comment(struct pst_profile *profile, const struct pst_closed *entry)
{
    const struct pst_sampler_window *w = &entry->stats;
    struct pst_buf text;
    pst_buf_init(&text, 512);
    if (pst_buf_printf(&text,
                       "pystrobe " PST_VERSION " pid %d: asked %.4g Hz, achieved %.4g Hz, "
                       "%" PRIu64 " samples, %" PRIu64 " late, %" PRIu64 " torn, %" PRIu64
                       " failed, %" PRIu64 " trimmed, %" PRIu64 " retried%s%s",
                       entry->pid, w->hz, w->achieved_hz, w->samples, w->late, w->torn, w->failed,
                       w->trimmed, w->retries,
                       pst_profile_meta(profile).mode == PST_MODE_GIL
                           ? "; holding the GIL is an estimate from samples"
                           : "",
                       w->jit ? "; JIT: lines are those last stored" : "") == 0 &&
        add_native(&text, entry) == 0)
        (void)pst_profile_add_comment(profile, pst_buf_view(&text));
    pst_buf_done(&text);
}

static void ship_one(struct pst_sampler *sampler, struct pst_closed *entry)
{
    struct pst_profile *profiles[PST_MODE_COUNT] = {NULL};
    for (int mode = 0; entry->window && mode < PST_MODE_COUNT; mode++) {
        if (!(entry->modes & (1U << mode)))
            continue;
        if (pst_window_profile(entry->window, (enum pst_mode)mode, entry->names, entry->pid,
                               &profiles[mode]) < 0)
            entry->stats.verdicts[PST_V_NO_MEMORY]++;
        if (profiles[mode]) {
            struct pst_profile_meta meta = {
                .mode = (enum pst_mode)mode,
                .time_ns = entry->stats.time_ns,
                .duration_ns = entry->stats.duration_ns,
                .period_ns = (int64_t)((double)PST_NS_PER_S / entry->stats.hz),
            };
            pst_profile_set_meta(profiles[mode], &meta);
            add_comment(profiles[mode], entry);
        }
    }
    if (entry->window)
        entry->stats.verdicts[PST_V_NO_MEMORY] += pst_window_overflow(entry->window);
    sampler->hooks.window(sampler->hooks.context, &entry->stats, profiles);
    for (int mode = 0; mode < PST_MODE_COUNT; mode++)
        pst_profile_free(profiles[mode]);
}

size_t pst_sampler_ship(struct pst_sampler *sampler, int timeout_ms)
{
    size_t shipped = 0;
    struct pst_closed *entry;
    while ((entry = wait_closed(sampler, shipped ? 0 : timeout_ms))) {
        if (entry->end && sampler->hooks.window_end)
            sampler->hooks.window_end(sampler->hooks.context, entry->stats.sequence);
        else if (!entry->end)
            ship_one(sampler, entry);
        pst_closed_free(entry);
        shipped++;
    }
    return shipped;
}
