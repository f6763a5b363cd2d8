/* How many attempts may be under way to one backend, and when the next may begin: what all lanes of
 * an exporter share, so that a dead backend sees one attempt at a time however many lanes wait.
 *
 * The width grows by one with each delivery up to `most` and halves with a failure. Attempts that
 * were under way together and fail together are one failure. While failing, one attempt goes, after
 * the backoff. Pure functions of state, time and chance; the caller locks. */
#ifndef PST_EXPORTERS_GATE_H
#define PST_EXPORTERS_GATE_H

#include "retry.h"

struct pst_gate {
    unsigned most;  /* attempts at once while all is well */
    unsigned width; /* of them, how many are allowed yet */
    bool failing, hurried;
    uint64_t answer_ns; /* how long deliveries take, the later ones counting more */
    unsigned rounds;    /* failures in a row */
    uint64_t failed_ns; /* CLOCK_MONOTONIC, of the last of them */
    uint64_t next_ns;   /* CLOCK_MONOTONIC; 0: at once */
};

void pst_gate_init(struct pst_gate *gate, unsigned most);
/* Whether one more attempt may begin now. */
bool pst_gate_allows(const struct pst_gate *gate, unsigned under_way, uint64_t now_ns);
/* Whether one more lane is worth its connection: not when the `lanes` that there are bring the
 * `waiting` items to the backend within about a second. */
bool pst_gate_wants_lane(const struct pst_gate *gate, unsigned lanes, size_t waiting);
/* An attempt that began at started_ns was delivered. False when that was before the last failure:
 * old news, which opens nothing. */
bool pst_gate_delivered(struct pst_gate *gate, uint64_t started_ns, uint64_t now_ns);
/* The backend answered, but not about itself: the next item need not wait. */
void pst_gate_answered(struct pst_gate *gate, uint64_t started_ns);
/* An attempt that began at started_ns will be made again; the delay until the next. after_ns is
 * what the backend asked for, 0: nothing. */
uint64_t pst_gate_failed(struct pst_gate *gate, const struct pst_retry_policy *policy,
                         uint64_t after_ns, uint64_t started_ns, uint64_t now_ns,
                         struct pst_random *random);
/* A new configuration: what failed may work now. */
void pst_gate_reset_wait(struct pst_gate *gate);
/* Little time is left: no wait, and all lanes at once unless the backend is failing. */
void pst_gate_hurry(struct pst_gate *gate);

#endif
