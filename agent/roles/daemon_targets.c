/* Facts and windows come in, the plan goes out, a snapshot is published for the endpoint. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/limits.h"
#include "base/log.h"
#include "base/metrics.h"
#include "daemon.h"
#include "labels/mask.h"
#include "pipeline/naming.h"
#include "python/python.h"

enum {
    KEEP_GONE_S = 300, /* so that a last window still finds its labels */
    LINK_WAIT_MS = 0,
    UNREAD_WINDOWS = 3, /* a readable target without a sample for this long is not ready */
};

/* Windows of ended targets go with those of the others when these close soon. */
static const uint64_t gone_wait_ns = 10 * PST_NS_PER_S;

static const struct pst_facts *find_facts(void *context, uint64_t target_id)
{
    const struct pst_known *known = pst_known_get(context, target_id);
    return known ? known->facts : NULL;
}

/* Whether there is anything new. To ask also keeps what is known of the container from being
 * forgotten. */
static bool ask_engines(struct pst_daemon *daemon, struct pst_known *known)
{
    struct pst_engines engines;
    bool waiting = pst_metadata_get(daemon->metadata, known->facts, &engines);
    return pst_known_engines(known, &engines, waiting);
}

static void name(struct pst_daemon *daemon, struct pst_known *known)
{
    struct pst_label_lookup lookup = {find_facts, daemon->known, &known->engines};
    struct pst_naming naming;
    if (pst_naming_make(daemon->config, daemon->rules, known->facts, &lookup, &naming) < 0)
        pst_metric_add(PST_METRIC_DROPPED_SAMPLES, "labels", NULL, 1);
    if (naming.refused_labels)
        pst_metric_add(PST_METRIC_OVERFLOW, "labels", NULL, naming.refused_labels);
    known->dropped = naming.dropped;
    known->hz = naming.hz;
    known->modes = naming.modes;
    pst_known_set_labels(known, naming.before, naming.after, naming.why);
}

static void label(struct pst_daemon *daemon, struct pst_known *known)
{
    (void)ask_engines(daemon, known);
    name(daemon, known);
}

void pst_daemon_relabel(struct pst_daemon *daemon)
{
    for (size_t i = 0; i < pst_known_count(daemon->known); i++)
        label(daemon, pst_known_at(daemon->known, i));
}

void pst_daemon_engines(struct pst_daemon *daemon)
{
    for (size_t i = 0; i < pst_known_count(daemon->known); i++) {
        struct pst_known *known = pst_known_at(daemon->known, i);
        bool over = known->gone && !known->waiting;
        if (known->facts->container_id.len == 0 || over || !ask_engines(daemon, known))
            continue;
        const char *dropped = known->dropped;
        double hz = known->hz;
        unsigned modes = known->modes;
        name(daemon, known);
        daemon->plan_due = daemon->plan_due || known->dropped != dropped || known->hz != hz ||
                           known->modes != modes;
    }
}

struct release {
    struct pst_daemon *daemon;
    bool all;
};

static int may_go(void *context, uint64_t target, const struct pst_labels **ret_labels)
{
    const struct release *release = context;
    const struct pst_known *known = pst_known_get(release->daemon->known, target);
    if (known && known->waiting && !release->all)
        return 0;
    *ret_labels = known ? known->after : NULL;
    return *ret_labels ? 1 : -1;
}

void pst_daemon_release(struct pst_daemon *daemon, bool all)
{
    struct release release = {daemon, all};
    if (pst_hold_count(daemon->hold) > 0)
        pst_hold_release(daemon->hold, daemon->merge, may_go, &release);
}

/* CPU of a process that ended before any sample of it was taken is told, not lost. */
static void count_unseen(struct pst_known *known)
{
    pst_metric_add(PST_METRIC_UNSEEN_CPU, NULL, NULL,
                   (double)pst_known_unseen_ns(known) / (double)PST_NS_PER_S);
}

static void count_attach_failure(const struct pst_known *known)
{
    if (known->facts->state != PST_TARGET_FAILED)
        return;
    char reason[32];
    (void)snprintf(reason, sizeof(reason), "%.*s", (int)known->facts->reason.len,
                   known->facts->reason.ptr ? known->facts->reason.ptr : "");
    pst_metric_add(PST_METRIC_ATTACH_FAILURES, reason, NULL, 1);
}

static void refuse(struct pst_daemon *daemon, struct pst_known *known)
{
    bool stalled = pst_refusals_stalled(&daemon->refusals, known->facts);
    known->refused = pst_refusals_by_cgroup(&daemon->refusals, known->facts);
    if (!stalled || known->stalled)
        return;
    known->stalled = true;
    pst_log_warn("target_stalled",
                 "pid %d does not answer when its memory is read: it is left alone from now on",
                 known->facts->pid);
}

void pst_daemon_facts(struct pst_daemon *daemon, const struct pst_link_facts *message)
{
    uint64_t now_ns = pst_clock_monotonic_ns();
    if (message->kind == PST_LINK_SCAN) {
        daemon->scans = message->scan.runs;
        pst_metric_set(PST_METRIC_DENIED, NULL, NULL, (double)message->scan.denied);
        daemon->role_cpu_ns[PST_ROLE_SCAN] = message->scan.cpu_ns;
        daemon->role_memory_bytes[PST_ROLE_SCAN] = message->scan.memory_bytes;
        pst_metric_set(PST_METRIC_DISCOVERY_DURATION, NULL, NULL,
                       (double)message->scan.last_run_ns / (double)PST_NS_PER_S);
        return;
    }
    struct pst_known *known = pst_known_get(daemon->known, message->facts.id);
    if (message->event == PST_SCAN_GONE) {
        if (!known || known->gone)
            return;
        known->gone = true;
        known->gone_ns = now_ns;
        count_unseen(known);
        daemon->plan_due = true;
        return;
    }
    if (pst_known_put(daemon->known, &message->facts, now_ns, &known) < 0) {
        pst_metric_add(PST_METRIC_OVERFLOW, "targets", NULL, 1);
        return;
    }
    refuse(daemon, known);
    label(daemon, known);
    count_attach_failure(known);
    daemon->plan_due = true;
}

static void count_window(const struct pst_sampler_window *window)
{
    for (int v = 1; v < PST_VERDICT_COUNT; v++)
        if (window->verdicts[v])
            pst_metric_add(PST_METRIC_SAMPLE_ERRORS, pst_verdict_word((enum pst_verdict)v), NULL,
                           (double)window->verdicts[v]);
    pst_metric_add(PST_METRIC_CODE_LOOKUPS, "hit", NULL, (double)window->code_hits);
    pst_metric_add(PST_METRIC_CODE_LOOKUPS, "miss", NULL, (double)window->code_misses);
    pst_metric_add(PST_METRIC_SAMPLE_RETRIES, NULL, NULL, (double)window->retries);
    pst_metric_add(PST_METRIC_SAMPLE_TRIMMED, NULL, NULL, (double)window->trimmed);
}

void pst_daemon_window(struct pst_daemon *daemon, const struct pst_link_up *up, void *const *bodies)
{
    struct pst_known *known = pst_known_get(daemon->known, up->window.target);
    count_window(&up->window);
    if (!known) {
        pst_metric_add(PST_METRIC_DROPPED_SAMPLES, "unknown_target", NULL, 1);
        return;
    }
    pst_known_window(known, &up->window, pst_clock_monotonic_ns());
    count_unseen(known);
    if (known->gone && daemon->flush_at_ns == 0)
        daemon->flush_at_ns = pst_clock_monotonic_ns() + gone_wait_ns;
    if (!known->after)
        return;
    for (size_t i = 0; i < up->body_count; i++) {
        const struct pst_link_body *body = &up->bodies[i];
        struct pst_profile_meta meta = {
            .mode = body->mode,
            .time_ns = up->window.time_ns,
            .duration_ns = up->window.duration_ns,
            .period_ns = up->window.hz > 0 ? (int64_t)((double)PST_NS_PER_S / up->window.hz) : 0,
        };
        const char *mode = pst_mode_word(body->mode);
        pst_metric_add(PST_METRIC_SAMPLES, mode, NULL, (double)body->samples);
        pst_metric_add(PST_METRIC_WINDOWS, mode, NULL, 1);
        int r = -ENOSPC;
        if (known->waiting)
            r = pst_hold_add(daemon->hold, known->id, &meta, body->samples, body->value_ns,
                             bodies[i], body->bytes);
        if (r == -ENOSPC)
            r = pst_merge_add(daemon->merge, known->after, &meta, body->samples, body->value_ns,
                              bodies[i], body->bytes);
        if (r < 0)
            pst_metric_add(PST_METRIC_DROPPED_SAMPLES, r == -ENOMEM ? "no_memory" : "invalid", NULL,
                           (double)body->samples);
    }
}

void pst_daemon_stalled(struct pst_daemon *daemon, const struct pst_control *record)
{
    pst_refusals_take(&daemon->refusals, record);
    if (record->kind == PST_CONTROL_STALLED)
        pst_metric_add(PST_METRIC_STALLS, NULL, NULL, 1);
    for (size_t i = 0; i < pst_known_count(daemon->known); i++)
        refuse(daemon, pst_known_at(daemon->known, i));
    daemon->plan_due = true;
}

static unsigned planned_modes(const struct pst_daemon *daemon)
{
    unsigned modes = 0;
    for (unsigned mode = 0; mode < PST_MODE_COUNT; mode++)
        if (daemon->config->sampling.modes[mode])
            modes |= 1U << mode;
    if (daemon->budget.cpu_only && (modes & (1U << PST_MODE_CPU)))
        modes = 1U << PST_MODE_CPU;
    return modes;
}

/* Targets of the plan, busiest first. */
static size_t planned(struct pst_daemon *daemon, struct pst_known **ret)
{
    size_t count = 0;
    for (size_t i = 0; i < pst_known_count(daemon->known); i++) {
        struct pst_known *known = pst_known_at(daemon->known, i);
        known->resting = pst_naming_resting(daemon->config, known->facts, pst_clock_realtime_ns());
        if (pst_known_wanted(known))
            ret[count++] = known;
    }
    qsort(ret, count, sizeof(struct pst_known *), pst_known_by_need);
    size_t kept = (size_t)((double)count * daemon->budget.target_share);
    if (kept == 0 && count > 0)
        kept = 1;
    for (size_t i = kept; i < count; i++)
        ret[i]->resting = "budget";
    return kept < PST_MAX_TARGETS ? kept : PST_MAX_TARGETS;
}

static int send_part(struct pst_daemon *daemon, const struct pst_link_plan *plan)
{
    struct pst_buf message;
    pst_buf_init(&message, PST_MAX_LINK_MESSAGE_BYTES);
    int r = pst_link_plan_encode(plan, &message);
    if (r == 0)
        r = pst_link_send(PST_FD_WINDOWS, message.data, message.len, NULL, 0, LINK_WAIT_MS);
    pst_buf_done(&message);
    return r;
}

static double rate_of(const struct pst_daemon *daemon, const struct pst_known *known)
{
    double hz = known->hz > 0 ? known->hz : daemon->config->sampling.hz;
    return hz * daemon->budget.rate_factor;
}

/* A target's own modes, as far as the budget leaves them. */
static unsigned modes_of(unsigned planned, const struct pst_known *known)
{
    unsigned cpu = 1U << PST_MODE_CPU;
    if (!known->modes)
        return planned;
    return planned == cpu && (known->modes & cpu) ? cpu : known->modes;
}

static int send_rows(struct pst_daemon *daemon, struct pst_known *const *targets, size_t count,
                     struct pst_link_plan *plan)
{
    const struct pst_config *config = daemon->config;
    unsigned modes = planned_modes(daemon);
    size_t at = 0;
    do {
        plan->first = at == 0;
        plan->row_count = 0;
        for (; at < count && plan->row_count < PST_MAX_PLAN_ROWS; at++)
            plan->rows[plan->row_count++] = (struct pst_plan_row){
                .target = (uint32_t)targets[at]->id,
                .modes = modes_of(modes, targets[at]),
                .priority = (uint32_t)(count - at),
                .max_frames = config->sampling.max_frames,
                .hz = rate_of(daemon, targets[at]),
                .window_ns = config->sampling.window_ns,
                .class_names = config->sampling.class_names,
            };
        plan->last = at == count;
        int r = send_part(daemon, plan);
        if (r < 0)
            return r;
    } while (at < count);
    return 0;
}

int pst_daemon_send_plan(struct pst_daemon *daemon)
{
    struct pst_known **targets =
        malloc((pst_known_count(daemon->known) + 1) * sizeof(struct pst_known *));
    struct pst_link_plan *plan = calloc(1, sizeof(*plan));
    int r = -ENOMEM;
    if (targets && plan) {
        bool enabled = daemon->config->sampling.enabled && planned_modes(daemon) != 0;
        size_t count = planned(daemon, targets);
        plan->kind = PST_LINK_SAMPLING;
        plan->generation = ++daemon->plan_generation;
        plan->enabled = enabled;
        plan->shrink = daemon->budget.shrink;
        r = send_rows(daemon, targets, enabled ? count : 0, plan);
    }
    free(targets);
    free(plan);
    pst_metric_set(PST_METRIC_INTERVAL, NULL, NULL,
                   1 / (daemon->config->sampling.hz * daemon->budget.rate_factor));
    return r;
}

int pst_daemon_send_discovery(struct pst_daemon *daemon, bool resend)
{
    struct pst_link_plan *plan = calloc(1, sizeof(*plan));
    struct pst_buf message;
    pst_buf_init(&message, PST_MAX_LINK_MESSAGE_BYTES);
    int r = -ENOMEM;
    if (plan) {
        plan->kind = PST_LINK_DISCOVERY;
        plan->interval_ns = daemon->config->discovery.interval_ns;
        plan->min_age_ns = daemon->config->discovery.min_age_ns;
        plan->resend = resend;
        r = pst_link_plan_encode(plan, &message);
    }
    if (r == 0)
        r = pst_link_send(PST_FD_FACTS, message.data, message.len, NULL, 0, LINK_WAIT_MS);
    pst_buf_done(&message);
    free(plan);
    return r;
}

static char *text_of(struct pst_str text)
{
    return pst_str_dup(text);
}

static char *command_of(const struct pst_facts *facts)
{
    struct pst_buf line;
    pst_buf_init(&line, 4 * PST_MAX_CMDLINE_BYTES);
    (void)pst_mask_arguments(facts->argv, &line);
    return pst_buf_steal(&line, NULL);
}

static char *build_of(const struct pst_facts *facts, bool jit)
{
    char text[32];

    (void)snprintf(text, sizeof(text), "%s%s%s", pst_build_word(facts->build), jit ? ", JIT" : "",
                   pst_python_version_verified(&facts->runtime) ? "" : ", unverified");
    return pst_str_dup(pst_str(text));
}

static void fill_row(struct pst_target_row *row, const struct pst_known *known)
{
    const struct pst_facts *facts = known->facts;
    char version[32], reason_buffer[64];
    const char *reason;
    const char *state = pst_known_state(known, &reason, reason_buffer, sizeof(reason_buffer));
    row->id = known->id;
    row->pid = facts->pid;
    row->parent = facts->ppid;
    row->start_ticks = facts->start_ticks;
    row->service = known->after ? text_of(pst_labels_get(known->after, "service_name")) : NULL;
    row->version =
        pst_str_dup(pst_str(pst_version_text(facts->runtime.hexversion, version, sizeof(version))));
    if (facts->second.hexversion)
        row->second_version = pst_str_dup(
            pst_str(pst_version_text(facts->second.hexversion, version, sizeof(version))));
    row->build = build_of(facts, known->last.jit);
    row->exe = text_of(facts->exe);
    row->command = command_of(facts);
    row->container = text_of(facts->container_id);
    row->state = pst_str_dup(pst_str(state));
    row->reason = pst_str_dup(pst_str(reason));
    row->rate_hz = known->last.achieved_hz;
    row->threads = known->last.threads;
    row->before = known->before ? pst_meta_ref(known->before) : NULL;
    row->why = known->why ? pst_str_dup(pst_str(known->why)) : NULL;
    row->after = known->after ? pst_labels_copy(known->after) : NULL;
    row->samples = known->samples;
    row->torn = known->torn;
    row->failed = known->failed;
    row->trimmed = known->trimmed;
    row->retried = known->retried;
    row->late = known->late;
    row->last_sample_ns = known->last_sample_ns;
    if (known->last.duration_ns > 0)
        row->cpu_ratio = (double)known->last.cpu_ns / (double)known->last.duration_ns;
}

/* What is gone comes last: whoever looks a pid up meets the process that has it now. */
static void fill_rows(struct pst_target_snapshot *snapshot, struct pst_known_table *table)
{
    size_t at = 0;
    for (int gone = 0; gone <= 1; gone++) {
        for (size_t i = 0; i < pst_known_count(table); i++) {
            const struct pst_known *known = pst_known_at(table, i);
            if (known->gone == (gone == 1))
                fill_row(&snapshot->rows[at++], known);
        }
    }
}

/* Why the agent is not ready, in words; empty when it is. */
static void judge(struct pst_daemon *daemon, uint64_t now_ns, struct pst_buf *reason)
{
    uint64_t patience_ns = UNREAD_WINDOWS * daemon->config->sampling.window_ns;
    if (daemon->roles_down[PST_ROLE_SCAN])
        (void)pst_buf_puts(reason, "the scan reader is not running\n");
    if (daemon->roles_down[PST_ROLE_SAMPLE])
        (void)pst_buf_puts(reason, "the sample reader is not running\n");
    if (daemon->scans == 0)
        (void)pst_buf_puts(reason, "the first scan has not ended\n");
    for (size_t i = 0; daemon->config->sampling.enabled && i < pst_known_count(daemon->known);
         i++) {
        const struct pst_known *known = pst_known_at(daemon->known, i);
        uint64_t since = known->last_sample_mono_ns ? known->last_sample_mono_ns : known->seen_ns;
        if (!pst_known_wanted(known) || now_ns - since < patience_ns)
            continue;
        (void)pst_buf_printf(reason, "pid %d is readable but gave no sample for %d windows (%s)\n",
                             known->facts->pid, UNREAD_WINDOWS,
                             pst_verdict_word(known->last.verdict));
        if (reason->len > 4096)
            break;
    }
}

static void count_states(struct pst_daemon *daemon)
{
    pst_metric_clear(PST_METRIC_TARGETS);
    pst_metric_set(PST_METRIC_TARGETS, "active", "", 0);
    for (size_t i = 0; i < pst_known_count(daemon->known); i++) {
        char buffer[64];
        const char *reason;
        const char *state =
            pst_known_state(pst_known_at(daemon->known, i), &reason, buffer, sizeof(buffer));
        if (strcmp(state, "gone") != 0)
            pst_metric_add(PST_METRIC_TARGETS, state, reason, 1);
    }
}

void pst_daemon_publish(struct pst_daemon *daemon, uint64_t now_ns)
{
    pst_known_expire(daemon->known, now_ns, KEEP_GONE_S * PST_NS_PER_S);
    uint64_t hour = pst_naming_hour(pst_clock_realtime_ns());
    daemon->plan_due = daemon->plan_due || daemon->share_hour != hour;
    daemon->share_hour = hour;
    count_states(daemon);
    size_t count = pst_known_count(daemon->known);
    struct pst_target_snapshot *snapshot = pst_target_snapshot_new(count);
    if (snapshot) {
        snapshot->taken_ns = (int64_t)pst_clock_realtime_ns();
        fill_rows(snapshot, daemon->known);
    }
    struct pst_buf reason;
    pst_buf_init(&reason, 8192);
    judge(daemon, now_ns, &reason);

    pthread_mutex_lock(&daemon->lock);
    struct pst_target_snapshot *old = daemon->snapshot;
    if (snapshot)
        daemon->snapshot = snapshot;
    struct pst_buf old_reason = daemon->ready_reason;
    daemon->ready = reason.len == 0;
    daemon->ready_reason = reason;
    pthread_mutex_unlock(&daemon->lock);
    pst_buf_done(&old_reason);
    if (snapshot)
        pst_target_snapshot_unref(old);
}
