/* Readers stuck in a target's memory cannot be killed, only left behind (design 3.1). Owns the list
 * of those and of the targets that did it; starts and parses nothing. */
#include <errno.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "supervisor.h"

static void remember(struct pst_skips *skips, const struct pst_control *record)
{
    for (size_t i = 0; i < skips->count; i++)
        if (skips->records[i].value == record->value && skips->records[i].extra == record->extra)
            return;
    skips->records[skips->next] = *record;
    skips->next = (skips->next + 1) % PST_SKIPS_KEPT;
    if (skips->count < PST_SKIPS_KEPT)
        skips->count++;
}

bool pst_stalls_room(const struct pst_supervisor *s)
{
    return s->stuck_count <= PST_MAX_ABANDONED_READERS;
}

/* The reader has shipped what it had; SIGKILL ends its other thread now, and the stuck one whenever
 * the kernel lets it. Past the bound its role waits until one of them has ended. */
void pst_stalls_abandon(struct pst_supervisor *s, enum pst_role role,
                        const struct pst_control *stalled, uint64_t now_ns)
{
    struct pst_control record = {PST_CONTROL_STALLED, role, stalled->value, stalled->extra};

    pst_log_warn("reader_stalled", "%s reader %d got no answer from memory of %s %llu: left behind",
                 pst_role_word(role), (int)s->lives[role].pid,
                 role == PST_ROLE_SCAN ? "pid" : "target", (unsigned long long)stalled->value);
    remember(&s->skips[role], &record);
    (void)kill(s->lives[role].pid, SIGKILL);
    if (s->stuck_count < PST_STUCK_KEPT)
        s->stuck[s->stuck_count++] = (struct pst_stuck){s->lives[role].pid, role};
    pst_lives_tell_daemon(s, PST_CONTROL_STALLED, role, record.value, record.extra);
    pst_lives_tell_daemon(s, PST_CONTROL_ABANDONED, role, s->stuck_count, 0);
    pst_lives_leave(s, role, pst_stalls_room(s) ? now_ns : UINT64_MAX);
}

bool pst_stalls_reaped(struct pst_supervisor *s, pid_t pid, uint64_t now_ns)
{
    for (size_t i = 0; i < s->stuck_count; i++) {
        if (s->stuck[i].pid != pid)
            continue;
        enum pst_role role = s->stuck[i].role;
        s->stuck[i] = s->stuck[--s->stuck_count];
        pst_lives_tell_daemon(s, PST_CONTROL_ABANDONED, role, s->stuck_count, 0);
        for (int waiting = 0; waiting < PST_ROLE_COUNT && pst_stalls_room(s); waiting++)
            if (s->lives[waiting].pid == 0 && s->lives[waiting].start_at_ns == UINT64_MAX)
                s->lives[waiting].start_at_ns = now_ns;
        return true;
    }
    return false;
}

void pst_stalls_brief(const struct pst_supervisor *s, enum pst_role role, int control)
{
    for (int reader = PST_ROLE_SCAN; reader <= PST_ROLE_SAMPLE; reader++) {
        if (role != PST_ROLE_DAEMON && role != (enum pst_role)reader)
            continue;
        for (size_t i = 0; i < s->skips[reader].count; i++) {
            struct pst_control record = s->skips[reader].records[i];
            record.kind = role == PST_ROLE_DAEMON ? PST_CONTROL_STALLED : PST_CONTROL_SKIP;
            (void)pst_control_send(control, &record);
        }
    }
    if (role == PST_ROLE_DAEMON && s->stuck_count > 0) {
        struct pst_control record = {PST_CONTROL_ABANDONED, s->stuck[0].role, s->stuck_count, 0};
        (void)pst_control_send(control, &record);
    }
}
