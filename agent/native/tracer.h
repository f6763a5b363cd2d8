/* The thread that traces. The kernel binds a traced thread to the thread that traces it, and one
 * that does not stop in time can only be let go by that one's end: so tracing has a thread of its
 * own, which may end and be replaced. */
#ifndef PST_NATIVE_TRACER_H
#define PST_NATIVE_TRACER_H

#include "native/native.h"

/* Runs job(context) in the tracing thread and waits for it. When it answers false, that thread ends
 * before this returns, and everything that it traces goes free. 0 or -errno: not run. */
int pst_tracer_run(struct pst_tracer *tracer, bool (*job)(void *context), void *context);

/* Names of functions, and files, that all its targets share. */
struct pst_functions *pst_tracer_functions(struct pst_tracer *tracer);
struct pst_elves *pst_tracer_elves(struct pst_tracer *tracer);

void pst_tracer_count_stop(struct pst_tracer *tracer, bool running, uint64_t ns);
void pst_tracer_count(struct pst_tracer *tracer, enum pst_native_outcome outcome);
void pst_tracer_name(struct pst_tracer *tracer, const char *name);

#endif
