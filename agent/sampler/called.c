/* What Python calls a target's threads. */
#include <string.h>

#include "base/clock.h"
#include "look.h"

enum {
    NAMES_PER_LOOK = 16,
    QUIET_TIMES = 4,     /* longer until a quiet process is asked again: to ask costs some looks */
    NAME_DOUBLINGS = 10, /* up to 25 s between two questions */
    NAMELESS_AT_ONCE = 40,
    NAMELESS_ASLEEP = 5,
    NAMELESS_MAX = NAMELESS_AT_ONCE + NAME_DOUBLINGS,
};
/* A thread that starts has its name a moment later, and a table of threads that is being written
 * cannot be read: asked again soon, then ever more seldom. Where the process itself has only begun,
 * its first thread has a name once it has imported threading. */
static const uint64_t name_kept_ns = 15 * PST_NS_PER_S, first_name_gap_ns = 25 * PST_NS_PER_MS;

static uint64_t name_gap_ns(const struct pst_sampled *target, const struct pst_os_thread *thread)
{
    unsigned at_once = target->plan.born_observed ? NAMELESS_AT_ONCE : 0;
    unsigned doublings = thread->nameless < at_once ? 0 : thread->nameless - at_once;

    return first_name_gap_ns << (doublings < NAME_DOUBLINGS ? doublings : NAME_DOUBLINGS);
}

bool pst_sampled_names_due(const struct pst_sampled *target)
{
    unsigned tries = target->plan.born_observed ? NAMELESS_AT_ONCE : NAMELESS_ASLEEP;

    for (size_t i = 0; target->threads && i < pst_os_threads_count(target->threads); i++) {
        const struct pst_os_thread *thread = pst_os_threads_at(target->threads, i);

        if (thread->tstate != 0 && thread->nameless > 0 && thread->nameless < tries)
            return true;
    }
    return false;
}

bool pst_sampled_ask_names(struct pst_sampled *target, uint64_t now_ns)
{
    unsigned asked = 0;
    for (size_t i = 0; i < pst_os_threads_count(target->threads) && asked < NAMES_PER_LOOK; i++) {
        struct pst_os_thread *thread = pst_os_threads_at(target->threads, i);
        if (thread->tstate == 0 || now_ns < thread->name_due_ns)
            continue;
        asked++;
        struct pst_str name;
        bool known = pst_python_thread_name(target->python, thread->tstate, &name);
        if (!pst_sampled_enter(target))
            return false;
        thread->name_due_ns = now_ns + (known ? name_kept_ns : name_gap_ns(target, thread)) *
                                           (target->quiet ? QUIET_TIMES : 1);
        if (!known && thread->nameless < NAMELESS_MAX)
            thread->nameless++;
        if (known) {
            size_t len = name.len < sizeof(thread->name) - 1 ? name.len : sizeof(thread->name) - 1;
            memcpy(thread->name, name.ptr, len);
            thread->name[len] = 0;
            thread->nameless = 0;
        }
        pst_sampled_leave(target);
    }
    return true;
}
