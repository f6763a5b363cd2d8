/* Attaches the walker to a process, found as the commands find it. */
#ifndef PST_TESTS_WALKER_ATTACH_H
#define PST_TESTS_WALKER_ATTACH_H

#include "python/python.h"
#include "target/procref.h"

struct attached {
    struct pst_procref ref;
    struct pst_memory *memory;
    struct pst_runtime runtime;
    struct pst_python *python;
};

/* Prints what fails and ends the program with 1. Waits up to 10 s for the interpreter to be up. */
void attach(pid_t pid, struct attached *ret);
void detach(struct attached *attached);

#endif
