/* The lists of interpreters and thread states. They are followed pointer by pointer only when the
 * last batch showed that they changed; every batch carries the links that prove they did not. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/map.h"
#include "internal.h"

enum pst_verdict pst_read_verdict(int error)
{
    switch (error) {
    case 0:
        return PST_V_OK;
    case -ESRCH:
        return PST_V_GONE;
    case -EPERM:
        return PST_V_DENIED;
    case -EDQUOT:
        return PST_V_BUDGET;
    case -ENOMEM:
    case -EMFILE:
    case -ENFILE:
        return PST_V_NO_MEMORY;
    default:
        return PST_V_UNMAPPED;
    }
}

static void thread_done(struct pst_thread *thread)
{
    free(thread->chunks);
    free(thread->known);
    free(thread->seen);
    free(thread->led);
    free(thread->kept);
    free(thread->name);
    *thread = (struct pst_thread){0};
}

void pst_threads_free(struct pst_python *python)
{
    for (uint32_t i = 0; i < python->thread_count; i++)
        thread_done(&python->threads[i]);
    python->thread_count = 0;
    python->interp_count = 0;
    python->list_valid = false;
}

const struct pst_interp *pst_thread_interp(const struct pst_python *python,
                                           const struct pst_thread *thread)
{
    for (uint32_t i = 0; i < python->interp_count; i++) {
        if (python->interps[i].address == thread->interp_address)
            return &python->interps[i];
    }
    return NULL;
}

/* copy starts at spans.interp_start. */
void pst_interp_take(const struct pst_python *python, struct pst_interp *interp)
{
    const struct pst_layout *l = &python->layout;
    uint32_t start = python->spans.interp_start;

    if (l->interp.code_generation)
        interp->generation = pst_word(interp->copy, l->interp.code_generation - start);
    if (interp->tlbc_copy)
        interp->tlbc_generation = pst_half(interp->tlbc_copy, 0);
    interp->gil_off = l->free_threaded && l->interp.gil_enabled &&
                      pst_half(interp->copy, l->interp.gil_enabled - start) == 0;
    interp->holder = 0;
    if (l->interp.gil_holder && !interp->gil_off &&
        pst_half(interp->copy, l->interp.gil_locked - start) == 1)
        interp->holder = pst_word(interp->copy, l->interp.gil_holder - start);
}

static int read_interp(struct pst_python *python, uint64_t address, struct pst_interp *interp)
{
    unsigned char copy[PST_SPAN_INTERP];
    const struct pst_layout *l = &python->layout;
    uint32_t start = python->spans.interp_start;
    int error = pst_memory_read(python->memory, address + start, copy, python->spans.interp_len);

    if (error < 0)
        return error;
    *interp = (struct pst_interp){.address = address, .copy = copy};
    interp->next = pst_word(copy, l->interp.next - start);
    interp->threads_head = pst_word(copy, l->interp.threads_head - start);
    if (l->interp.id)
        interp->id = pst_word(copy, l->interp.id - start);
    pst_interp_take(python, interp);
    interp->copy = NULL;
    if (!pst_interp_has_tlbc(l))
        return 0;
    return pst_memory_read(python->memory, address + l->interp.tlbc_generation,
                           &interp->tlbc_generation, sizeof(interp->tlbc_generation));
}

static enum pst_verdict follow_interps(struct pst_python *python)
{
    const struct pst_layout *l = &python->layout;
    uint64_t where = python->runtime.interp_head
                         ? python->runtime.interp_head
                         : python->runtime.runtime + l->runtime.interpreters_head;
    uint64_t address;
    int error = pst_memory_u64(python->memory, where, &address);

    python->interp_count = 0;
    if (error < 0)
        return pst_read_verdict(error);
    python->interp_head = address;
    while (address != 0) {
        if (!pst_memory_plausible(address))
            return PST_V_POINTER;
        for (uint32_t i = 0; i < python->interp_count; i++) {
            if (python->interps[i].address == address)
                return PST_V_CYCLE;
        }
        if (python->interp_count == PST_MAX_INTERPRETERS)
            return PST_V_LENGTH;
        struct pst_interp *grown =
            realloc(python->interps, (python->interp_count + 1) * sizeof(*grown));
        if (!grown)
            return PST_V_NO_MEMORY;
        python->interps = grown;
        struct pst_interp *interp = &grown[python->interp_count];
        error = read_interp(python, address, interp);
        if (error < 0)
            return pst_read_verdict(error);
        python->interp_count++;
        address = interp->next;
    }
    /* Without numbers of their own they count from the main one, which ends the list. */
    for (uint32_t i = 0; i < python->interp_count && !l->interp.id; i++)
        python->interps[i].id = python->interp_count - 1 - i;
    return python->interp_count ? PST_V_OK : PST_V_NOT_READY;
}

static int append_thread(struct pst_python *python, struct pst_thread **ret)
{
    if (python->thread_count == python->thread_cap) {
        uint32_t cap = python->thread_cap ? python->thread_cap * 2 : 4;
        struct pst_thread *threads = realloc(python->threads, cap * sizeof(*threads));
        if (!threads)
            return -ENOMEM;
        python->threads = threads;
        python->thread_cap = cap;
    }
    *ret = &python->threads[python->thread_count++];
    **ret = (struct pst_thread){0};
    return 0;
}

static void take_thread(struct pst_python *python, struct pst_thread *thread,
                        const unsigned char *copy)
{
    const struct pst_layout *l = &python->layout;
    uint64_t id = l->tstate.id ? pst_word(copy, l->tstate.id) : 0;
    uint64_t pthread = pst_word(copy, l->tstate.thread_id);

    thread->next = pst_word(copy, l->tstate.next);
    if (thread->id != id || thread->pthread != pthread) { /* another thread at the same address */
        uint64_t address = thread->address, next = thread->next;
        uint64_t interp_address = thread->interp_address, interp_id = thread->interp_id;
        thread_done(thread);
        thread->address = address, thread->next = next;
        thread->interp_address = interp_address, thread->interp_id = interp_id;
    }
    thread->id = id;
    thread->pthread = pthread;
    thread->has_frame = pst_word(copy, l->tstate.frame) != 0;
    if (l->tstate.native_thread_id)
        thread->tid = (pid_t)pst_word(copy, l->tstate.native_thread_id);
    else if (thread->tid == 0)
        thread->tid = pst_thread_tid(python, pthread);
}

/* Takes what is known of the thread at this address out of the old list. */
static void inherit(struct pst_thread *old, uint32_t old_count, const struct pst_map *places,
                    struct pst_thread *thread, uint64_t address)
{
    const uint32_t *place = pst_map_get(places, &address);

    if (place && *place < old_count && old[*place].address == address) {
        *thread = old[*place];
        old[*place] = (struct pst_thread){0};
    }
    thread->address = address;
}

static enum pst_verdict follow_threads(struct pst_python *python, const struct pst_interp *interp,
                                       struct pst_thread *old, uint32_t old_count,
                                       struct pst_map *places, struct pst_map *met)
{
    unsigned char copy[PST_SPAN_TSTATE];
    uint64_t address = interp->threads_head;

    while (address != 0) {
        struct pst_thread *thread;
        void *value;
        bool is_new;
        if (!pst_memory_plausible(address))
            return PST_V_POINTER;
        if (python->thread_count == PST_MAX_THREADS)
            return PST_V_LENGTH;
        if (pst_map_put(met, &address, &value, &is_new) < 0)
            return PST_V_NO_MEMORY;
        if (!is_new)
            return PST_V_CYCLE;
        int error = pst_memory_read(python->memory, address, copy, python->spans.tstate_len);
        if (error < 0)
            return pst_read_verdict(error);
        if (pst_word(copy, python->layout.tstate.interp) != interp->address)
            return PST_V_POINTER;
        if (append_thread(python, &thread) < 0)
            return PST_V_NO_MEMORY;
        inherit(old, old_count, places, thread, address);
        thread->interp_address = interp->address;
        thread->interp_id = interp->id;
        take_thread(python, thread, copy);
        address = thread->next;
    }
    return PST_V_OK;
}

enum pst_verdict pst_threads_refresh(struct pst_python *python)
{
    struct pst_thread *old = python->threads;
    uint32_t old_count = python->thread_count;
    struct pst_map *places = pst_map_new(sizeof(uint64_t), sizeof(uint32_t), PST_MAX_THREADS);
    struct pst_map *met = pst_map_new(sizeof(uint64_t), sizeof(uint32_t), PST_MAX_THREADS);
    enum pst_verdict verdict = places && met ? PST_V_OK : PST_V_NO_MEMORY;
    void *value;

    python->threads = NULL;
    python->thread_count = python->thread_cap = 0;
    for (uint32_t i = 0; i < old_count && verdict == PST_V_OK; i++) {
        if (pst_map_put(places, &old[i].address, &value, NULL) < 0)
            verdict = PST_V_NO_MEMORY;
        else
            memcpy(value, &i, sizeof(i));
    }
    if (verdict == PST_V_OK)
        verdict = follow_interps(python);
    for (uint32_t i = 0; i < python->interp_count && verdict == PST_V_OK; i++)
        verdict = follow_threads(python, &python->interps[i], old, old_count, places, met);
    pst_threads_mark_leftovers(python);
    for (uint32_t i = 0; i < old_count; i++)
        thread_done(&old[i]);
    free(old);
    pst_map_free(places);
    pst_map_free(met);
    python->list_valid = verdict == PST_V_OK;
    return verdict;
}

bool pst_threads_unchanged(const struct pst_python *python)
{
    const struct pst_layout *l = &python->layout;
    uint32_t start = python->spans.interp_start;
    uint32_t thread = 0;

    for (uint32_t i = 0; i < python->interp_count; i++) {
        const struct pst_interp *interp = &python->interps[i];
        if (!interp->copy || pst_word(interp->copy, l->interp.next - start) != interp->next)
            return false;
        uint64_t expected = pst_word(interp->copy, l->interp.threads_head - start);
        for (; thread < python->thread_count &&
               python->threads[thread].interp_address == interp->address;
             thread++) {
            if (python->threads[thread].address != expected)
                return false;
            expected = python->threads[thread].next;
        }
        if (expected != 0)
            return false;
    }
    return true;
}
