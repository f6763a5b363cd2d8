/* The daemon's state, owned by its loop; what other threads see of it are the snapshots. Shared by
 * the daemon_*.c files only. */
#ifndef PST_ROLES_DAEMON_H
#define PST_ROLES_DAEMON_H

#include <pthread.h>
#include <stdatomic.h>

#include "base/map.h"
#include "config/config.h"
#include "config/watch.h"
#include "exporters/runner.h"
#include "labels/metadata.h"
#include "pipeline/budget.h"
#include "pipeline/hold.h"
#include "pipeline/known.h"
#include "pipeline/merge.h"
#include "refusals.h"
#include "roles/link.h"
#include "roles/roles.h"
#include "rules/rules.h"
#include "server/server.h"
#include "store/store.h"

/* What `pystrobe agent` handed over; agent/commands/agent.c writes it as plain words. */
struct pst_daemon_args {
    const char *config_file; /* NULL: none */
    const char *set[64];     /* KEY=VALUE */
    size_t set_count;
    const char *file_directory; /* an extra file exporter; NULL: none */
    uint64_t for_ns;            /* end after this long; 0: run on */
    bool summary;               /* tables for a person on stdout */
};

struct pst_summary_state;

struct pst_daemon {
    struct pst_daemon_args args;
    struct pst_config *config;
    struct pst_rules *rules;        /* of config */
    struct pst_config_watch *watch; /* NULL: out of memory at start */
    struct pst_known_table *known;
    struct pst_merge *merge;
    struct pst_hold *hold;
    struct pst_metadata *metadata;
    struct pst_exporters *exporters;
    struct pst_store *store; /* NULL when it could not be opened */
    struct pst_server *server;
    struct pst_summary_state *summary; /* NULL unless asked for */
    struct pst_budget budget;

    int epoll_fd, signal_fd, timer_fd, wake_fd;
    uint64_t start_ns;
    bool ending;
    uint64_t killed_at_ns; /* CLOCK_MONOTONIC, once the supervisor has said it; 0 before */
    uint64_t watched_ns;   /* when the files were last compared */
    bool plan_due;         /* the plan changed and is to be sent */
    uint64_t share_hour;   /* whose draw the plan follows */
    uint64_t plan_generation, shrunk_generation; /* of the plan that shrank caches last */
    bool roles_down[PST_ROLE_COUNT];
    struct pst_refusals refusals;
    uint64_t scans;         /* full scans the scan reader has told of */
    bool reads_windows;     /* from the link: not before it is known whose they are */
    uint64_t windows_ended; /* sequences the sample reader has told of */
    uint64_t
        flush_at_ns; /* last windows of ended targets wait for the others until then; 0: none */
    uint64_t flushed_ns;
    uint64_t told_overruns, told_unsent; /* totals of the sample reader that runs now */

    /* CPU and memory of the other roles as they report it, for the budget. */
    uint64_t role_cpu_ns[PST_ROLE_COUNT], role_memory_bytes[PST_ROLE_COUNT];
    uint64_t measured_ns, measured_cpu_ns[PST_ROLE_COUNT], used_cpu_ns;
    double overhead_ratio;
    bool caches_settled; /* what the sample reader last told is from after they shrank last */

    /* Shared with the server's threads. */
    pthread_mutex_t lock;
    pthread_cond_t reloaded;
    struct pst_target_snapshot *snapshot;
    struct pst_buf ready_reason;
    bool ready;
    unsigned reload_asked, reload_done;
    struct pst_error reload_error;
    int reload_result;
    _Atomic uint64_t heartbeat_ns;
};

/* daemon_targets.c: facts and windows in, plan and snapshot out. */
void pst_daemon_facts(struct pst_daemon *daemon, const struct pst_link_facts *message);
void pst_daemon_window(struct pst_daemon *daemon, const struct pst_link_up *up,
                       void *const *bodies);
void pst_daemon_stalled(struct pst_daemon *daemon, const struct pst_control *record);
void pst_daemon_relabel(struct pst_daemon *daemon);
/* Labels anew where engines say something new of the container, or the wait for that has ended. */
void pst_daemon_engines(struct pst_daemon *daemon);
/* Held windows whose labels are there, or all at the end. */
void pst_daemon_release(struct pst_daemon *daemon, bool all);
/* 0, or -EAGAIN when the link has no room: to be tried again. */
int pst_daemon_send_plan(struct pst_daemon *daemon);
int pst_daemon_send_discovery(struct pst_daemon *daemon, bool resend);
void pst_daemon_publish(struct pst_daemon *daemon, uint64_t now_ns);

/* daemon_budget.c: memory at any time, told_generation being that of the plan that the sample
 * reader followed when it told its own; CPU and what else there is at the end of a window. */
void pst_daemon_measure_memory(struct pst_daemon *daemon, uint64_t told_generation);
void pst_daemon_measure(struct pst_daemon *daemon, uint64_t now_ns);
void pst_daemon_show_budget(const struct pst_daemon *daemon);

/* daemon_server.c */
int pst_daemon_start_server(struct pst_daemon *daemon, struct pst_error *error);

/* daemon_reload.c */
void pst_daemon_log_setup(const struct pst_config *config);
/* Tells the supervisor whether threads may be stopped, and says so. */
void pst_daemon_tell_native(const struct pst_daemon *daemon);
int pst_daemon_load(const struct pst_daemon_args *args, struct pst_config **ret,
                    struct pst_error *error);
/* Swaps the configuration whole or keeps the old one. */
int pst_daemon_reload(struct pst_daemon *daemon, struct pst_error *error);

/* daemon_summary.c */
struct pst_summary_state *pst_summary_state_new(void);
struct pst_summary_state *pst_summary_state_free(struct pst_summary_state *state);
void pst_summary_state_item(struct pst_summary_state *state, const struct pst_item *item);
/* Prints when it is time to (or always, with last). */
void pst_daemon_summary(struct pst_daemon *daemon, bool last);

#endif
