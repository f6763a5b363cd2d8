/* What the daemon knows of each target: facts from the scan reader, windows from the sample
 * reader, labels from the rules. One thread. */
#ifndef PST_PIPELINE_KNOWN_H
#define PST_PIPELINE_KNOWN_H

#include "labels/metadata.h"
#include "profile/labels.h"
#include "sampler/sampler.h"
#include "scan/facts.h"

struct pst_known {
    uint64_t id;
    struct pst_facts *facts;
    struct pst_engines engines; /* what its labels were made from */
    struct pst_meta *before;    /* every label that rules may use */
    struct pst_labels *after;   /* the series labels; NULL: nothing of it is kept */
    char *why;                  /* which source and which rule gave each label */
    const char *dropped;        /* why nothing of it is sampled, by its labels: a constant word */
    const char *resting;        /* the same by the agent's settings: disabled, share, budget */
    double hz;                  /* its own rate; 0: as configured */
    unsigned modes;             /* its own modes, bits by enum pst_mode; 0: as configured */
    bool waiting;               /* for what Kubernetes says of it: its windows are held */
    bool stalled;               /* its memory did not answer: never read again */
    bool refused;               /* too many readers are stuck in targets of its cgroup */
    bool gone;                  /* ended; kept for its last window */
    uint64_t gone_ns;           /* monotonic */
    uint64_t seen_ns;           /* monotonic: first sight */

    /* From its windows. */
    bool has_window;
    struct pst_sampler_window last;
    uint64_t samples, torn, failed, trimmed, retried, late;
    int64_t last_sample_ns;       /* realtime; 0: none */
    uint64_t last_sample_mono_ns; /* monotonic; 0: none */
    uint64_t cpu_ns;
    uint64_t unseen_told_ns; /* of cpu_ns, what pst_known_unseen_ns has told */
};

struct pst_known_table;

struct pst_known_table *pst_known_new(void);
struct pst_known_table *pst_known_free(struct pst_known_table *table);

/* Finds or makes the entry and takes a copy of the facts. 0, -ENOMEM, -ENOSPC. */
int pst_known_put(struct pst_known_table *table, const struct pst_facts *facts, uint64_t now_ns,
                  struct pst_known **ret);
/* NULL when unknown. Valid until removed. */
struct pst_known *pst_known_get(struct pst_known_table *table, uint64_t id);
/* Takes over (references and all) what engines say of its container now. What one has said stays
 * when it says nothing more: its table forgets, a target that lives does not. True: labels made
 * before may come out otherwise. */
bool pst_known_engines(struct pst_known *known, struct pst_engines *engines, bool waiting);
/* Takes ownership of labels and why (any may be NULL). */
void pst_known_set_labels(struct pst_known *known, struct pst_meta *before,
                          struct pst_labels *after, char *why);
/* Adds a window's counters. */
void pst_known_window(struct pst_known *known, const struct pst_sampler_window *window,
                      uint64_t now_ns);
/* CPU of a target that has ended without a look at it, as far as it was not told before: its end is
 * heard of twice, in any order. */
uint64_t pst_known_unseen_ns(struct pst_known *known);
/* What a total of another process has grown by; one that shrank has started again from zero. */
uint64_t pst_known_growth(uint64_t *last, uint64_t total);
/* Order of the plan: targets without a window first, since nothing is known of them, then by CPU
 * use. For qsort over pst_known pointers. */
int pst_known_by_need(const void *a, const void *b);
/* Forgets targets that ended longer than keep_ns ago. */
void pst_known_expire(struct pst_known_table *table, uint64_t now_ns, uint64_t keep_ns);
size_t pst_known_count(const struct pst_known_table *table);
struct pst_known *pst_known_at(struct pst_known_table *table, size_t index);

/* For people and metrics: "active", "waiting", "skipped", "failed" or "gone", and the reason word
 * ("" when active). */
const char *pst_known_state(const struct pst_known *known, const char **ret_reason,
                            char *reason_buffer, size_t size);
/* True when the sample reader should be asked to read it. */
bool pst_known_readable(const struct pst_known *known);
/* Readable, and neither rules nor settings keep it from being sampled. */
bool pst_known_wanted(const struct pst_known *known);

#endif
