/* What one target's open window holds: stacks seen, what each weighs for each of its threads, and
 * the CPU that the kernel says each thread used. Closing turns it into one profile per mode.
 * No locking of its own; the sampler guards it. */
#ifndef PST_SAMPLER_WINDOW_H
#define PST_SAMPLER_WINDOW_H

#include "names.h"
#include "sampler/sampler.h"

struct pst_window;

/* A frame as windows keep it: function id of pst_names and line. */
struct pst_wframe {
    uint32_t function;
    int32_t line;
};

struct pst_window *pst_window_new(void);
struct pst_window *pst_window_free(struct pst_window *window);

/* Slot of an OS thread in this window (labels thread_id and thread_name), made at first use. Name
 * may be set again later; the last one counts. 0, -ENOMEM, -ENOSPC. */
int pst_window_thread(struct pst_window *window, pid_t tid, uint32_t *ret_slot);
void pst_window_thread_name(struct pst_window *window, uint32_t slot, struct pst_str name);

/* Id of a stack (leaf first). Past the bound every stack is the overflow stack: -ENOSPC. */
int pst_window_stack(struct pst_window *window, const struct pst_wframe *frames, size_t count,
                     uint32_t *ret_stack);

/* Frames of a stack of this window; valid until it is freed or grows. */
const struct pst_wframe *pst_window_frames(const struct pst_window *window, uint32_t stack,
                                           size_t *ret_count);

/* Raw weight of a cpu sample: scaled at close so that the thread's stacks sum to its CPU time.
 * samples grows by count. */
void pst_window_add_raw_cpu(struct pst_window *window, uint32_t slot, uint32_t stack,
                            uint64_t raw_ns, uint32_t count);
/* Time that stands as it is: wall, gil, and cpu under a bracketed frame. */
void pst_window_add(struct pst_window *window, uint32_t slot, uint32_t stack, enum pst_mode mode,
                    uint64_t ns, uint32_t count);
/* CPU time of the thread that its cpu samples stand for. */
void pst_window_thread_cpu(struct pst_window *window, uint32_t slot, uint64_t cpu_ns);
/* Has the thread any raw cpu weight in this window? */
bool pst_window_has_cpu(const struct pst_window *window, uint32_t slot);

/* Keeps every weight with its time too, until PST_MAX_WINDOW_SPANS of them: the window's samples
 * then carry the numeric label start, nanoseconds on CLOCK_MONOTONIC. */
void pst_window_keep_times(struct pst_window *window);
/* When that ends which is added from now on; first when the window opens. */
void pst_window_at(struct pst_window *window, uint64_t now_ns);

/* One profile of the mode, with labels pid, thread_id, thread_name; NULL in *ret when it has no
 * rows. 0 or -ENOMEM. */
int pst_window_profile(const struct pst_window *window, enum pst_mode mode, struct pst_names *names,
                       pid_t pid, struct pst_profile **ret);
/* Rows that found no room: counted, never silently lost. */
uint64_t pst_window_overflow(const struct pst_window *window);

#endif
