/* C, C++ and Cython frames of a thread, merged with its Python frames. The only part that attaches
 * with ptrace, and only because a person asked for it: one thread at a time is stopped, its
 * registers, a bounded piece of its stack and its Python frames are copied, it runs on, and the
 * copy is unwound afterwards. What the target's files say is hostile: it costs a name, never the
 * sample.
 */
#ifndef PST_NATIVE_NATIVE_H
#define PST_NATIVE_NATIVE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/str.h"
#include "python/python.h"
#include "target/memory.h"
#include "target/runtime.h"

enum { PST_RESULT_REGISTER = 80 }; /* x86-64: where PTRACE_POKEUSER has rax */

#define PST_NATIVE_OUTCOME(id, word, meaning) PST_NATIVE_##id,
enum pst_native_outcome {
#include "native/outcome.def"
    PST_NATIVE_OUTCOME_COUNT
};
#undef PST_NATIVE_OUTCOME
const char *pst_native_outcome_word(enum pst_native_outcome outcome);
const char *pst_native_outcome_meaning(enum pst_native_outcome outcome);

/* What all targets of one command share: the thread that traces, and what its stops cost. Used by
 * one thread; the numbers may be read by another one after that has ended. */
struct pst_tracer;
struct pst_tracer *pst_tracer_new(void);
struct pst_tracer *pst_tracer_free(struct pst_tracer *tracer);

struct pst_native_stats {
    uint64_t stops;
    uint64_t outcomes[PST_NATIVE_OUTCOME_COUNT];
    /* Median length of a stop, from asking for it to letting go; 0 without any. */
    uint64_t running_ns, sleeping_ns;
    uint64_t longest_ns;
    char tracer[64]; /* "NAME (PID)" of who traced a target last; empty: nobody */
};
void pst_tracer_stats(const struct pst_tracer *tracer, struct pst_native_stats *ret);

struct pst_native;
/* One target, or what a core file has of one (pid 0). All borrowed: they outlive the object. NULL
 * when out of memory or when libelf and this program do not fit together. */
struct pst_native *pst_native_new(struct pst_tracer *tracer, pid_t pid, struct pst_memory *memory,
                                  struct pst_python *python, const struct pst_runtime *runtime);
struct pst_native *pst_native_free(struct pst_native *native);

enum pst_native_kind {
    PST_NATIVE_PYTHON, /* id: code of the target's pst_python */
    PST_NATIVE_C,      /* id: symbol */
    PST_NATIVE_MARK,   /* id: enum pst_native_mark */
};
enum pst_native_mark {
    PST_MARK_TRUNCATED, /* the stack is longer than its copy, or has too many frames */
    PST_MARK_JIT,       /* code without a file: nothing tells how to unwind it */
    PST_MARK_LOST,      /* a file without unwind tables, or a stack that contradicts them */
    PST_MARK_MISMATCH,  /* native frames do not fit Python's: from here on Python's alone */
    PST_MARK_SWITCHED,  /* a coroutine's stack ends: what called it lies on another */
    PST_MARK_COUNT
};
/* As a frame: "[truncated]" and so on. */
const char *pst_native_mark_text(enum pst_native_mark mark);

struct pst_native_frame {
    uint8_t kind;
    uint32_t id;
    int32_t line; /* 0: unknown */
};

struct pst_native_sample {
    enum pst_native_outcome outcome;
    enum pst_verdict verdict; /* of the Python part */
    bool has_python;          /* the thread has a thread state: py holds its row */
    struct pst_py_thread py;
    /* Leaf first. Without native frames (see outcome) Python's alone. Valid until the next call. */
    const struct pst_native_frame *frames;
    size_t count;
};

/* Between rounds: gives up names that are no longer needed. Symbol ids from before mean nothing
 * afterwards. */
void pst_native_settle(struct pst_native *native);
/* Samples one thread. tid as our pid namespace numbers it, own_tid as the target's does; running:
 * on a CPU or waiting for one, for the statistics. */
void pst_native_sample(struct pst_native *native, pid_t tid, pid_t own_tid, bool running,
                       struct pst_native_sample *ret);

/* The same of a thread of a core file: nothing is stopped. */
void pst_native_sample_core(struct pst_native *native, const struct pst_py_thread *thread,
                            struct pst_native_sample *ret);

struct pst_native_symbol {
    struct pst_str name;        /* demangled */
    struct pst_str system_name; /* as the symbol table has it */
    struct pst_str file;        /* source file where debug information names it, else the binary */
    struct pst_str binary;      /* path as the target sees it */
    struct pst_str build_id;    /* lower-case hex; empty without one */
    uint64_t address;           /* of the instruction, as linked */
    int32_t line;               /* of the instruction; 0 unknown */
};
/* Texts live as long as the object. */
void pst_native_symbol(const struct pst_native *native, uint32_t id, struct pst_native_symbol *ret);

#endif
