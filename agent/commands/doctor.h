/* What the parts of `pystrobe doctor` share: the report. */
#ifndef PST_COMMANDS_DOCTOR_H
#define PST_COMMANDS_DOCTOR_H

#include <stdbool.h>
#include <sys/types.h>

#include "config/config.h"
#include "target/rights.h"

enum pst_check {
    PST_CHECK_OK,
    PST_CHECK_NOTE,   /* works, with a limit that should be known */
    PST_CHECK_FAILED, /* exit 1 */
    PST_CHECK_DENIED, /* exit 3 */
};

struct pst_report {
    bool failed, denied;
    struct json_t *rows; /* for scripts: gathered instead of printed; NULL: for people */
};

/* One line, or row: verdict, name, text and, when not NULL, the remedy. */
void pst_report(struct pst_report *report, enum pst_check verdict, const char *name,
                const char *remedy, const char *format, ...) __attribute__((format(printf, 5, 6)));

/* The machine's lines of the report. */
void pst_rights_report(struct pst_report *report, const struct pst_rights *rights);
/* doctor_target.c: finds the runtime of one process, reads it, walks its stacks. */
void pst_doctor_target(struct pst_report *report, const struct pst_rights *rights, pid_t pid);
/* doctor_target.c: how many Python processes there are and can be read. */
void pst_doctor_targets(struct pst_report *report, const struct pst_rights *rights);
/* doctor_outside.c: folders, exporters, the agent's endpoint. */
void pst_doctor_outside(struct pst_report *report, const struct pst_config *config);
/* doctor_outside.c: GET /readyz of the running agent: the exit code, one line printed. */
int pst_doctor_ready(const struct pst_config *config);

#endif
