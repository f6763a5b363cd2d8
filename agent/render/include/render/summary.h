/* The table that a person sees in the terminal: what was found and where the time goes. */
#ifndef PST_RENDER_SUMMARY_H
#define PST_RENDER_SUMMARY_H

#include "base/buf.h"
#include "profile/profile.h"

struct pst_summary_service {
    struct pst_str name;
    struct pst_str python; /* "3.11.2"; "3.11, 3.12" when mixed */
    unsigned processes;
    const struct pst_profile *cpu;  /* merged over the service; NULL: none */
    const struct pst_profile *wall; /* NULL: none */
};

struct pst_summary_options {
    unsigned width;    /* columns of the terminal; 0: 100 */
    unsigned rows;     /* functions per service; 0: 10 */
    unsigned services; /* the busiest ones; 0: 8 */
    bool color;        /* ANSI colours */
};

struct pst_summary_totals {
    int64_t elapsed_ns;  /* sampled so far */
    double hz;           /* achieved; 0: not known */
    unsigned processes;  /* sampled */
    unsigned unreadable; /* Python processes seen but not sampled */
    int64_t samples, torn;
    const char *page; /* address of the local page; NULL: none */
};

/* Appends the text: a headline, then per service (most CPU first) Python version, CPU and wall
 * side by side and its top functions with file:line. Shares of a function are of its service's
 * own cpu and wall time. 0, -ENOMEM, -EFBIG. */
int pst_summary_write(const struct pst_summary_service *services, size_t count,
                      const struct pst_summary_totals *totals,
                      const struct pst_summary_options *options, struct pst_buf *out);

#endif
