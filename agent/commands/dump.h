/* `dump`: one snapshot of a process or a core file, and how it is printed. */
#ifndef PST_COMMANDS_DUMP_H
#define PST_COMMANDS_DUMP_H

#include <stdio.h>

#include "base/buf.h"
#include "base/error.h"
#include "dump_native.h"
#include "options.h"
#include "python/python.h"
#include "python/values.h"
#include "scan/facts.h"
#include "target/tids.h"

struct pst_redact;

struct pst_dump_args {
    struct pst_option_pids pids;
    struct pst_option_strings redact;
    const char *core;
    unsigned locals;
    bool json, subprocesses, blocking, nonblocking, native, full_filenames, class_names;
};

/* Everything is about this many processes at most: those named and, with --subprocesses, theirs. */
struct pst_dump_process {
    pid_t pid, ppid;
    bool child; /* not named, but a descendant of one that was */
};

struct pst_dump {
    const struct pst_dump_args *args;
    const struct pst_facts *facts;
    struct pst_python *python;
    struct pst_py_sample sample;
    struct pst_dump_native *native;     /* NULL: not asked for */
    struct pst_tids *tids;              /* NULL when the task directory cannot be read */
    struct pst_py_variables *variables; /* one for each frame of the sample; NULL: not asked for */
    struct pst_packages *packages;      /* NULL: files are short by their text */
    const char *before;                 /* printed first; may be NULL */
    pid_t parent;                       /* shown above the threads; 0: not asked for */
    bool live;                          /* false: a core file, whose threads have no state */
};

/* Around the reading of a live process: `hold` returns when it stands still (or cannot: then it
 * says so and the answer is not 0), `let_go` when all is read. NULL functions: nothing is stopped.
 */
struct pst_dump_hold {
    int (*hold)(void *context);
    void (*let_go)(void *context);
    void *context;
    _Atomic uint64_t *progress; /* moves while work goes on; may be NULL */
};

/* dump_process.c: finds, reads and prints one live process. The exit code. */
int pst_dump_process(const struct pst_dump_args *args, const struct pst_buf *sudo_line,
                     const struct pst_dump_process *process, const struct pst_dump_hold *hold);
/* Attaches, samples, reads variables and prints, for live processes and core files alike; dump has
 * args, facts, parent and live. NOT_READY, GONE, DENIED and the like: nothing was printed. */
enum pst_verdict pst_dump_runtime(struct pst_dump *dump, struct pst_memory *memory,
                                  const struct pst_dump_hold *hold, int *ret_code);

/* dump_apart.c: does all that for each process in a child of ours that can be left behind. */
int pst_dump_apart(const struct pst_dump_args *args, const struct pst_buf *sudo_line,
                   const struct pst_dump_process *processes, size_t count);

/* dump_kin.c: the processes to look at, those named first, each followed by its descendants. The
 * caller's to free; count or -errno. */
int pst_dump_kin(const struct pst_dump_args *args, struct pst_dump_process **ret);

/* dump_core.c: --core. The exit code. */
int pst_dump_core(const struct pst_dump_args *args);

/* dump_redact.c: which names hide their values. NULL after an error was printed. */
struct pst_redact *pst_redact_new(const struct pst_option_strings *patterns);
struct pst_redact *pst_redact_free(struct pst_redact *redact);
/* As pst_py_value_options.secret. */
bool pst_redact_name(void *redact, struct pst_str name);

/* dump_text.c: py-spy's lines, innermost frame first. */
void pst_dump_text(FILE *out, const struct pst_dump *dump);
/* dump_json.c: the elements of py-spy's array of threads, without its brackets. PST_EXIT_OK or
 * PST_EXIT_FAILED. */
int pst_dump_json(FILE *out, const struct pst_dump *dump);

/* The thread's number in our own pid namespace and whether it was running or runnable; tid 0 when
 * it is not known. */
struct pst_dump_task {
    pid_t tid;
    bool active;
};
struct pst_dump_task pst_dump_task(const struct pst_dump *dump, const struct pst_py_thread *thread);

/* What is left of a file name without the folders that its readers know. A view of the name. */
struct pst_str pst_dump_short_file(const struct pst_dump *dump, struct pst_str file);
/* The command line of a process, secrets masked, into out (which is reset). */
void pst_dump_command(pid_t pid, struct pst_buf *out);

#endif
