/* Stacks with native frames: each wanted thread is stopped and sampled on its own. For recordings
 * that a person asked for. */
#ifndef PST_SAMPLER_NATIVE_LOOK_H
#define PST_SAMPLER_NATIVE_LOOK_H

#include "native/native.h"
#include "threads.h"

struct pst_sampled;
struct pst_native_look;

/* NULL when out of memory. */
struct pst_native_look *pst_native_look_new(struct pst_sampled *target);
struct pst_native_look *pst_native_look_free(struct pst_native_look *look);

/* Reads all threads' rows without stopping any, then each wanted thread stopped. The rows in *ret
 * belong to look until its next call, and name no frames of ret's own. */
enum pst_verdict pst_native_look_read(struct pst_native_look *look, struct pst_py_sample *ret);
/* Whether this look has frames of the thread; their stack, in the open window. 0 or -ENOMEM,
 * -ENOSPC. Caller holds windows_lock. */
bool pst_native_look_has(const struct pst_native_look *look, const struct pst_os_thread *thread);
int pst_native_look_stack(struct pst_native_look *look, const struct pst_os_thread *thread,
                          uint32_t *ret_stack);

#endif
