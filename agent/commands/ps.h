/* One process as `ps` sees it, shared by the files that print it. */
#ifndef PST_COMMANDS_PS_H
#define PST_COMMANDS_PS_H

#include "pipeline/naming.h"
#include "scan/facts.h"

/* Facts, what attaching and the rules said, and the names made of them. */
struct pst_ps_row {
    const struct pst_facts *facts;
    const char *state, *reason;
    bool jit; /* code that CPython's JIT compiled is on its stacks */
    struct pst_naming naming;
};

/* Name of the service as it is sent, else as it was found. */
struct pst_str pst_ps_service(const struct pst_ps_row *row);
/* What a reason's word means; "" when nobody explains it. */
const char *pst_ps_meaning(const char *word);
/* "shared,free-threaded" */
void pst_ps_build(const struct pst_ps_row *row, char *dst, size_t size);
/* Escaped for a terminal; "-" for nothing. */
void pst_ps_put(struct pst_buf *out, struct pst_str text);

/* An exit code. */
int pst_ps_print_json(const struct pst_ps_row *rows, size_t count, bool as_list);
void pst_ps_print_why(const struct pst_ps_row *row);

#endif
