/* The walker's inside: what one target's object holds, and what its parts do for each other. */
#ifndef PST_PYTHON_INTERNAL_H
#define PST_PYTHON_INTERNAL_H

#include "base/cleanup.h"
#include "base/limits.h"
#include "codes.h"
#include "layout.h"

enum {
    PST_CFRAMES = 8,          /* C stack records of 3.11 and 3.12 read along with a thread */
    PST_KNOWN_MAX = 1024,     /* frames outside the data stack read along with a thread */
    PST_KNOWN_USUAL = 64,     /* past so many those that this sample has not met make room */
    PST_AGAIN_NEAR_LEAF = 16, /* <= 3.10: frame objects nearest the leaf copied so */
    PST_KNOWN_AGE = 6,        /* samples after which one that was not met is forgotten, */
    PST_OBJECT_AGE = 16,      /* <= 3.10, */
    PST_OBJECT_RIDES = 200,   /* and there one that lies beside others */
    PST_KNOWN_ALONE = -1,     /* no leader: not read */
    PST_CHUNKS_MAX = 256,     /* data stack chunks followed */
    PST_CHUNKS_AGAIN = 2, /* newest chunks that are copied twice and more; older ones lie between */
    PST_SEEN_MAX = 512,   /* frames nearest the root remembered for the next sample */
    PST_BATCH_PIECES = 8192, /* more than a thousand take more than one call */
    PST_FRAME_WORDS = 5,     /* locals of a frame outside the data stack that are compared */
    PST_OWNER_GENERATOR = 1, /* of a frame; before 3.11 taken from its generator field */
    PST_TORN_RETRIES = 2,
    PST_MOVED_RETRIES = 2, /* before a leaf that never stood still is left out */
    PST_STRUCT_RETRIES = 10,
    /* Of a read that took too long to vouch for anything, which says nothing about the stack: where
     * the target's memory map is busy or the host takes the CPU, one read in four was such
     * (measured). */
    PST_OVERLONG_RETRIES = 6,
};

struct pst_chunk {
    uint64_t address;
    uint32_t size;       /* header included */
    uint32_t used;       /* header included; predicted for the newest */
    uint32_t copied;     /* in this batch */
    uint32_t again_from; /* offset at which copy[2] starts */
    const unsigned char *copy[3];
};

/* How often a frame outside the data stack is copied. */
enum pst_reading {
    PST_READ_AGAIN,  /* with the newest chunk: before the thread state and twice after it */
    PST_READ_BORDER, /* its third time comes after the frames that are read once */
    PST_READ_ONCE,   /* frames far from the leaf: still while those at the border are */
    PST_READ_LAST,   /* once, after all: the end of the chain, which nothing moves */
};

struct pst_known {
    uint64_t address;
    const unsigned char *copy[3];
    uint8_t age;
    bool brief; /* only its fields can be read */
    enum pst_reading reading;
    int32_t leader; /* which of the known has the piece that this one is read with */
    uint64_t span;  /* that piece, where it is its own */
    uint32_t span_bytes;
};

/* A frame as it was resolved last time, counted from the root. */
struct pst_seen {
    uint64_t frame, code, instr;
    uint32_t index; /* of the code */
    int32_t line;
};

enum pst_thread_state {
    PST_THREAD_SKIPPED,
    PST_THREAD_PENDING,
    PST_THREAD_WALKED,
    PST_THREAD_DONE
};

struct pst_thread {
    uint64_t address, next, interp_address, interp_id;
    uint64_t id, pthread;
    pid_t tid;
    bool has_frame; /* when the lists were followed */
    bool leftover;  /* of a thread that is not there any more: no sample */

    /* What the next sample reads, predicted from the last. */
    struct pst_chunk *chunks; /* newest first */
    uint16_t chunk_count, chunk_cap;
    uint64_t beyond_address; /* of the first chunk that is not followed any more; 0: all are */
    uint32_t beyond_size;
    uint8_t cframe_count;
    uint64_t cframes[PST_CFRAMES]; /* newest first */
    struct pst_known *known;
    uint32_t known_count, known_cap;

    struct pst_seen *seen;
    uint32_t seen_count, seen_cap;
    uint64_t seen_epoch;

    struct pst_led *led; /* details.c: by place from the root */
    uint32_t led_count;

    char *name;
    uint64_t name_read_ns;
    uint8_t restless, restless_samples; /* how seldom a further try found the leaf standing still */

    /* This sample. */
    enum pst_thread_state state;
    enum pst_verdict verdict;
    uint8_t torn_retries, moved_retries, struct_retries, overlong_retries;
    bool attached, truncated, trimmed;
    uint32_t first_raw, raw_count; /* into scratch, leaf first */
    struct pst_raw_frame *kept;    /* of the first try that lacked leaves */
    uint32_t kept_count, kept_cap;
    bool kept_truncated;
    uint32_t first_frame, frame_count;
    uint32_t first_piece, piece_count;
    unsigned char *tstate_copy;
    unsigned char *frame_again[2]; /* the thread state's frame, read once more; may be NULL */
    unsigned char *top_again;      /* the top of the data stack, likewise */
    unsigned char *cframe_copies[PST_CFRAMES];
    unsigned char *cframe_again[PST_CFRAMES]; /* with frame_again[0] */
};

struct pst_interp {
    uint64_t address, next, id, threads_head;
    uint64_t generation;
    uint32_t tlbc_generation;
    bool gil_off;    /* free-threaded, and nothing has asked for a GIL */
    uint64_t holder; /* thread state that holds its GIL, 0: nobody */
    unsigned char *copy;
    unsigned char
        *tlbc_copy; /* of tlbc_generation, far behind the rest; NULL where there is none */
};

/* A frame as the walk found it. */
struct pst_raw_frame {
    uint64_t address, code, previous, instr;
    int32_t tlbc;
    uint8_t owner;
    bool link_changed, instr_changed;
    bool runs, waits;    /* what every copy of the frame says; true where it says nothing */
    bool ran;            /* what some copy says */
    bool runs_here;      /* what the copy that is walked says */
    bool misfit;         /* that does not go with its place in the chain */
    bool entry;          /* a C call began with it; where shims tell that, see resolve.c */
    uint64_t first_word; /* its first variable during the walk; 0: not known */
    int32_t own_line;    /* details.c; 0: that of its instruction */
    uint32_t class_id;   /* details.c; 0: not told */
};

struct pst_py_scratch {
    struct pst_piece pieces[PST_BATCH_PIECES];
    size_t piece_count, piece_limit;
    unsigned char *bytes;
    size_t used, byte_limit;
    struct pst_raw_frame *raw;
    size_t raw_count;
};

struct pst_python {
    struct pst_memory *memory;
    struct pst_runtime runtime;
    struct pst_layout layout;
    struct pst_spans spans;
    struct pst_python *second; /* another runtime in the process; second.c */
    struct pst_both *both;     /* what a sample of two becomes */
    struct pst_codes *codes;
    struct pst_steps *steps;     /* NULL until a leaf moved */
    struct pst_details *details; /* NULL until something asks for them */
    bool name_classes;
    struct pst_map *copies; /* tlbc.c: struct copy_key -> u64 */
    struct pst_py_scratch *scratch;
    bool own_scratch;
    bool validation_off;
    bool alone; /* this sample is of one thread: nothing is read of the others */

    struct pst_interp *interps;
    uint32_t interp_count;
    struct pst_thread *threads;
    uint32_t thread_count, thread_cap;
    bool list_valid;
    uint64_t usual_read_ns; /* median duration of a read, by the piece */
    uint64_t interp_head, runtime_holder;
    unsigned char *runtime_copy;
    unsigned char *head_copy, *current_copy; /* of interp_head and _PyThreadState_Current, <= 3.6 */

    struct pst_py_thread *out_threads;
    uint32_t out_thread_cap;
    struct pst_py_frame *out_frames;
    struct pst_raw_frame *out_places; /* beside out_frames, when they are kept */
    bool keep_places;
    struct pst_trail *trail; /* of values; NULL until one is asked for */
    uint32_t out_frame_count, out_frame_cap;
    uint32_t frame_bytes; /* read of a frame outside the data stack */
    uint64_t now_ns, names_read_ns, names_took_ns;
    uint32_t verified_now; /* codes asked for again in this sample */
    uint64_t jit_due_ns;
    bool jit; /* compiled code has been seen */

    struct pst_py_stats stats;
};

static inline uint64_t pst_word(const unsigned char *data, uint32_t offset)
{
    uint64_t value;
    __builtin_memcpy(&value, data + offset, sizeof(value));
    return value;
}

static inline uint32_t pst_half(const unsigned char *data, uint32_t offset)
{
    uint32_t value;
    __builtin_memcpy(&value, data + offset, sizeof(value));
    return value;
}

/* The code object that a copy of a frame names, without tag bits. */
static inline uint64_t pst_frame_code(const struct pst_layout *layout, const unsigned char *copy)
{
    uint64_t reference = pst_word(copy, layout->frame.code);

    return layout->tagged ? reference & ~UINT64_C(3) : reference;
}

/* Whether threads run copies of their own of the bytecode (free-threaded 3.14+). */
static inline bool pst_interp_has_tlbc(const struct pst_layout *layout)
{
    return layout->free_threaded && layout->interp.tlbc_generation != 0;
}

/* batch.c: a piece in the scratch; NULL when this batch is full. */
void pst_batch_reset(struct pst_py_scratch *scratch, size_t keep_pieces, size_t keep_bytes);
/* Gives the room that was kept back to the pieces that follow. */
void pst_batch_release(struct pst_py_scratch *scratch);
unsigned char *pst_batch_add(struct pst_py_scratch *scratch, uint64_t address, size_t len);

/* threads.c: what a failed read means. */
enum pst_verdict pst_read_verdict(int error);
/* Follows the lists of interpreters and threads, keeping what is known of threads that
 * stay. */
enum pst_verdict pst_threads_refresh(struct pst_python *python);
void pst_threads_free(struct pst_python *python);
/* Whether the copies of this batch show the lists as they were followed. */
bool pst_threads_unchanged(const struct pst_python *python);
/* Reads what the copy of an interpreter says about generation and GIL. */
void pst_interp_take(const struct pst_python *python, struct pst_interp *interp);
const struct pst_interp *pst_thread_interp(const struct pst_python *python,
                                           const struct pst_thread *thread);

/* validate.c: once, at attach. PST_V_LAYOUT when the target is not what its layout says,
 * PST_V_NOT_READY when a layout that needs a stack for its proof found none yet. */
enum pst_verdict pst_layout_prove(struct pst_python *python);

/* tid.c: OS thread ids of CPythons that do not keep them. */
pid_t pst_thread_tid(struct pst_python *python, uint64_t pthread);
void pst_threads_mark_leftovers(struct pst_python *python);

/* predict.c: the pieces of one thread, and what a walk teaches about the next. */
bool pst_thread_add_pieces(struct pst_python *python, struct pst_thread *thread);
/* The piece of this thread that could not be read: forgets the address. False when it was the
 * thread state itself. */
bool pst_thread_fault(struct pst_thread *thread, uint64_t address);
/* Follows the chain of data stack chunks from the newest; chunks known from before are taken as
 * they were unless from_memory. 0 or -errno. */
int pst_chunks_follow(struct pst_python *python, struct pst_thread *thread, uint64_t newest,
                      uint64_t top, bool from_memory);
/* Beside the frames that it was met between: `place` from the leaf. The place that it got, or
 * -errno. */
int pst_known_add(struct pst_python *python, struct pst_thread *thread, uint64_t address,
                  uint32_t place);
int pst_known_find(const struct pst_thread *thread, uint64_t address);
void pst_known_drop(struct pst_thread *thread, uint32_t place);
void pst_known_age(const struct pst_python *python, struct pst_thread *thread);
void pst_cframe_add(struct pst_thread *thread, uint64_t address);

/* meet.c: reads a frame that is in no copy, so that a walk can go on. False when the thread was
 * seen to be elsewhere by then. */
struct pst_meeting {
    const struct pst_raw_frame *callee; /* that named it; NULL for the leaf */
    uint64_t where, current;            /* an address, and the frame that has to stand there */
    uint32_t place;                     /* among the known ones */
};
bool pst_known_meet(struct pst_python *python, struct pst_thread *thread, uint64_t address,
                    const struct pst_meeting *meeting);

/* walk.c: one thread's copies to raw frames. PST_THREAD_PENDING when it has to be read again. */
void pst_walk_thread(struct pst_python *python, struct pst_thread *thread);
/* settle.c: counts a try that failed: pending again, or done with this verdict. */
void pst_thread_torn(struct pst_python *python, struct pst_thread *thread,
                     enum pst_verdict verdict);
/* No more tries: what an earlier one gave, or this verdict. */
void pst_thread_end(struct pst_python *python, struct pst_thread *thread, enum pst_verdict verdict);

/* tlbc.c: address of the first instruction in the copy of a code's bytecode that the threads of
 * this index run (free-threaded 3.14+). 0 or -errno. */
int pst_tlbc_start(struct pst_python *python, const struct pst_code *code, uint32_t index,
                   uint32_t generation, uint64_t *ret);
/* The same read anew, when what was kept cannot be. */
int pst_tlbc_read(struct pst_python *python, const struct pst_code *code, uint32_t index,
                  uint32_t generation, uint64_t *ret);

/* root.c: whether the chain of count > 0 frames, leaf first, reaches the thread's beginning; top is
 * that of the data stack. */
bool pst_root_reached(const struct pst_layout *layout, const struct pst_thread *thread,
                      const struct pst_raw_frame *raw, uint32_t count, uint64_t top);

/* objects.c: Python objects of the target, read one by one. Addresses that cannot be followed give
 * 0. */
/* The value under a key that is an ASCII str, or bytes; 0 when it is not there. */
uint64_t pst_dict_find(struct pst_python *python, uint64_t dict, const char *key, bool bytes_key);
/* All pairs, at most PST_MAX_DICT_ENTRIES; the array is the caller's to free. Count or -errno. */
struct pst_pair {
    uint64_t key, value, key_at, value_at;
};
int pst_dict_pairs(struct pst_python *python, uint64_t dict, struct pst_pair **ret);
/* Where the entries of a keys object lie, out of its first bytes. False when they cannot be. */
struct pst_keys {
    uint64_t entries;
    uint32_t count;
    uint8_t stride, key_offset; /* the value follows the key, where it has one */
};
enum { PST_KEYS_HEAD_BYTES = 40 };
bool pst_keys_parse(const struct pst_layout *layout, const unsigned char *head, uint64_t address,
                    struct pst_keys *ret);
uint64_t pst_attribute_find(struct pst_python *python, uint64_t object, const char *name);
/* A small non-negative int; false when it is negative, larger or none. */
bool pst_int_read(struct pst_python *python, uint64_t object, uint64_t *ret);
/* A global of an imported module. */
uint64_t pst_module_find(struct pst_python *python, uint64_t interp, const char *module,
                         const char *name);

/* second.c: two runtimes as one. Code ids of the first become even, those of the second odd. */
void pst_second_free(struct pst_python *python);
/* Samples the second and adds it to what the first gave. */
void pst_second_add(struct pst_python *python, bool (*want)(void *context, pid_t tid),
                    void *context, struct pst_py_sample *sample);

/* details.c: what a frame tells beside its code and its instruction, read after the walk. */
struct pst_details;
/* Of the walked threads: the lines of frames that run no bytecode, and the classes of methods where
 * they are wanted. What cannot be told is left out. */
void pst_details_read(struct pst_python *python, uint32_t first, uint32_t end);
/* The code of this public id in the class that a frame named. */
uint32_t pst_details_public(struct pst_python *python, uint32_t public_id, uint32_t class_id);
/* Public ids are about to mean others. */
void pst_details_reset(struct pst_python *python);
void pst_details_free(struct pst_python *python);

/* jit.c: after a sample, now and then, until it is known. */
void pst_jit_look(struct pst_python *python);

/* resolve.c: raw frames to codes and lines. */
void pst_resolve_request(struct pst_python *python, struct pst_thread *thread);
void pst_resolve_thread(struct pst_python *python, struct pst_thread *thread);

#endif
