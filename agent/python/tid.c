/* OS thread ids where CPython keeps only the pthread_t (3.10 and older): the descriptor of
 * glibc or musl holds it. And thread states that have no thread any more, for want of such an
 * id: 2.7 keeps those of its parent's threads in a forked child. */
#include "internal.h"

/* Descriptors of both begin with words that tell them apart: musl's with a pointer to itself and to
 * its neighbours in the list of threads. */
static uint32_t tid_offset(const uint64_t head[4], uint64_t pthread)
{
#if defined(__x86_64__)
    enum { GLIBC = 720, MUSL = 48 };
    (void)pthread;
    return pst_memory_plausible(head[3]) ? MUSL : GLIBC; /* glibc has two small numbers there */
#elif defined(__aarch64__)
    enum { GLIBC = 208, MUSL = 32 };
    return head[0] == pthread ? MUSL : GLIBC;
#endif
}

pid_t pst_thread_tid(struct pst_python *python, uint64_t pthread)
{
    uint64_t head[4];
    uint32_t tid = 0;

    if (!pst_memory_plausible(pthread) ||
        pst_memory_read(python->memory, pthread, head, sizeof(head)) < 0 ||
        pst_memory_read(python->memory, pthread + tid_offset(head, pthread), &tid, sizeof(tid)) < 0)
        return 0;
    return tid <= INT32_MAX ? (pid_t)tid : 0;
}

/* glibc clears the id of a thread that did not come along. */
static bool any_known(const struct pst_python *python)
{
    for (uint32_t i = 0; i < python->thread_count; i++) {
        if (python->threads[i].tid != 0)
            return true;
    }
    return false;
}

/* A thread that started since may have got a dead one's descriptor: the newer state, which stands
 * first, is its own. One that has no frame yet may still carry its creator's. */
static bool succeeded(const struct pst_python *python, uint32_t place)
{
    const struct pst_thread *thread = &python->threads[place];

    for (uint32_t i = place; i > 0; i--) {
        const struct pst_thread *newer = &python->threads[i - 1];
        if (newer->interp_address != thread->interp_address)
            return false;
        if (newer->pthread == thread->pthread && newer->has_frame)
            return true;
    }
    return false;
}

void pst_threads_mark_leftovers(struct pst_python *python)
{
    if (python->layout.tstate.native_thread_id || !any_known(python))
        return;
    for (uint32_t i = 0; i < python->thread_count; i++)
        python->threads[i].leftover = python->threads[i].tid == 0 || succeeded(python, i);
}
