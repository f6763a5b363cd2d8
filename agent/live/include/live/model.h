/* The numbers behind `top`: where the time of the last interval went, and of all since the start.
 * Knows no terminal and no process. One thread. */
#ifndef PST_LIVE_MODEL_H
#define PST_LIVE_MODEL_H

#include "render/frame.h"

struct pst_live;

enum pst_live_rows { /* what a row of the table stands for */
                     PST_LIVE_FUNCTIONS,
                     PST_LIVE_LINES,
                     PST_LIVE_THREADS,
                     PST_LIVE_PROCESSES,
                     PST_LIVE_ROWS_COUNT
};

enum pst_live_sort {
    PST_LIVE_BY_OWN_SHARE,
    PST_LIVE_BY_TOTAL_SHARE,
    PST_LIVE_BY_OWN_TIME,
    PST_LIVE_BY_TOTAL_TIME
};

enum { PST_LIVE_HISTORY = 120 }; /* intervals that gauges remember */

/* Command line of a process; false: unknown. */
typedef bool (*pst_live_command)(const void *context, int64_t pid, struct pst_str *ret);

/* frame_flags: enum pst_frame_flags of the rows' texts. NULL when out of memory. files and command
 * may be NULL; files is copied. */
struct pst_live *pst_live_new(unsigned frame_flags, const struct pst_frame_files *files,
                              pst_live_command command, const void *context);
struct pst_live *pst_live_free(struct pst_live *live);

struct pst_live_interval {
    int64_t elapsed_ns;                /* real time that passed */
    const struct pst_profile *profile; /* what the table shows; NULL: nothing */
    int64_t active_ns, gil_ns;         /* CPU time of all threads; time with a GIL held */
};

/* The interval becomes the last one and adds to the sums. 0; -ENOMEM or -ENOSPC: some rows are
 * missing, see pst_live_full. */
int pst_live_add(struct pst_live *live, const struct pst_live_interval *interval);
/* Sums begin anew; the last interval stays. */
void pst_live_reset(struct pst_live *live);

struct pst_live_gauge {
    double last;                      /* shares of elapsed time; above 1 with several threads */
    double history[PST_LIVE_HISTORY]; /* oldest first */
    size_t count;
};
struct pst_live_state {
    int64_t elapsed_ns; /* since start or reset */
    int64_t last_ns;    /* length of the last interval; 0: none yet */
    struct pst_live_gauge active, gil;
    bool full; /* rows past PST_MAX_LIVE_ROWS are left out until a reset */
};
void pst_live_state(const struct pst_live *live, struct pst_live_state *ret);

struct pst_live_row {
    struct pst_str text;      /* fit for a terminal; valid until the next add or reset */
    double own, total;        /* shares of the last interval's real time */
    int64_t own_ns, total_ns; /* since start or reset */
};
struct pst_live_query {
    enum pst_live_rows rows;
    enum pst_live_sort sort; /* descending; equal ones by the other columns, then by text */
    struct pst_str filter;   /* only rows that hold this text, in any case; empty: all */
};
struct pst_live_table {
    struct pst_live_row *rows;
    size_t count;
};
/* Rows without any time are left out. 0 or -ENOMEM. */
int pst_live_table_new(const struct pst_live *live, const struct pst_live_query *query,
                       struct pst_live_table **ret);
struct pst_live_table *pst_live_table_free(struct pst_live_table *table);

#endif
