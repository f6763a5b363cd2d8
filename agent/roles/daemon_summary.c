/* Tables for a person in front of a terminal: what was found, where the time goes. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/io.h"
#include "base/limits.h"
#include "daemon.h"
#include "profile/pprof.h"
#include "render/summary.h"

enum {
    MAX_SERVICES = 64,
    MAX_PROFILE_BYTES = 8 << 20, /* one service's totals; what comes later is left out */
};
static const uint64_t print_every_ns = 15 * PST_NS_PER_S;

struct service {
    char name[128];
    char versions[128];
    unsigned processes;
    struct pst_profile *modes[PST_MODE_COUNT];
};

struct pst_summary_state {
    struct service services[MAX_SERVICES];
    size_t count;
    uint64_t printed_ns, items, items_printed;
};

struct pst_summary_state *pst_summary_state_new(void)
{
    return calloc(1, sizeof(struct pst_summary_state));
}

struct pst_summary_state *pst_summary_state_free(struct pst_summary_state *state)
{
    for (size_t i = 0; state && i < state->count; i++)
        for (int mode = 0; mode < PST_MODE_COUNT; mode++)
            pst_profile_free(state->services[i].modes[mode]);
    free(state);
    return NULL;
}

static struct service *service_of(struct pst_summary_state *state, struct pst_str name)
{
    for (size_t i = 0; i < state->count; i++)
        if (pst_str_eq(pst_str(state->services[i].name), name))
            return &state->services[i];
    if (state->count == MAX_SERVICES || name.len >= sizeof(state->services[0].name))
        return NULL;
    struct service *service = &state->services[state->count++];
    memcpy(service->name, name.ptr, name.len);
    return service;
}

static bool drop_labels(void *context, struct pst_str key)
{
    return false;
}

void pst_summary_state_item(struct pst_summary_state *state, const struct pst_item *item)
{
    struct service *service = service_of(state, pst_labels_get(item->labels, "service_name"));
    struct pst_profile *decoded;
    if (!service || pst_pprof_decode(item->body, item->body_bytes, &decoded) < 0)
        return;
    state->items++;
    struct pst_profile **total = &service->modes[item->mode];
    if (!*total)
        *total = pst_profile_new(item->mode);
    if (*total && pst_profile_bytes(*total) < MAX_PROFILE_BYTES)
        (void)pst_profile_merge(*total, decoded, drop_labels, NULL);
    pst_profile_free(decoded);
}

static void add_version(struct service *service, const char *version)
{
    size_t len = strlen(service->versions);
    if (!strstr(service->versions, version))
        (void)snprintf(service->versions + len, sizeof(service->versions) - len, "%s%s",
                       len ? ", " : "", version);
}

/* Processes and versions as they are known now. */
static void count_processes(struct pst_daemon *daemon, struct pst_summary_totals *totals)
{
    struct pst_summary_state *state = daemon->summary;
    for (size_t i = 0; i < state->count; i++)
        state->services[i].processes = 0;
    for (size_t i = 0; i < pst_known_count(daemon->known); i++) {
        const struct pst_known *known = pst_known_at(daemon->known, i);
        totals->samples += (int64_t)known->samples;
        totals->torn += (int64_t)known->torn;
        if (known->gone)
            continue;
        if (pst_known_readable(known))
            totals->processes++;
        else
            totals->unreadable++;
        if (!known->after)
            continue;
        struct service *service = service_of(state, pst_labels_get(known->after, "service_name"));
        char version[32];
        if (!service)
            continue;
        service->processes++;
        add_version(service,
                    pst_version_text(known->facts->runtime.hexversion, version, sizeof(version)));
        if (known->facts->second.hexversion)
            add_version(service, pst_version_text(known->facts->second.hexversion, version,
                                                  sizeof(version)));
        if (known->last.achieved_hz > totals->hz)
            totals->hz = known->last.achieved_hz;
    }
}

static unsigned terminal_width(void)
{
    struct winsize size;
    if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col >= 40)
        return size.ws_col;
    return 100;
}

static void print_summary(struct pst_daemon *daemon, uint64_t now_ns)
{
    struct pst_summary_state *state = daemon->summary;
    struct pst_summary_totals totals = {
        .elapsed_ns = (int64_t)(now_ns - daemon->start_ns),
        .page = daemon->server ? pst_server_address(daemon->server) : NULL,
    };
    count_processes(daemon, &totals);
    struct pst_summary_service rows[MAX_SERVICES];
    size_t count = 0;
    for (size_t i = 0; i < state->count; i++) {
        const struct service *service = &state->services[i];
        if (service->modes[PST_MODE_CPU] || service->modes[PST_MODE_WALL] || service->processes)
            rows[count++] = (struct pst_summary_service){
                .name = pst_str(service->name),
                .python = pst_str(service->versions),
                .processes = service->processes,
                .cpu = service->modes[PST_MODE_CPU],
                .wall = service->modes[PST_MODE_WALL],
            };
    }
    struct pst_summary_options options = {
        .width = terminal_width(),
        .color = isatty(STDOUT_FILENO) && !getenv("NO_COLOR"),
    };
    struct pst_buf text;
    pst_buf_init(&text, 1 << 20);
    if (pst_summary_write(rows, count, &totals, &options, &text) == 0 && text.data)
        (void)pst_io_write_all(STDOUT_FILENO, text.data, text.len);
    pst_buf_done(&text);
}

void pst_daemon_summary(struct pst_daemon *daemon, bool last)
{
    struct pst_summary_state *state = daemon->summary;
    uint64_t now_ns = pst_clock_monotonic_ns();
    bool first = state->printed_ns == 0;
    bool news = state->items > state->items_printed;
    if (!last && (!news || (!first && now_ns - state->printed_ns < print_every_ns)))
        return;
    print_summary(daemon, now_ns);
    state->printed_ns = now_ns;
    state->items_printed = state->items;
}
