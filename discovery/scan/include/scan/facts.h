/* What discovery knows of one target: a value, complete in itself, that can be sent, kept and
 * compared. All text is the target's: any bytes, bounded, not NUL-terminated. */
#ifndef PST_SCAN_FACTS_H
#define PST_SCAN_FACTS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/str.h"
#include "target/runtime.h"

/* PST_STATE(ID, word, meaning) */
#define PST_TARGET_STATES(X)                                                                       \
    X(STARTING, "starting", "a CPython image is mapped, its interpreter is not up yet")            \
    X(READY, "ready", "the runtime was found and an interpreter is up")                            \
    X(FAILED, "failed", "cannot be read; the reason says why")                                     \
    X(GONE, "gone", "ended, or another program took its place by exec")

enum pst_target_state {
#define PST_STATE(id, word, meaning) PST_TARGET_##id,
    PST_TARGET_STATES(PST_STATE)
#undef PST_STATE
        PST_TARGET_STATE_COUNT
};
const char *pst_target_state_word(enum pst_target_state state);

enum pst_build {
    PST_BUILD_UNKNOWN,
    PST_BUILD_STATIC, /* the runtime lies in the executable */
    PST_BUILD_SHARED, /* in a library that it maps */
    PST_BUILD_COUNT
};
/* "unknown", "static", "shared". */
const char *pst_build_word(enum pst_build build);

/* Where the environment was taken from. */
enum pst_env_source {
    PST_ENV_NONE,        /* unreadable, or nothing of it is on the allow-list */
    PST_ENV_BLOCK,       /* the block that the kernel laid out at exec */
    PST_ENV_INTERPRETER, /* os.environ: the block had been overwritten */
    PST_ENV_ANCESTOR,    /* of an ancestor that runs the same program */
    PST_ENV_SOURCE_COUNT
};
/* "none", "block", "interpreter", "ancestor". */
const char *pst_env_source_word(enum pst_env_source source);

struct pst_facts {
    uint64_t id;        /* issued by scan, never used twice */
    uint64_t parent_id; /* id of the target that is its parent, 0 when that is none */
    pid_t pid, ppid;    /* in the agent's pid namespace */
    pid_t own_pid;      /* as the target's own pid namespace numbers it */
    uint64_t start_ticks;
    uint64_t start_time_ns; /* realtime */
    uid_t uid;              /* effective, in the agent's user namespace */
    /* The 16 bytes AT_RANDOM that the kernel drew at exec and where they lie: they tell one
     * program from the next in the same pid. Address 0: could not be read. */
    uint64_t random_address;
    uint8_t random[16];

    enum pst_target_state state;
    struct pst_str reason; /* a word as in the walker's verdicts: eperm, not_ready, version, ... */
    struct pst_runtime runtime;
    struct pst_runtime second; /* of a process with two; hexversion 0: there is none */
    enum pst_build build;
    bool debug_build;

    struct pst_str comm;
    struct pst_str exe;   /* /proc/PID/exe */
    struct pst_str image; /* file that carries the runtime, as maps names it */
    struct pst_str cwd;
    struct pst_str cgroup;       /* raw text of /proc/PID/cgroup */
    struct pst_str container_id; /* 64 hex digits (or what the runtime uses), empty outside any */
    /* Of a pod, as the kubelet's paths in its mountinfo say; empty when they do not. */
    struct pst_str pod_uid, pod_container;
    struct pst_str argv; /* arguments, each followed by NUL; bounded, the last may be cut */
    /* The same as the interpreter remembers it, where a title was written over argv; else empty. */
    struct pst_str started_as;
    /* NAME=VALUE, each followed by NUL; only names of env_allow.def. */
    struct pst_str env;
    enum pst_env_source env_source;
};

/* A deep copy in one allocation; NULL when out of memory. */
struct pst_facts *pst_facts_copy(const struct pst_facts *facts);
struct pst_facts *pst_facts_free(struct pst_facts *facts);

/* Argument at index; false past the last. */
bool pst_facts_arg(const struct pst_facts *facts, size_t index, struct pst_str *ret);
/* Value of an allow-listed variable; false when it is not there. */
bool pst_facts_env(const struct pst_facts *facts, const char *name, struct pst_str *ret);
/* True when discovery keeps this variable at all. */
bool pst_env_allowed(struct pst_str name);

/* "3.11.7", "3.15.0b2"; "?" for 0. Returns dst. */
char *pst_version_text(uint32_t hexversion, char *dst, size_t size);

#endif
