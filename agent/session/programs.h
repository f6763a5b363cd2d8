/* Every program that was seen running a Python, with the command line that is shown for it. Any
 * thread. */
#ifndef PST_SESSION_PROGRAMS_H
#define PST_SESSION_PROGRAMS_H

#include "scan/facts.h"

struct pst_programs;

/* NULL when out of memory. */
struct pst_programs *pst_programs_new(void);
struct pst_programs *pst_programs_free(struct pst_programs *programs);

/* Past PST_MAX_PROGRAMS they are not remembered. */
void pst_programs_add(struct pst_programs *programs, const struct pst_facts *facts);
/* True when this process ran another Python before. */
bool pst_programs_earlier(struct pst_programs *programs, const struct pst_facts *facts);
/* Masked command line of the latest program of the process; lives as long as programs. */
bool pst_programs_command(struct pst_programs *programs, pid_t pid, struct pst_str *ret);
/* Its nearest ancestor that was seen running a Python before it; 0: none. */
pid_t pst_programs_parent(struct pst_programs *programs, pid_t pid);

#endif
