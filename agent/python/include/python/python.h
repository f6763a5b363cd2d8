/* The walker: one CPython runtime of one process, read from outside without stopping it.
 * Attach validates every layout once; sampling then runs bare. One thread per object. */
#ifndef PST_PYTHON_PYTHON_H
#define PST_PYTHON_PYTHON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/str.h"
#include "target/memory.h"
#include "target/runtime.h"

#define PST_VERDICT(id, word, meaning) PST_V_##id,
enum pst_verdict {
#include "python/verdict.def"
    PST_VERDICT_COUNT
};
#undef PST_VERDICT
const char *pst_verdict_word(enum pst_verdict verdict);
const char *pst_verdict_meaning(enum pst_verdict verdict);

struct pst_buf;
struct pst_python;

/* memory is borrowed and must outlive the object. PST_V_OK or why not. */
enum pst_verdict pst_python_attach(struct pst_memory *memory, const struct pst_runtime *runtime,
                                   struct pst_python **ret);
struct pst_python *pst_python_free(struct pst_python *python);
/* A second runtime in the same process: its threads and codes appear among those of the first.
 * Right after attach, at most once. When it cannot be attached to, the object stays as it was. */
enum pst_verdict pst_python_attach_second(struct pst_python *python,
                                          const struct pst_runtime *runtime);
/* What one sample is read into: a megabyte and a half of address space, of which only what a
 * sample needs costs memory. Objects used by one thread may share one; without, each has its own.
 */
struct pst_py_scratch;
struct pst_py_scratch *pst_py_scratch_new(void);
struct pst_py_scratch *pst_py_scratch_free(struct pst_py_scratch *scratch);
/* Borrowed: must outlive python. Call before the first sample. */
void pst_python_use_scratch(struct pst_python *python, struct pst_py_scratch *scratch);

/* Whether methods are to be called CLASS.NAME on versions without qualified names (before 3.11):
 * costs a read more in each sample. Off until said. */
void pst_python_name_classes(struct pst_python *python, bool wanted);

/* exec, or the runtime was finalized and started again: forgets every cache, keeps counters. */
void pst_python_reset(struct pst_python *python);

/* Forgets what is known of code objects, to be read anew; public ids begin anew as well. Between
 * two samples. */
void pst_python_forget_codes(struct pst_python *python);
/* What that takes, about. */
size_t pst_python_code_bytes(const struct pst_python *python);

/* A frame: an interned code object and the line being executed (0: CPython answers "none"). */
struct pst_py_frame {
    uint32_t code;
    int32_t line;
    bool entry; /* a C call of the evaluation loop began with it: frames nearer the leaf, up to the
                 * next such one, run in the same call */
    uint64_t shim; /* 3.12+, of an entry: where in that call's C frame its shim lies; else 0 */
};

struct pst_py_thread {
    uint64_t tstate;      /* its address */
    uint64_t interpreter; /* its id */
    uint64_t thread_id;   /* pthread_t: threading.get_ident() */
    pid_t tid;            /* OS thread id as the target's own pid namespace numbers it; 0 unknown */
    enum pst_verdict verdict;
    bool has_gil;         /* holds its interpreter's GIL; nobody does where there is none */
    bool attached;        /* free-threaded: runs Python, or may at once */
    bool truncated;       /* depth bound reached: frames nearer the root were not read */
    bool trimmed;         /* leaf frames that changed between the copies were cut */
    uint32_t first_frame; /* into pst_py_sample.frames, leaf first */
    uint32_t frame_count; /* 0 with PST_V_OK: a thread state without Python frames */
};

struct pst_py_sample {
    const struct pst_py_thread *threads;
    size_t thread_count;
    const struct pst_py_frame *frames;
    size_t frame_count;
    uint32_t retries, trimmed; /* in this sample */
};

/* Reads every interpreter and thread. want (may be NULL: all) is asked with the OS thread id before
 * a stack is read; a thread not wanted appears with PST_V_OK, tstate, tid and no frames.
 * Arrays belong to python and live until its next call. The verdict is that of the process as a
 * whole (PST_V_OK even when single threads failed). */
enum pst_verdict pst_python_sample(struct pst_python *python,
                                   bool (*want)(void *context, pid_t tid), void *context,
                                   struct pst_py_sample *ret);

/* The same of one thread, for a caller that holds it up meanwhile: what it costs does not grow with
 * the others, of which the sample has no rows. A list of threads that changed is followed again
 * only where this thread is not found as it was known; the next pst_python_sample does in any case.
 */
enum pst_verdict pst_python_sample_thread(struct pst_python *python, pid_t tid,
                                          struct pst_py_sample *ret);

/* What a code id of this object means. Valid until reset or free. */
struct pst_py_code {
    /* co_qualname (3.11+), else co_name, after its class where that is wanted; UTF-8, bad text
     * replaced */
    struct pst_str qualname;
    struct pst_str name;     /* co_name */
    struct pst_str filename; /* co_filename */
    int32_t first_line;      /* co_firstlineno */
};
const struct pst_py_code *pst_python_code(const struct pst_python *python, uint32_t code);
uint32_t pst_python_code_count(const struct pst_python *python);

/* Name of a thread as threading.Thread knows it; false when Python has none (yet). Cached and read
 * again every 5 s. Text lives until the next call. */
bool pst_python_thread_name(struct pst_python *python, uint64_t tstate, struct pst_str *ret_name);

/* The interpreter's own os.environ value, decoded; -ENOENT when it is not there. For targets whose
 * title rewriter has overwritten their environment block. */
int pst_python_environ(struct pst_python *python, const char *name, char *dst, size_t size);
/* The arguments that the interpreter was started with, each followed by NUL, appended to out as far
 * as they fit: sys.orig_argv, before 3.10 "python" and sys.argv. -ENOENT when they are not there.
 */
int pst_python_arguments(struct pst_python *python, struct pst_buf *out);

uint32_t pst_python_hexversion(const struct pst_python *python);
bool pst_python_unverified(const struct pst_python *python);
/* Whether the layout of this version was proven on a build of it. One that was not is kept only
 * where a stack comes out whole at attach, and shown as unverified. */
bool pst_python_version_verified(const struct pst_runtime *runtime);
/* Free-threaded and without a GIL as of the last sample, or the attachment. */
bool pst_python_gil_off(const struct pst_python *python);

/* CPython's JIT: whether this version may have one; whether a code object that it compiled was on
 * the stacks of a sample. Lines of such a target are those last stored. */
bool pst_python_may_jit(const struct pst_python *python);
bool pst_python_jit(const struct pst_python *python);

/* Counters since attach. */
struct pst_py_stats {
    uint64_t stacks, retries, trimmed, truncated;
    uint64_t overlong; /* reads that took so long that they were done again */
    uint64_t code_hits, code_misses;
    uint64_t verdicts[PST_VERDICT_COUNT];
};
void pst_python_stats(const struct pst_python *python, struct pst_py_stats *ret);

/* Tests only: switches the two-copies validation off, to prove that it is what keeps stacks right.
 */
void pst_python_disable_validation(struct pst_python *python);

#endif
